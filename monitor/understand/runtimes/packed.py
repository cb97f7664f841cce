"""A BERT-like encoder over one long row of tokens: windows laid end to end, nothing padded, each seeing only itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from monitor.understand.network import Network

KINDS = ("bert", "roberta", "xlm-roberta", "camembert")
"""Model types whose layers are laid out as BERT's."""

Attend = Callable[[Tensor, int], Tensor]
"""Query, key and value side by side, (…, tokens, 3 · hidden), and the number of heads, to (…, tokens, hidden)."""


class PackedLayer(nn.Module):
    """One layer; query, key and value come from one product."""

    def __init__(self, layer: Any, config: Any) -> None:
        super().__init__()
        attention = layer.attention
        parts = (attention.self.query, attention.self.key, attention.self.value)
        self.heads = int(config.num_attention_heads)
        self.threefold = nn.Linear(parts[0].in_features, 3 * parts[0].out_features)
        with torch.no_grad():
            self.threefold.weight.copy_(torch.cat([part.weight for part in parts]))
            self.threefold.bias.copy_(torch.cat([part.bias for part in parts]))
        self.out, self.first_norm = attention.output.dense, attention.output.LayerNorm
        self.wide, self.narrow, self.second_norm = layer.intermediate.dense, layer.output.dense, layer.output.LayerNorm
        self.activation = layer.intermediate.intermediate_act_fn

    def forward(self, states: Tensor, attend: Attend) -> Tensor:
        """(…, tokens, hidden) to the same."""
        states = self.first_norm(states + self.out(attend(self.threefold(states), self.heads)))
        return self.second_norm(states + self.narrow(self.activation(self.wide(states))))


class PackedEncoder(nn.Module):
    """The encoder of a network, pooled.

    Raises:
        ValueError: it is not laid out as BERT's.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        encoder: Any = network.encoder
        config = encoder.config
        kind = config.model_type
        plain = getattr(config, "position_embedding_type", "absolute") in ("absolute", None)
        if kind not in KINDS or not plain or not hasattr(encoder, "embeddings"):
            raise ValueError(f"encoders of kind {kind} cannot be packed")
        embeddings = encoder.embeddings
        self.words, self.norm = embeddings.word_embeddings, embeddings.LayerNorm
        # RoBERTa counts positions from behind the padding's id.
        first = 0 if kind == "bert" else int(config.pad_token_id) + 1
        places = embeddings.position_embeddings.weight.detach()[first:]
        if hasattr(embeddings, "token_type_embeddings"):
            places = places + embeddings.token_type_embeddings.weight.detach()[0]
        self.register_buffer("places", places.clone())
        self.layers = nn.ModuleList(PackedLayer(layer, config) for layer in encoder.encoder.layer)
        self.pooling = network.pooling
        self.hidden = int(config.hidden_size)

    def embedded(self, ids: Tensor, positions: Tensor) -> Tensor:
        """What the first layer reads, (tokens, hidden), of token ids and where each stands in its window, from 0."""
        embedded: Tensor = self.norm(self.words(ids) + self.places[positions])  # type: ignore[index]
        return embedded

    def forward(self, ids: Tensor, positions: Tensor, bounds: Tensor, longest: int) -> Tensor:
        """Pooled states (windows, hidden), float32.

        Args:
            ids, positions: (tokens,).
            bounds: int32 (windows + 1,), where windows begin and end; one may be empty, its states mean nothing.
            longest: tokens of a window at most.
        """
        states = self.embedded(ids, positions)
        attend = partial(_attend, bounds=bounds, longest=longest)
        for layer in self.layers:
            states = layer(states, attend)
        states = states.float()
        if self.pooling == "first":
            return states[bounds[:-1].clamp(max=len(ids) - 1).long()]
        # Each window is added up by itself, token by token: an atomic sum would come in any order.
        return torch.segment_reduce(states, "mean", offsets=bounds.long(), axis=0, unsafe=True)


def _attend(threefold: Tensor, heads: int, *, bounds: Tensor, longest: int) -> Tensor:
    query, key, value = threefold.view(len(threefold), 3, heads, -1).unbind(1)
    return attention(query, key, value, bounds, longest).reshape(len(threefold), -1)


def attention(query: Tensor, key: Tensor, value: Tensor, bounds: Tensor, longest: int) -> Tensor:
    """Each token attends to those of its own window: (tokens, heads, size) to the same."""
    if query.is_cuda:
        from torch.nn.attention.varlen import varlen_attn

        found: Tensor = varlen_attn(query, key, value, bounds, bounds, longest, longest)  # type: ignore[assignment]
        return found
    # No such kernel on a CPU: window by window, which is how this path is tested there.
    out = torch.zeros_like(query)
    ends = bounds.tolist()
    for begin, end in pairwise(ends):
        if end > begin:
            q, k, v = (part[begin:end].transpose(0, 1)[None] for part in (query, key, value))
            out[begin:end] = functional.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1)
    return out
