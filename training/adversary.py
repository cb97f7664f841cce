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
        # A step may pass twice over the encoder, the second time over changed texts: each pass has its own gradient.
        self._seen: list[Tensor] = []
        self._moves: Iterator[Tensor | None] | None = None
        module = encoder.get_input_embeddings()  # type: ignore[operator]
        self._hook = module.register_forward_hook(self._watch)

    def _watch(self, _module: nn.Module, _given: Any, states: Tensor) -> Tensor | None:
        if not torch.is_grad_enabled():
            return None
        if self._moves is not None:
            move = next(self._moves, None)
            return None if move is None else states + move
        if not states.requires_grad:
            states = states.detach().requires_grad_(True)  # frozen embeddings: the gradient is wanted all the same
        states.retain_grad()
        self._seen.append(states)
        return states

    @contextmanager
    def moved(self) -> Iterator[bool]:
        """For one more pass over the same batch: whether there is a gradient to move along."""
        moves = [self._along(states.grad) for states in self._seen]
        self._seen = []
        if all(move is None for move in moves):
            yield False
            return
        self._moves = iter(moves)
        try:
            yield True
        finally:
            self._moves = None

    def _along(self, gradient: Tensor | None) -> Tensor | None:
        if gradient is None:
            return None
        length = gradient.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None]
        return (self._size * gradient / length).detach()

    def leave(self) -> None:
        """Stop watching."""
        self._hook.remove()
