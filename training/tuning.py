"""Which weights of an encoder learn: all of them, or those that PEFT adds."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from monitor.errors import InputError
from monitor.understand.network import Network
from training.recipe import Recipe, Tuning

BESIDE = ("heads", "prefix", "prompt")
"""Methods that change nothing in the encoder; the others' weights become part of its own matrices."""


def tuned(encoder: nn.Module, tuning: Tuning, *, dropout: float, steps: int, length: int = 0) -> nn.Module:
    """The encoder ready to learn by a method.

    Args:
        steps: of the whole run; AdaLoRA spreads its pruning over them.
        length: tokens of the longest text, in training and in service.

    Raises:
        InputError: the method does not fit this kind of encoder, its tokens and the text's are too many for it, or
            there is nothing to freeze.
    """
    if tuning.method == "full":
        _freeze(encoder, tuning.freeze)
        return encoder
    if tuning.freeze:
        raise InputError(
            f"tuning.freeze: {tuning.method} leaves all of the encoder's own weights as they are; set it to [] or "
            "tuning.method to full"
        )
    if tuning.method == "heads":
        return encoder.requires_grad_(False)
    kind = encoder.config.model_type  # type: ignore[union-attr]
    if tuning.method == "prefix" and "past_key_values" not in inspect.signature(encoder.forward).parameters:
        raise InputError(f"tuning.method: prefix tuning cannot reach the attention of {kind}; use prompt or lora")
    longest = positions(encoder)
    if tuning.method in ("prefix", "prompt") and 0 < longest < length + tuning.virtual_tokens:
        raise InputError(
            f"tuning.virtual_tokens: {tuning.virtual_tokens} and texts of {length} tokens are over the {longest} "
            "positions of the encoder; make max_tokens smaller"
        )
    from peft import get_peft_model

    try:
        network = get_peft_model(encoder, _config(tuning, dropout, steps))
    except ValueError as error:
        # PEFT finds no matrix of these names.
        names = sorted(
            {name.rsplit(".", 1)[-1] for name, part in encoder.named_modules() if isinstance(part, nn.Linear)}
        )
        said = " ".join(str(error).split())[:120]
        raise InputError(
            f"tuning: {tuning.method} does not fit {kind} ({said}); its matrices are called {', '.join(names)}: "
            "name some of them in tuning.adapt, or leave it empty"
        ) from None
    if tuning.method in ("prefix", "prompt"):
        # PEFT holds the word embeddings a second time, under a name of its own; a checkpoint must hold them once.
        words = network._modules.pop("word_embeddings", None)
        object.__setattr__(network, "word_embeddings", words)
    if tuning.method == "prefix":
        # Keys and values of unit size would drown the text's; the smallest start is nearly the encoder as it was.
        nn.init.normal_(network.prompt_encoder["default"].embedding.weight, std=0.02)
    return network


def _freeze(encoder: nn.Module, beginnings: Sequence[str]) -> None:
    """Keep the weights whose names begin so from learning."""
    weights = dict(encoder.named_parameters())
    for beginning in beginnings:
        found = [value for name, value in weights.items() if name.startswith(beginning)]
        if not found:
            parts = [name.split(".") for name in weights]
            known = dict.fromkeys(".".join(part[:count]) for part in parts for count in range(1, len(part) + 1))
            close = difflib.get_close_matches(beginning, known, n=1, cutoff=0.0)
            raise InputError(f"tuning.freeze: no weight's name begins with {beginning}; did you mean {close[0]}?")
        for value in found:
            value.requires_grad_(False)


def positions(encoder: nn.Module) -> int:
    """Tokens of the longest text that an encoder has positions for; 0: it keeps no table of them.

    RoBERTa and its kin count on from the padding's id, so that 514 rows are 512 positions; their table knows that id.
    """
    for name, part in encoder.named_modules():
        if name.endswith("position_embeddings") and isinstance(part, nn.Embedding):
            return part.num_embeddings - (0 if part.padding_idx is None else part.padding_idx + 1)
    return 0


def check(recipe: Recipe, encoder: nn.Module) -> None:
    """Raises InputError where a recipe asks for longer texts, or for less memory, than an encoder and a method can."""
    longest = positions(encoder)
    lengths = {"schedule.max_tokens": recipe.schedule.max_tokens}
    if recipe.encoder is not None:
        lengths["encoder.max_tokens"] = recipe.encoder.max_tokens
    if recipe.pretrain.epochs:
        lengths["pretrain.max_tokens"] = recipe.pretrain.max_tokens
    for key, length in lengths.items():
        if 0 < longest < length:
            raise InputError(f"{key}: {length} tokens are over the {longest} positions of the encoder; make it smaller")
    if not recipe.schedule.checkpointing:
        return
    if recipe.tuning.method == "prefix":
        # transformers leaves keys and values from outside away when a layer is computed twice.
        raise InputError("schedule.checkpointing: a prefix would not be read; use prompt or lora, or leave it out")
    if not getattr(encoder, "supports_gradient_checkpointing", False):
        kind = encoder.config.model_type  # type: ignore[union-attr]
        raise InputError(f"schedule.checkpointing: {kind} cannot compute its layers twice; leave it out")


def _config(tuning: Tuning, dropout: float, steps: int) -> Any:
    """PEFT's description of the method."""
    from peft import AdaLoraConfig, IA3Config, LoraConfig, PrefixTuningConfig, PromptTuningConfig, TaskType

    targets = list(tuning.adapt) or "all-linear"
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
        # Which matrices these are PEFT knows of the usual kinds of encoder; of others what comes out is scaled.
        return IA3Config(target_modules=list(tuning.adapt), feedforward_modules=[]) if tuning.adapt else IA3Config()
    count = tuning.virtual_tokens
    if tuning.method == "prefix":
        return PrefixTuningConfig(task_type=TaskType.FEATURE_EXTRACTION, num_virtual_tokens=count)
    # Embeddings of random pieces are a better start than noise (Lester et al. 2021, section 3.2).
    return PromptTuningConfig(
        task_type=TaskType.FEATURE_EXTRACTION, num_virtual_tokens=count, prompt_tuning_init="SAMPLE_VOCAB"
    )


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


def tokens_of(network: Network) -> dict[str, Tensor]:
    """The learned tokens of prefix and prompt tuning under the names a bundle uses, in float32; else nothing."""
    config = getattr(network.encoder, "active_peft_config", None)
    if config is None or not config.is_prompt_learning:
        return {}
    weight = network.encoder.prompt_encoder["default"].embedding.weight  # type: ignore[union-attr, index]
    name = "prefix" if config.peft_type.value == "PREFIX_TUNING" else "prompt"
    return {f"encoder.{name}": weight.detach().float().cpu().contiguous()}


def merged(network: Network) -> dict[str, Tensor]:
    """Every weight of the encoder with what was learned in it, float32, under the encoder's own names.

    The network must not be used afterwards.
    """
    encoder: Any = network.encoder
    if tokens_of(network):
        encoder = encoder.get_base_model()
    elif hasattr(encoder, "merge_and_unload"):
        encoder = encoder.merge_and_unload()
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
