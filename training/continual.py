"""Continual training: a bundle learns from new texts, with a share of the old ones mixed in, and tells what it forgot.

Replay of old examples is the plainest guard against forgetting and hard to beat (Rolnick et al. 2019, "Experience
Replay for Continual Learning").
"""

from __future__ import annotations

import logging
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monitor.errors import InputError
from monitor.understand.bundle import Bundle
from monitor.understand.encoders import find_encoder
from monitor.understand.manifest import Manifest, read_manifest
from monitor.understand.stored import build
from monitor.understand.topics import Taxonomy
from training.bases import Base
from training.corpus import Corpus, path_of
from training.data.examples import Example
from training.evaluation.tasks import evaluate_examples
from training.recipe import EncoderChoice, Recipe

log = logging.getLogger(__name__)
NOTICED = 0.02
"""A class whose F1 fell by more than this is called forgotten."""


def gone_on(recipe: Recipe) -> tuple[Recipe, Manifest]:
    """The recipe with the encoder of the bundle it goes on from, and that bundle's manifest.

    Raises:
        InputError: the bundle is of another kind, or knows what this run would not teach.
        BundleError: there is no such bundle.
    """
    changed, manifest = of_bundle(recipe, recipe.continual.bundle, "continual.bundle")
    if manifest.wide is not None and not recipe.wide:
        raise InputError(
            f"continual.bundle: {recipe.continual.bundle} has linear heads beside its encoder's; set wide = true, so "
            "that the new bundle gets some too (they are taught anew, on the texts of this run)"
        )
    if manifest.toward and not recipe.toward:
        raise InputError(
            f"continual.bundle: {recipe.continual.bundle} was taught sentiment toward each of several companies; set "
            "toward = true, so that the new bundle is asked for it too"
        )
    return changed, manifest


def of_bundle(recipe: Recipe, folder: str, key: str) -> tuple[Recipe, Manifest]:
    """The recipe with the encoder of a bundle, and that bundle's manifest.

    Args:
        key: of the recipe, that names the folder.

    Raises:
        InputError: the bundle is linear.
        BundleError: there is no such bundle.
    """
    manifest = read_manifest(Path(folder))
    described = manifest.encoder
    if described is None:
        raise InputError(f"{key}: {folder} is linear; only a bundle with an encoder will do")
    choice = EncoderChoice(
        name=described.name,
        revision=described.revision,
        pooling=described.pooling,
        max_tokens=described.max_tokens if recipe.encoder is None else recipe.encoder.max_tokens,
    )
    return recipe.model_copy(update={"encoder": choice}), manifest


def mixed(recipe: Recipe, corpus: Corpus, known: Sequence[str], data: Path) -> Corpus:
    """The corpus with only so many texts of files marked `old` that they are the recipe's share of what is taught.

    Topics that only the bundle knows stay among those of the run; no text teaches them, and none unteaches them.

    Args:
        known: the topics of the bundle.
    """
    old_files = {path_of(data, file.file).name for file in recipe.train if file.old}
    both = old_files & {path_of(data, file.file).name for file in recipe.train if not file.old}
    if both:
        raise InputError(f"recipe {recipe.name}: {sorted(both)[0]} is the name of an old and of a new file; rename one")
    new: list[Example] = []
    old: list[Example] = []
    is_old = False
    for row in corpus.taught:
        if row.origin:
            is_old = row.origin.rpartition(":")[0] in old_files
        (old if is_old else new).append(row)  # a text marked for an entity follows the one it was made of
    if not new:
        raise InputError(f"recipe {recipe.name}: every training file is marked old; name one with new texts")
    share = recipe.continual.replay
    count = min(len(old), round(share / (1 - share) * len(new)))
    replayed = random.Random(recipe.schedule.seed).sample(old, count)
    log.info("%s: %d new texts, %d of %d old ones replayed", recipe.name, len(new), count, len(old))

    # A new file knows nothing of a topic that it does not name, so it must not say that its texts lack it.
    named = [tuple(sorted({topic for row in rows for topic in row.topics or ()})) for rows in (new, old)]

    def restricted(row: Example, of_old: bool) -> Example:
        return row if row.topics is None or row.among is not None else replace(row, among=named[of_old])

    return replace(
        corpus,
        taught=[*(restricted(row, False) for row in new), *(restricted(row, True) for row in replayed)],
        held=[restricted(row, row.origin.rpartition(":")[0] in old_files) for row in corpus.held],
        topics=tuple(sorted({*corpus.topics, *known})),
    )


