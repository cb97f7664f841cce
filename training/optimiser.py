"""AdamW with a rate of its own for the heads and, if asked, slower layers the deeper they lie."""

from __future__ import annotations

import re

import torch
from torch import nn

from training.recipe import Schedule

_LAYER = re.compile(r"\.layers?\.(\d+)\.")
_PLAIN = ("bias", "LayerNorm.weight", "layer_norm.weight", "norm.weight")


def make_optimiser(network: nn.Module, schedule: Schedule) -> torch.optim.AdamW:
    """The optimiser of a run.

    Layer-wise decay (Howard and Ruder 2018, "Universal Language Model Fine-tuning", section 3.2): layer n of N learns
    at rate · layer_decay^(N - 1 - n), the embeddings below all of them one step slower still. Biases and norms do not
    decay toward zero.
    """
    learning = [(name, value) for name, value in network.named_parameters() if value.requires_grad]
    depths = [int(found[1]) for name, _ in learning if (found := _LAYER.search(name))]
    layers = max(depths) + 1 if depths else 0
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, value in learning:
        if name.startswith("encoder."):
            found = _LAYER.search(name)
            below = layers - 1 - int(found[1]) if found else layers if "embeddings" in name else 0
            rate = schedule.rate * schedule.layer_decay**below
        else:
            rate = schedule.head_rate
        decay = 0.0 if name.endswith(_PLAIN) else schedule.weight_decay
        groups.setdefault((rate, decay), []).append(value)
    return torch.optim.AdamW(
        [{"params": values, "lr": rate, "weight_decay": decay} for (rate, decay), values in groups.items()],
        lr=schedule.rate,
        fused=True,  # one pass over the weights instead of ten: on a CPU small batches took half as long again without
    )
