"""Several runs that differ by their seed: their answers averaged, and one network of their mean weights.

The mean weights cost nothing when they run (Wortsman et al. 2022, "Model soups"); the greedy soup takes the members in
the order of their held-out scores and keeps each that does not make it worse. For the mean to mean something all
members begin at the same encoder and the same heads; only what they see in which order, and dropout, differ.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monitor.understand.bundle import Bundle
from monitor.understand.encoders import load_encoder
from monitor.understand.manifest import Encoder, Manifest
from monitor.understand.network import Network
from monitor.understand.stored import build
from monitor.understand.topics import Taxonomy
from training import processes
from training.bases import Base
from training.data.examples import Example
from training.evaluation.summary import summary
from training.evaluation.tasks import evaluate_examples
from training.finetune import Lesson, fine_tune, looked_at
from training.placing import placed
from training.recipe import Recipe
from training.rows import Rows
from training.storing import packed, stored
from training.tuning import heads_of

log = logging.getLogger(__name__)
Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Member:
    """One run of an ensemble, its weights in 16 bits, and its score on the held-out texts."""

    seed: int
    tensors: Tensors
    encoder: Encoder
    score: float


def members_of(
    recipe: Recipe, lesson: Lesson, base: Base, heads: Mapping[str, Tensor] | None, workplace: Path
) -> list[Member]:
    """Teach each member; one that was finished before the run was cut off is read from the workplace."""
    from safetensors.numpy import load_file, save_file

    begin = dict(heads) if heads is not None else _heads(recipe, base, len(lesson.topics))
    found = []
    for number in range(recipe.ensemble.members):
        seed = recipe.schedule.seed + number
        place = workplace / f"member-{number + 1}"
        if not (place / "taught.json").is_file():
            own = recipe.model_copy(update={"schedule": recipe.schedule.model_copy(update={"seed": seed})})
            network = fine_tune(own, lesson, base.folder, place, heads=begin)
            if processes.first():
                whole = recipe.storage.model_copy(update={"bits": 16, "embedding_bits": None})
                tensors, encoder = stored(recipe.model_copy(update={"storage": whole}), network, base, place)
                save_file(tensors, place / "taught.safetensors")
                described = dataclasses.asdict(encoder)
                described["score"] = score(recipe, lesson, tensors, encoder, place)
                with placed(place / "taught.json") as part:
                    part.write_text(json.dumps(described), encoding="utf-8")
        if processes.first():
            described = json.loads((place / "taught.json").read_text(encoding="utf-8"))
            value = float(described.pop("score"))
            log.info("%s: member %d: %.4f on the held-out texts", recipe.name, number + 1, value)
            found.append(Member(seed, load_file(place / "taught.safetensors"), Encoder(**described), value))
    return found


def soup(recipe: Recipe, lesson: Lesson, members: Sequence[Member], workplace: Path) -> tuple[Member, list[int]]:
    """The greedy soup, and which members (their seeds) are in it."""
    ranked = sorted(members, key=lambda member: -member.score)
    chosen, best = [ranked[0]], ranked[0]
    for member in ranked[1:]:
        tensors, encoder = mean([*chosen, member])
        value = score(recipe, lesson, tensors, encoder, workplace / "member-1")
        if value >= best.score:
            chosen.append(member)
            best = Member(ranked[0].seed, tensors, encoder, value)
    return best, [member.seed for member in chosen]


def mean(members: Sequence[Member]) -> tuple[Tensors, Encoder]:
    """The network of the members' mean weights, as a bundle stores it; of adapters the ranks are put side by side."""
    encoder, count = members[0].encoder, len(members)
    found: Tensors = {}
    for name in sorted({name for member in members for name in member.tensors}):
        parts = [member.tensors[name] for member in members if name in member.tensors]
        if name.endswith(".lora_a"):
            found[name] = np.concatenate(parts)
        elif name.endswith(".lora_b"):
            # (1/n) Σ BᵢAᵢ = [B₁/n … Bₙ/n][A₁; …; Aₙ], whatever the members' own A and B are.
            found[name] = (np.concatenate(parts, axis=1).astype(np.float32) / count).astype(parts[0].dtype)
        else:
            # A difference that is zero throughout is not stored.
            total = np.sum([part.astype(np.float32) for part in parts], axis=0) / count
            found[name] = np.asarray(total).astype(parts[0].dtype)
    return found, replace(encoder, rank=encoder.rank * count, alpha=encoder.alpha * count)