def opened(folder: Path, manifest: Manifest, topics: Sequence[str], workplace: Path) -> tuple[Base, dict[str, Tensor]]:
    """The encoder of a bundle as one to start from, and its heads for the topics of the run.

    Raises:
        InputError: the bundle holds learned tokens in front of the text, which cannot be taught on.
    """
    from safetensors.torch import load_file, save_file

    described = manifest.encoder
    if described is None:
        raise InputError(f"continual.bundle: {folder} is linear; only encoders can be gone on with")
    tensors = load_file(folder / "weights.safetensors")
    parts = {name.removeprefix("encoder."): value for name, value in tensors.items() if name.startswith("encoder.")}
    if {"prompt", "prefix"} & set(parts):
        raise InputError(f"continual.bundle: {folder} was made by prefix or prompt tuning; go on from another")
    source = None if described.form == "whole" else find_encoder(described.source, beside=folder)
    made = workplace / "continued"
    if not (made / "complete").is_file():
        encoder, tokenizer = build(folder, described, parts)
        made.mkdir(parents=True, exist_ok=True)
        shutil.copyfile((source or folder) / "config.json", made / "config.json")
        tokenizer.save(str(made / "tokenizer.json"), pretty=False)
        state = {name: value.contiguous() for name, value in encoder.state_dict().items()}
        save_file(state, made / "model.safetensors", metadata={"format": "pt"})
        (made / "complete").touch()
    return Base(made, own=True, origin=source), heads_for(tensors, manifest.topics, topics)


def heads_for(tensors: Mapping[str, Tensor], known: Sequence[str], topics: Sequence[str]) -> dict[str, Tensor]:
    """The heads of a bundle for other topics, or the same in another order; those it does not know begin blank.

    Args:
        tensors: the bundle's; known: its topics.
    """
    heads = {name: tensors[name].float() for name in ("sentiment.weight", "sentiment.bias")}
    weight = torch.zeros(len(topics), tensors["topics.weight"].shape[1])
    bias = torch.full((len(topics),), -3.0)  # a topic is rare: start there, not at one half
    for place, topic in enumerate(topics):
        if topic in known:
            weight[place] = tensors["topics.weight"][list(known).index(topic)].float()
            bias[place] = tensors["topics.bias"][list(known).index(topic)].float()
    return heads | {"topics.weight": weight, "topics.bias": bias}


def forgetting(
    before: Bundle, after: Bundle, files: Mapping[str, Sequence[Example]], taxonomy: Taxonomy
) -> dict[str, list[dict[str, Any]]]:
    """By file, a row a class: `task`, `name`, F1 `before` and `after`, `texts`; and rows of each task's accuracy."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file, examples in files.items():
        then, now = (evaluate_examples(bundle, examples, taxonomy) for bundle in (before, after))
        rows: list[dict[str, Any]] = []
        for task in ("sentiment", "topics", "negative", "toward", "toward_bad"):
            if task not in then or task not in now:
                continue
            if then[task]["accuracy"] is not None and now[task]["accuracy"] is not None:
                pair = {"before": then[task]["accuracy"], "after": now[task]["accuracy"]}
                rows.append({"task": task, "name": "accuracy", "texts": then[task]["texts"], **pair})
            classes = now[task].get("classes", {})
            for name, row in classes.items():
                was = then[task].get("classes", {}).get(name)
                if row["texts"]:
                    earlier = None if was is None else was["f1"]
                    rows.append(
                        {"task": task, "name": name, "texts": row["texts"], "before": earlier, "after": row["f1"]}
                    )
        found[file] = rows
    return found


def forgetting_lines(report: Mapping[str, Sequence[Mapping[str, Any]]], before: str) -> list[str]:
    """The report as lines of a card: a table a file, and what was forgotten in words."""
    if not report:
        return [f"Taught on from {before}. The recipe has no test file that is there: what it forgot was not measured."]
    lines = [f"Taught on from {before}. F1 of each class before and after, on the same tests:", ""]
    worse = []
    for file, rows in report.items():
        lines += [f"| {file} | texts | before | after | change |", "| --- | --- | --- | --- | --- |"]
        for row in rows:
            then = row["before"]
            change = "new" if then is None else f"{row['after'] - then:+.4f}"
            shown = "" if then is None else f"{then:.4f}"
            lines.append(f"| {row['task']}: {row['name']} | {row['texts']} | {shown} | {row['after']:.4f} | {change} |")
            if then is not None and row["after"] < then - NOTICED:
                worse.append(f"{row['task']} {row['name']} ({file}: {change})")
        lines.append("")
    lines.append("Forgotten: " + "; ".join(worse) + "." if worse else "Nothing was forgotten that these tests show.")
    return lines
