"""Adversarial training: each step is learned twice, the second time with the embeddings moved against the model.

Miyato, Dai and Goodfellow 2017, "Adversarial Training Methods for Semi-Supervised Text Classification" (the fast
gradient method): every text's embeddings move by size · g / ‖g‖ along the gradient g of its loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Adversary:
    """Watches the word embeddings of an encoder and can move them for one pass."""

    def __init__(self, encoder: nn.Module, size: float) -> None:
        self._size = size
        self._seen: Tensor | None = None
        self._move: Tensor | None = None
        module = encoder.get_input_embeddings()  # type: ignore[operator]
        self._hook = module.register_forward_hook(self._watch)

    def _watch(self, _module: nn.Module, _given: Any, states: Tensor) -> Tensor | None:
        if not torch.is_grad_enabled():
            return None
        if self._move is not None:
            return states + self._move if self._move.shape == states.shape else None
        if not states.requires_grad:
            states = states.detach().requires_grad_(True)  # frozen embeddings: the gradient is wanted all the same
        states.retain_grad()
        self._seen = states
        return states

    @contextmanager
    def moved(self) -> Iterator[bool]:
        """For one more pass over the same batch: whether there is a gradient to move along."""
        gradient = self._seen.grad if self._seen is not None else None
        if gradient is None:
            yield False
            return
        length = gradient.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None]
        self._move = (self._size * gradient / length).detach()
        try:
            yield True
        finally:
            self._move, self._seen = None, None

    def leave(self) -> None:
        """Stop watching."""
        self._hook.remove()