def in_bits(recipe: Recipe, member: Member) -> tuple[Tensors, Encoder]:
    """What a bundle holds of a member or soup: matrices in as few bits as the recipe says."""
    if member.encoder.form == "adapters":
        return member.tensors, member.encoder
    heads = {name: value for name, value in member.tensors.items() if not name.startswith("encoder.")}
    weights = {
        name.removeprefix("encoder."): value.astype(np.float32)
        for name, value in member.tensors.items()
        if name.startswith("encoder.")
    }
    store = recipe.storage
    return heads | packed(weights, store.bits, store.embedding_bits), replace(member.encoder, bits=store.bits)


def _heads(recipe: Recipe, base: Base, topics: int) -> dict[str, Tensor]:
    torch.manual_seed(recipe.schedule.seed)
    return heads_of(Network(load_encoder(base.folder), pooling="mean", topics=topics))


def score(recipe: Recipe, lesson: Lesson, tensors: Tensors, encoder: Encoder, folder: Path) -> float:
    """What a network scores on the held-out texts, as the looks of a run do.

    Args:
        folder: where the config of an encoder that is stored whole lies.
    """
    parts = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
    taught = {name.removeprefix("encoder."): value for name, value in parts.items() if name.startswith("encoder.")}
    model, tokenizer = build(folder, encoder, taught)
    network = Network(model, pooling=encoder.pooling, topics=len(lesson.topics))
    network.load_state_dict({n: v.float() for n, v in parts.items() if not n.startswith("encoder.")}, strict=False)
    return looked_at(network, Rows(lesson.held, lesson.topics, tokenizer, recipe.schedule.max_tokens))["score"]


class Average:
    """Several bundles as one that gives the mean of their probabilities; it can be examined, not stored."""

    def __init__(self, bundles: Sequence[Bundle]) -> None:
        self._bundles = bundles
        first = bundles[0].manifest
        thresholds = {t: float(np.mean([b.manifest.thresholds[t] for b in bundles])) for t in first.topics}
        self.manifest: Manifest = replace(first, thresholds=thresholds)

    def probabilities(self, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `Bundle.probabilities`."""
        each = [bundle.probabilities(texts) for bundle in self._bundles]
        return np.mean([part[0] for part in each], axis=0), np.mean([part[1] for part in each], axis=0)


def ensemble_lines(
    members: Sequence[Bundle],
    soup: Bundle,
    chosen: Sequence[int],
    files: Mapping[str, Sequence[Example]],
    taxonomy: Taxonomy,
) -> list[str]:
    """Members, their average and the soup side by side, as lines of a card."""
    many = len(members)
    lines = [
        f"{many} runs that differ by their seed; this folder holds the mean of the weights of {len(chosen)} of them "
        f"(seeds {', '.join(map(str, chosen))}), chosen greedily on the held-out texts. The average of all answers "
        f"takes {many} networks.",
        "",
    ]
    rows: list[tuple[str, Any]] = [(f"member {n + 1}", member) for n, member in enumerate(members)]
    rows += [("average of answers", Average(members)), ("mean of weights", soup)]
    for file, examples in files.items():
        found = {name: summary(evaluate_examples(bundle, examples, taxonomy)) for name, bundle in rows}
        wanted = ("sentiment_accuracy", "sentiment_macro_f1", "topics_accuracy", "topics_micro_f1", "negative_accuracy")
        columns = [name for name in wanted if name in found["mean of weights"]]
        lines += [f"| {file} | " + " | ".join(name.replace("_", " ") for name in columns) + " |"]
        lines += ["| --- " * (len(columns) + 1) + "|"]
        for name, numbers in found.items():
            lines.append(f"| {name} | " + " | ".join(f"{numbers[column]:.4f}" for column in columns) + " |")
        lines.append("")
    return lines
