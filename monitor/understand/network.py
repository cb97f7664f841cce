"""The network: one shared encoder, two heads. Also how trained adapters are merged into the encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

Pooling = Literal["mean", "first"]


class Network(nn.Module):
    """A transformer encoder whose pooled output feeds a sentiment head and a topics head.

    Args:
        encoder: a Hugging Face encoder; called with input_ids and attention_mask, its output has
            `last_hidden_state` of shape (batch, length, hidden).
        pooling: "mean" over the real tokens, or the "first" token.
        topics: number of topics (sigmoid each); the sentiment head has three classes (softmax).
        dropout: share of the pooled values dropped in training.
    """

    def __init__(self, encoder: nn.Module, *, pooling: Pooling, topics: int, dropout: float = 0.0) -> None:
        super().__init__()
        hidden = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.encoder = encoder
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.sentiment = nn.Linear(hidden, 3)
        self.topics = nn.Linear(hidden, topics)
        nn.init.constant_(self.topics.bias, -3.0)  # a topic is rare: start there, not at one half

    def pooled(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Pooled states (batch, hidden), in float32, of (batch, length) token ids and their 0/1 mask."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        # Prompt tuning puts tokens of its own in front.
        return pool(states[:, states.shape[1] - attention_mask.shape[1] :].float(), attention_mask, self.pooling)

    def heads(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of pooled states: sentiment (batch, 3) and topics (batch, topics), in float32."""
        return self.sentiment(pooled).float(), self.topics(pooled).float()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of (batch, length) token ids: sentiment (batch, 3) and topics (batch, topics), in float32."""
        return self.heads(self.dropout(self.pooled(input_ids, attention_mask)))


def pool(states: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """(batch, length, hidden) token states to (batch, hidden); padding counts for nothing."""
    if pooling == "first":
        return states[:, 0]
    weight = mask.unsqueeze(-1).to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1).clamp(min=1)


def merge_adapters(encoder: nn.Module, tensors: Mapping[str, Tensor], *, scale: float) -> None:
    """Add low-rank adapters to the encoder's own matrices: W += scale · B · A, with scale = alpha / rank.

    Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1.

    Args:
        tensors: for each adapted matrix `NAME` (a module of the encoder) `NAME.lora_a` (rank, in) and
            `NAME.lora_b` (out, rank), in any float type; merged in float32. An embedding of n entries counts as
            a matrix (hidden, n).

    Raises:
        KeyError: an adapter whose matrix the encoder does not have, or half an adapter.
        ValueError: an adapter whose shape does not fit.
    """
    names = sorted({name.rsplit(".", 1)[0] for name in tensors})
    modules = dict(encoder.named_modules())
    for name in names:
        module = modules[name]
        weight = module.weight.T if isinstance(module, nn.Embedding) else module.weight
        a, b = tensors[f"{name}.lora_a"].float(), tensors[f"{name}.lora_b"].float()
        if a.shape[0] != b.shape[1] or (b.shape[0], a.shape[1]) != tuple(weight.shape):
            raise ValueError(f"adapter of {name}: {tuple(b.shape)} x {tuple(a.shape)} for {tuple(weight.shape)}")
        with torch.no_grad():
            weight.add_((scale * (b @ a)).to(weight.dtype))
