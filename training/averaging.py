"""One network of the mean weights of bundles that were taught from the same encoder, each by a recipe of its own.

It costs as much to run as one of them (Wortsman et al. 2022, "Model soups"). What each learned apart must lie near
enough to the other's for the mean to mean something, so the mean is calibrated and measured like any run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monitor.errors import InputError
from monitor.understand.encoders import load_encoder, load_tokenizer
from monitor.understand.manifest import WEIGHTS, Manifest, read_manifest
from monitor.understand.network import Network
from monitor.understand.stored import build
from training.continual import heads_for
from training.recipe import Recipe

NOT_ENCODER = ("prompt", "prefix")


def check_averaged(recipe: Recipe, topics: Sequence[str]) -> None:
    """Make sure that the bundles of a recipe can be averaged, before any work is done.

    Raises:
        InputError: one is of another encoder, lacks a topic or sentiment toward companies, or reads learned tokens.
        BundleError: a folder is no bundle.
    """
    for folder in recipe.average.bundles:
        manifest, choice = read_manifest(Path(folder)), recipe.encoder
        described = manifest.encoder
        if described is None or choice is None or (described.name, described.pooling) != (choice.name, choice.pooling):
            raise InputError(
                f"average.bundles: {folder} was not taught from the encoder of this recipe, with its pooling"
            )
        lacking = [topic for topic in topics if topic not in manifest.topics]
        if lacking:
            raise InputError(f"average.bundles: {folder} does not know the topics {', '.join(lacking)}")
        if recipe.toward and not manifest.toward:
            raise InputError(f"average.bundles: {folder} was not taught sentiment toward each of several companies")


def averaged(recipe: Recipe, base: Path, topics: Sequence[str]) -> Network:
    """The mean of the bundles of a recipe.

    Args:
        base: folder of the encoder that the mean is stored as; of its vocabulary, pieces that a bundle lacks stay as
            they are in it.
        topics: of the topic head, in its order.

    Raises:
        InputError: a bundle's weights have another shape, or learned tokens stand in front of its texts.
    """
    encoder = load_encoder(base)
    network = Network(encoder, pooling=recipe.encoder.pooling if recipe.encoder else "mean", topics=len(topics))
    start = {name: value.detach().clone() for name, value in network.state_dict().items()}
    pieces = load_tokenizer(base).get_vocab()
    folders = [Path(folder) for folder in recipe.average.bundles]
    total: dict[str, Tensor] = {}
    for folder in folders:
        for name, value in _weights(folder, start, pieces, topics).items():
            total[name] = total.get(name, torch.zeros(())) + value / len(folders)
    network.load_state_dict(total, strict=False)
    return network.eval()


def _weights(
    folder: Path, start: dict[str, Tensor], pieces: dict[str, int], topics: Sequence[str]
) -> dict[str, Tensor]:
    """The weights of a bundle under the names, and in the shapes, of a network."""
    from safetensors.torch import load_file

    manifest: Manifest = read_manifest(folder)
    if manifest.encoder is None:
        raise InputError(f"average.bundles: {folder} is linear")
    tensors = load_file(folder / WEIGHTS)
    parts = {name.removeprefix("encoder."): value for name, value in tensors.items() if name.startswith("encoder.")}
    if set(NOT_ENCODER) & set(parts):
        raise InputError(f"average.bundles: {folder} was made by prefix or prompt tuning, whose mean means nothing")
    encoder, tokenizer = build(folder, manifest.encoder, parts)
    words: Any = encoder.get_input_embeddings().weight  # type: ignore[operator]
    found: dict[str, Tensor] = {}
    for name, weight in encoder.named_parameters():
        own = f"encoder.{name}"
        found[own] = weight.detach().float()
        if weight is words:
            found[own] = _rows(found[own], tokenizer.get_vocab(), start[own], pieces)
    found |= heads_for(tensors, manifest.topics, topics)
    for name, value in found.items():
        if name not in start or start[name].shape != value.shape:
            raise InputError(f"average.bundles: {folder} holds {name} in another shape than the encoder of this recipe")
    return found


def _rows(words: Tensor, known: dict[str, int], start: Tensor, pieces: dict[str, int]) -> Tensor:
    """The embeddings of a vocabulary's pieces, taken from those of another where it has them."""
    rows = start.float().clone()
    both = [(place, known[piece]) for piece, place in pieces.items() if piece in known]
    here, there = (torch.tensor(places) for places in zip(*both, strict=True))
    rows[here] = words[there]
    return rows
