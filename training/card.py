"""The model card: what a model is, what it learned from, how good it is, where it is weak.

A training run writes it; `bellwether evaluate --card` writes its numbers anew.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from monitor.errors import InputError
from monitor.understand.bundle import Bundle
from monitor.understand.encoders import sha256
from monitor.understand.manifest import MANIFEST, Encoder, Manifest
from monitor.understand.topics import Taxonomy
from training.corpus import Corpus
from training.data.doubles import fingerprint
from training.data.examples import Example, counted
from training.evaluation.account import account, out_of_bounds
from training.evaluation.summary import metrics
from training.recipe import Recipe

CARD = "MODEL_CARD.md"
HELD_OUT = "held-out slice"
"""What stands for the held-out texts among the files of an examination."""
GOOD, WEAK = "## How good it is", "## Where it is weak"
_BIAS = "- Bias out of bounds, "
_NO_LIMITS = "Nobody has written its limits yet."


def write_card(
    folder: Path,
    recipe: Recipe,
    manifest: Manifest,
    corpus: Corpus,
    examination: Mapping[str, Any],
    taxonomy: Taxonomy,
) -> None:
    """Write `MODEL_CARD.md` from a run.

    Args:
        examination: what `examine` found on the written bundle; texts of test files that the recipe lets quote are
            shown where the model is wrong.
    """
    parts = [f"# {manifest.name} {manifest.version}", "", recipe.summary, ""]
    parts += _made(recipe, manifest)
    parts += _learned(recipe, manifest, corpus)
    quotable = {file.file for file in recipe.test if file.quote}
    parts += _measured(examination, manifest, taxonomy, quotable)
    parts += [*_weak([f"- {limit}" for limit in recipe.limits], examination), ""]
    (folder / CARD).write_text("\n".join(parts), encoding="utf-8")


def update_card(
    bundle: Bundle, examination: Mapping[str, Any], taxonomy: Taxonomy, *, quotable: Collection[str] = ()
) -> None:
    """Write the numbers of an examination into the card and the manifest of a bundle, in place of those there.

    The rest of the card stays, but for what it says of bias where bias was measured anew; numbers of other files in the
    manifest stay too.

    Raises:
        InputError: the folder has no card with the two headings between which the numbers stand.
    """
    path = bundle.folder / CARD
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    begin, end = text.find(f"{GOOD}\n"), text.find(f"{WEAK}\n")
    if not 0 <= begin < end:
        raise InputError(f"{path}: has no section {GOOD!r} before {WEAK!r} to write the numbers in")
    measured = "\n".join(_measured(examination, bundle.manifest, taxonomy, quotable))
    after = text.find("\n## ", end)
    limits, rest = (text[end:], "") if after < 0 else (text[end:after], text[after:])
    weak = "\n".join(_weak(limits.rstrip().splitlines()[1:], examination))
    path.write_text(f"{text[:begin]}{measured}\n{weak}\n{rest}", encoding="utf-8")
    manifest = replace(
        bundle.manifest,
        metrics={**bundle.manifest.metrics, **metrics(examination)},
        files={**bundle.manifest.files, CARD: sha256(path)},
    )
    write_manifest(bundle.folder, manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `bundle.json`."""
    tree = {name: value for name, value in dataclasses.asdict(manifest).items() if value is not None}
    (folder / MANIFEST).write_text(json.dumps(tree, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _measured(
    examination: Mapping[str, Any], manifest: Manifest, taxonomy: Taxonomy, quotable: Collection[str]
) -> list[str]:
    lines = account(examination, manifest.thresholds, taxonomy, quotable=quotable, own=(HELD_OUT,))
    return [GOOD, "", "Measured by `bellwether evaluate` on the weights of this folder.", "", *lines]


def _weak(limits: Sequence[str], examination: Mapping[str, Any]) -> list[str]:
    """The section on what is weak: its lines as they are, and the groups of words whose bias is out of bounds."""
    bias = examination["bias"]
    kept = [line for line in limits if line != _NO_LIMITS and not (bias and line.startswith(_BIAS))]
    while kept and not kept[0]:
        kept = kept[1:]
    kept += [f"- {line}" for line in out_of_bounds(bias)]
    return [WEAK, "", *(kept or [_NO_LIMITS])]


def _made(recipe: Recipe, manifest: Manifest) -> list[str]:
    lines = ["## What it is", "", f"- languages: {', '.join(manifest.languages)}"]
    if manifest.encoder is not None:
        encoder, plan = manifest.encoder, recipe.schedule
        lines += [
            f"- encoder: {encoder.name} at revision {encoder.revision or 'not pinned'}, {encoder.pooling} pooling",
            f"- this folder holds two linear heads and {_held(encoder)}",
            f"- windows of {encoder.max_tokens} tokens; taught on texts cut at {plan.max_tokens} tokens",
            f"- the mean of the weights of {len(recipe.average.bundles)} bundles, each taught by a recipe of its own"
            if recipe.average.bundles
            else f"- taught by {recipe.tuning.method} for {plan.epochs:g} epochs, batch {plan.batch * plan.accumulate}"
            f", peak rate {plan.rate:g} (encoder) and {plan.head_rate:g} (heads), {plan.curve}, seed {plan.seed}",
        ]
    if manifest.wide is not None:
        wide = manifest.wide
        lines += [
            f"- linear heads over character n-grams of length {wide.ngrams.low} to {wide.ngrams.high} "
            f"({wide.ngrams.buckets:,} buckets) beside the encoder's; their logits count {wide.sentiment:g} for "
            f"sentiment, {wide.topics:g} for topics"
            + (f", {wide.toward:g} for sentiment toward a company" if manifest.toward else ""),
        ]
    if manifest.ngrams is not None:
        ngrams = manifest.ngrams
        lines += [
            f"- linear heads over character n-grams of length {ngrams.low} to {ngrams.high}, hashed into "
            f"{ngrams.buckets:,} buckets, TF-IDF weighted",
        ]
    temperature = manifest.temperature
    lines += [
        f"- sentiment: {', '.join(manifest.sentiment)}; temperature {temperature.sentiment:g}",
        f"- {len(manifest.topics)} topics, each with its own threshold; temperature {temperature.topics:g}",
        "",
    ]
    return lines


def _held(encoder: Encoder) -> str:
    size = "16-bit floats" if encoder.bits == 16 else f"{encoder.bits} bits a weight"
    if encoder.form == "whole":
        return f"the whole encoder in {size}"
    if encoder.form == "delta":
        return f"what was learned as a difference upon the encoder, in {size}"
    return f"adapters of rank {encoder.rank} (alpha {encoder.alpha:g}), merged into the encoder when it is loaded"


def _near_copies(corpus: Corpus) -> list[str]:
    """What became of taught texts that are nearly tested ones."""
    lines = [
        f"{len(near.pairs):,} texts that are near copies of {near.tested:,} of {file} "
        + ("were taught, so numbers on that file flatter." if file in corpus.near_taught else "were not taught.")
        for file, near in corpus.near_leaks.items()
        if near.pairs
    ]
    return [*lines, ""] if lines else []


def _whole(rows: Iterable[Example]) -> list[Example]:
    """The texts as they were written, each once however often it is taught, and none marked for a company."""
    return list({fingerprint(row.text): row for row in rows if row.target is None}.values())


def _learned(recipe: Recipe, manifest: Manifest, corpus: Corpus) -> list[str]:
    lines = [
        "## What it learned from",
        "",
        "| file | rows | what | licence | SHA-256 |",
        "| --- | --- | --- | --- | --- |",
    ]
    for data in manifest.training_data:
        lines.append(f"| {data.file} | {data.rows:,} | {data.origin} | {data.licence} | `{data.sha256[:16]}…` |")
    taught, held = counted(_whole(corpus.taught)), counted(_whole(corpus.held))
    marked = {(fingerprint(row.text), row.target) for row in corpus.taught if row.target is not None}
    beside = f", and {len(marked):,} made of them, each marked for one of its companies" if marked else ""
    lines += [
        "",
        f"Without doubles {taught['texts']:,} texts were taught{beside}; {held['texts']:,} were held out to choose "
        "temperatures and thresholds, so numbers on them flatter a little.",
        "",
        *_near_copies(corpus),
        *([f"How the recipe was chosen: {recipe.chosen}", ""] if recipe.chosen else []),
        "Taught sentiment: " + ", ".join(f"{label} {n:,}" for label, n in taught["sentiment"].items()) + ".",
        "",
    ]
    return lines
