"""The encoder a bundle stores, put together: adapters or a difference upon its base, or all of it.

The tensors of a bundle are named after the network's own: `sentiment.*`, `topics.*` and, below `encoder.`,

    adapters   NAME.lora_a, NAME.lora_b: low-rank, merged into the base's matrix NAME
    delta      NAME.codes, NAME.scales (few bits) or NAME (float16): added to the base's weight NAME
    whole      the same, but these are the weights; config.json and tokenizer.json lie in the bundle

and, with any of them, `prompt` or `prefix`: learned tokens that stand before every text (`prompts.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from monitor.understand.encoders import blank_encoder, find_encoder, load_encoder, load_tokenizer
from monitor.understand.network import merge_adapters
from monitor.understand.prompts import Prefixed, Prompted
from monitor.understand.quantised import BLOCK, restore

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from monitor.understand.manifest import Encoder


def build(folder: Path, described: Encoder, tensors: Mapping[str, Tensor]) -> tuple[nn.Module, Tokenizer]:
    """The encoder in float32 with everything that was taught in it, and its tokenizer.

    Args:
        tensors: those below `encoder.`, without that prefix.

    Raises:
        BundleError: its base cannot be had, or is not the one it was taught on.
        KeyError, ValueError: the tensors do not fit.
    """
    weights = {name: value for name, value in tensors.items() if name not in ("prompt", "prefix")}
    if described.form == "whole":
        base = folder
        encoder = blank_encoder(folder)
        _put(encoder, weights, add=False)
    else:
        base = find_encoder(described.source, beside=folder)
        encoder = load_encoder(base)
        if described.form == "delta":
            _put(encoder, weights, add=True)
        elif weights:
            merge_adapters(encoder, weights, scale=described.alpha / described.rank)
    return _with_tokens(encoder, described, tensors), load_tokenizer(base)


def _with_tokens(encoder: nn.Module, described: Encoder, tensors: Mapping[str, Tensor]) -> nn.Module:
    learned = tensors.get("prompt", tensors.get("prefix"))
    if learned is None:
        return encoder
    longest = int(getattr(encoder.config, "max_position_embeddings", 0))
    if longest and len(learned) + described.max_tokens > longest:
        raise ValueError(f"{len(learned)} tokens before windows of {described.max_tokens} are over {longest} positions")
    return (Prompted if "prompt" in tensors else Prefixed)(encoder, learned.float()).eval()


def _put(encoder: nn.Module, tensors: Mapping[str, Tensor], *, add: bool) -> None:
    weights = dict(encoder.named_parameters())
    names = {name.removesuffix(".codes").removesuffix(".scales") for name in tensors}
    if names - set(weights) or (not add and set(weights) - names):
        raise KeyError(f"weights {sorted(names ^ set(weights))[:3]} missing or unknown")
    with torch.no_grad():
        for name in names:
            weight = weights[name]
            if name in tensors:
                value = tensors[name].float()
            else:
                codes, scales = tensors[f"{name}.codes"].numpy(), tensors[f"{name}.scales"].numpy()
                bits = codes.size * 8 // (max(1, len(scales)) * BLOCK)
                value = torch.from_numpy(restore(codes, scales, bits, tuple(weight.shape)))
            if value.shape != weight.shape:
                raise ValueError(f"{name} has shape {tuple(value.shape)} instead of {tuple(weight.shape)}")
            weight.add_(value) if add else weight.copy_(value)
