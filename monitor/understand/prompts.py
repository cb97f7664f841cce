"""Encoders with learned tokens in front of every text: at the input (a prompt) or at every layer (a prefix).

The tokens stand before the text for attention only; what comes out are the states of the text's own tokens.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn


class _InFront(nn.Module):
    """An encoder that finds learned tokens in front of every text."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.config: Any = encoder.config
        self.encoder = encoder

    def get_input_embeddings(self) -> nn.Module:
        """The encoder's own."""
        found: nn.Module = self.encoder.get_input_embeddings()  # type: ignore[operator]
        return found


class Prompted(_InFront):
    """Prompt tuning (Lester, Al-Rfou and Constant 2021): embeddings that stand before those of the text.

    Args:
        prompt: (tokens, hidden).
    """

    def __init__(self, encoder: nn.Module, prompt: Tensor) -> None:
        super().__init__(encoder)
        width = self.get_input_embeddings().weight.shape[1]  # type: ignore[index]
        if prompt.ndim != 2 or prompt.shape[1] != width:
            raise ValueError(f"prompt of shape {tuple(prompt.shape)} for embeddings of {width}")
        self.prompt = nn.Parameter(prompt)

    def forward(
        self, input_ids: Tensor | None = None, *, attention_mask: Tensor, inputs_embeds: Tensor | None = None
    ) -> Any:
        """`last_hidden_state` (batch, length, hidden) for (batch, length) token ids, or (batch, length, hidden)
        embeddings of them, and their mask."""
        embedded = self.get_input_embeddings()(input_ids) if inputs_embeds is None else inputs_embeds
        prompt = self.prompt.to(embedded.dtype).expand(len(embedded), -1, -1)
        states = self.encoder(
            inputs_embeds=torch.cat([prompt, embedded], 1), attention_mask=_widened(attention_mask, len(self.prompt))
        ).last_hidden_state
        return SimpleNamespace(last_hidden_state=states[:, len(self.prompt) :])


class Prefixed(_InFront):
    """Prefix tuning (Li and Liang 2021): keys and values that every layer's attention finds before those of the text.

    Args:
        prefix: (tokens, layers · 2 · hidden); of each layer first the keys, then the values.
    """

    def __init__(self, encoder: nn.Module, prefix: Tensor) -> None:
        super().__init__(encoder)
        config = self.config
        self._layers, self._heads = int(config.num_hidden_layers), int(config.num_attention_heads)
        width = self._layers * 2 * int(config.hidden_size)
        if prefix.ndim != 2 or prefix.shape[1] != width:
            raise ValueError(f"prefix of shape {tuple(prefix.shape)} for keys and values of {width}")
        self.prefix = nn.Parameter(prefix)

    def forward(
        self, input_ids: Tensor | None = None, *, attention_mask: Tensor, inputs_embeds: Tensor | None = None
    ) -> Any:
        """`last_hidden_state` (batch, length, hidden) for (batch, length) token ids, or (batch, length, hidden)
        embeddings of them, and their mask."""
        from transformers import DynamicCache

        count = len(self.prefix)
        # To (layers · 2, heads, tokens, width of a head), the same for every text.
        parts = self.prefix.view(count, self._layers * 2, self._heads, -1).permute(1, 2, 0, 3)
        parts = parts.unsqueeze(1).expand(-1, len(attention_mask), -1, -1, -1)
        cache = DynamicCache([(parts[2 * layer], parts[2 * layer + 1]) for layer in range(self._layers)])
        return self.encoder(
            input_ids=input_ids,
            inputs_embeds=inputs_embeds,
            attention_mask=_widened(attention_mask, count),
            past_key_values=cache,
        )


def _widened(mask: Tensor, count: int) -> Tensor:
    return torch.cat([mask.new_ones(len(mask), count), mask], 1)
