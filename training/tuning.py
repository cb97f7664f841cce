"""Which weights of an encoder learn: all of them, or those that PEFT adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from monitor.understand.network import Network
from training.recipe import Recipe, Tuning

MERGED = ("lora", "adalora", "ia3")
"""Methods whose weights become part of the encoder's own matrices; the others need it whole or change nothing in it."""


def tuned(encoder: nn.Module, tuning: Tuning, *, dropout: float, steps: int) -> nn.Module:
    """The encoder ready to learn by a method.

    Args:
        steps: of the whole run; AdaLoRA spreads its pruning over them.
    """
    if tuning.method == "full":
        return encoder
    if tuning.method == "heads":
        return encoder.requires_grad_(False)
    from peft import get_peft_model

    return get_peft_model(encoder, _config(tuning, dropout, steps))


def _config(tuning: Tuning, dropout: float, steps: int) -> Any:
    """PEFT's description of the method."""
    from peft import AdaLoraConfig, IA3Config, LoraConfig, PrefixTuningConfig, PromptTuningConfig, TaskType

    targets = list(tuning.adapt)
    if tuning.method == "lora":
        return LoraConfig(r=tuning.rank, lora_alpha=tuning.alpha, lora_dropout=dropout, target_modules=targets)
    if tuning.method == "adalora":
        return AdaLoraConfig(
            init_r=tuning.rank + tuning.rank // 2,
            target_r=tuning.rank,
            lora_alpha=tuning.alpha,
            lora_dropout=dropout,
            target_modules=targets,
            total_step=max(steps, 10),
            tinit=steps // 10,
            tfinal=steps // 3,
            deltaT=max(1, steps // 100),
        )
    if tuning.method == "ia3":
        # (IA)³ scales keys, values and what enters the second feed-forward matrix (Liu et al. 2022).
        return IA3Config(target_modules=["key", "value", "output.dense"], feedforward_modules=["output.dense"])
    count = tuning.virtual_tokens
    if tuning.method == "prefix":
        return PrefixTuningConfig(task_type=TaskType.FEATURE_EXTRACTION, num_virtual_tokens=count)
    return PromptTuningConfig(task_type=TaskType.FEATURE_EXTRACTION, num_virtual_tokens=count)


def heads_of(network: Network) -> dict[str, Tensor]:
    """The heads' weights, in float32."""
    state = network.state_dict()
    return {
        name: value.detach().float().cpu().contiguous()
        for name, value in state.items()
        if name.startswith(("sentiment.", "topics."))
    }


def adapters_of(network: Network) -> dict[str, Tensor]:
    """Low-rank adapters under the names a bundle uses, in float16; of AdaLoRA the singular values are in A."""
    state = network.state_dict()
    found = {}
    for name, value in state.items():
        if ".lora_" not in name:
            continue
        matrix, which = name.removeprefix("encoder.base_model.model.").split(".lora_", 1)
        which = which.removeprefix("embedding_")
        if which[0] not in "AB":
            continue
        value = value.detach().float().cpu()
        scales = state.get(f"encoder.base_model.model.{matrix}.lora_E.default")
        if scales is not None and which[0] == "A":
            value = value * scales.detach().float().cpu()
        found[f"encoder.{matrix}.lora_{which[0].lower()}"] = value.to(torch.float16).contiguous()
    return found


def merged(network: Network) -> dict[str, Tensor]:
    """Every weight of the encoder with what was learned in it, float32, under the encoder's own names."""
    encoder = network.encoder
    if hasattr(encoder, "merge_and_unload"):
        encoder = encoder.merge_and_unload()  # type: ignore[operator]
    return {name: value.detach().float().cpu().contiguous() for name, value in encoder.named_parameters()}


def scale_of(recipe: Recipe, network: Network) -> tuple[int, float]:
    """Rank and alpha as a bundle writes them, so that alpha / rank is what PEFT multiplied by."""
    if recipe.tuning.method == "adalora":
        for module in network.modules():
            if hasattr(module, "scaling") and hasattr(module, "ranknum"):
                ranks = float(module.ranknum["default"]) or 1.0  # type: ignore[index]
                return 1, float(module.scaling["default"]) / (ranks + 1e-5)  # type: ignore[index]
    return recipe.tuning.rank, float(recipe.tuning.alpha)


def counts(model: nn.Module) -> Mapping[str, int]:
    """How many weights there are and how many learn."""
    every = list(model.parameters())
    return {
        "weights": sum(value.numel() for value in every),
        "learn": sum(value.numel() for value in every if value.requires_grad),
    }
