"""What a bundle keeps of a taught encoder: adapters, the difference upon its base, or all of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import InputError
from monitor.understand.encoders import digests, load_encoder, load_tokenizer
from monitor.understand.manifest import Encoder
from monitor.understand.network import Network
from monitor.understand.quantised import quantise
from training.bases import Base
from training.recipe import Recipe
from training.tuning import BESIDE, adapters_of, heads_of, merged, scale_of, tokens_of

SMALL = 4_096
"""Arrays of fewer weights, and all vectors (biases, norms), stay in float16."""


def stored(recipe: Recipe, network: Network, base: Base, out: Path) -> tuple[dict[str, NDArray[Any]], Encoder]:
    """The tensors of a bundle and how its manifest describes the encoder. The network must not be used afterwards.

    Args:
        base: the encoder the network was taught from.
        out: of an encoder that is stored whole the config and tokenizer are copied there.

    Raises:
        InputError: the method's weights have no such form.
    """
    choice = recipe.encoder
    if choice is None:
        raise InputError(f"recipe {recipe.name}: names no encoder")
    form = form_of(recipe, base)
    tensors: dict[str, NDArray[Any]] = {name: value.numpy() for name, value in heads_of(network).items()}
    tensors |= {name: value.numpy().astype(np.float16) for name, value in tokens_of(network).items()}
    rank, alpha = 0, 0.0
    if form == "adapters":
        rank, alpha = scale_of(recipe, network) if recipe.tuning.method not in BESIDE else (0, 0.0)
        tensors |= {name: value.numpy() for name, value in adapters_of(network).items()}
    else:
        weights = {name: value.numpy() for name, value in merged(network).items()}
        if form == "delta" and base.public is not None:
            before = {name: value.detach().numpy() for name, value in load_encoder(base.public).named_parameters()}
            weights = {name: weights[name] - before[name] for name in weights}
            weights = {name: value for name, value in weights.items() if np.any(value)}
        tensors |= packed(weights, recipe.storage.bits, recipe.storage.embedding_bits)
        if form == "whole":
            out.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(base.folder / "config.json", out / "config.json")
            load_tokenizer(base.folder).save(str(out / "tokenizer.json"), pretty=False)
    described = Encoder(
        name=choice.name,
        revision=choice.revision,
        sha256={} if form == "whole" or base.public is None else digests(base.public),
        pooling=choice.pooling,
        max_tokens=choice.max_tokens,
        rank=rank,
        alpha=alpha,
        form=form,
        bits=recipe.storage.bits if form != "adapters" else 16,
    )
    return tensors, described


def packed(
    weights: Mapping[str, NDArray[np.float32]], bits: int, embedding_bits: int | None = None
) -> dict[str, NDArray[Any]]:
    """Weights under the names a bundle uses below `encoder.`: matrices in few bits, the rest in float16."""
    found: dict[str, NDArray[Any]] = {}
    for name, value in weights.items():
        few = embedding_bits if embedding_bits and "word_embeddings" in name else bits
        if few == 16 or value.ndim < 2 or value.size < SMALL:
            found[f"encoder.{name}"] = value.astype(np.float16)
        else:
            found[f"encoder.{name}.codes"], found[f"encoder.{name}.scales"] = quantise(value, few)
    return found


def form_of(recipe: Recipe, base: Base) -> Any:
    """In which form the bundle of a recipe holds its encoder: adapters, delta or whole.

    Raises:
        InputError: the form that the recipe asks for cannot hold what it teaches.
    """
    method, form = recipe.tuning.method, recipe.storage.form
    if base.public is None:
        if form not in ("auto", "whole"):
            raise InputError(f"recipe {recipe.name}: storage.form: an encoder made for this run is stored whole")
        return "whole"
    if base.own:
        if form == "adapters":
            raise InputError(
                f"recipe {recipe.name}: storage.form: adapters alone do not hold an encoder that was trained on "
                "before; use delta, whole or auto"
            )
        return "delta" if form == "auto" else form
    if form == "auto":
        return "adapters" if method in ("lora", "adalora", *BESIDE) else "delta"
    return form
