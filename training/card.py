"""The model card a training run writes about what it made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monitor.documents import LABELS
from monitor.understand.manifest import Encoder, Manifest
from monitor.understand.topics import Taxonomy
from training.corpus import Corpus
from training.data.examples import counted
from training.recipe import Recipe

CARD = "MODEL_CARD.md"


def write_card(
    folder: Path,
    recipe: Recipe,
    manifest: Manifest,
    corpus: Corpus,
    reports: Mapping[str, Mapping[str, Any]],
    taxonomy: Taxonomy,
) -> None:
    """Write `MODEL_CARD.md`: what the model is, what it learned from, how good it is, where it is weak."""
    parts = [f"# {manifest.name} {manifest.version}", "", recipe.summary, ""]
    parts += _made(recipe, manifest)
    parts += _learned(recipe, manifest, corpus)
    parts += ["## How good it is", "", "Measured by the training run on the weights of this folder.", ""]
    parts += _overview(reports)
    for name, report in reports.items():
        if name != "held-out slice":
            parts += _details(name, report, manifest, taxonomy)
    parts += ["## Where it is weak", "", *[f"- {limit}" for limit in recipe.limits], ""]
    (folder / CARD).write_text("\n".join(parts), encoding="utf-8")


def _made(recipe: Recipe, manifest: Manifest) -> list[str]:
    lines = ["## What it is", "", f"- languages: {', '.join(manifest.languages)}"]
    if manifest.encoder is not None:
        encoder, plan = manifest.encoder, recipe.schedule
        lines += [
            f"- encoder: {encoder.name} at revision {encoder.revision or 'not pinned'}, {encoder.pooling} pooling",
            f"- this folder holds two linear heads and {_held(encoder)}",
            f"- windows of {encoder.max_tokens} tokens; taught on texts cut at {plan.max_tokens} tokens",
            f"- taught by {recipe.tuning.method} for {plan.epochs:g} epochs, batch {plan.batch * plan.accumulate}, "
            f"peak rate {plan.rate:g} (encoder) and {plan.head_rate:g} (heads), {plan.curve}, seed {plan.seed}",
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


def _learned(recipe: Recipe, manifest: Manifest, corpus: Corpus) -> list[str]:
    lines = [
        "## What it learned from",
        "",
        "| file | rows | what | licence | SHA-256 |",
        "| --- | --- | --- | --- | --- |",
    ]
    for data in manifest.training_data:
        lines.append(f"| {data.file} | {data.rows:,} | {data.origin} | {data.licence} | `{data.sha256[:16]}…` |")
    taught, held = counted(corpus.taught), counted(corpus.held)
    lines += [
        "",
        f"Without doubles {taught['texts']:,} texts were taught; {held['texts']:,} were held out to choose "
        "temperatures and thresholds, so numbers on them flatter a little.",
        "",
        *([f"How the recipe was chosen: {recipe.chosen}", ""] if recipe.chosen else []),
        "Taught sentiment: " + ", ".join(f"{label} {n:,}" for label, n in taught["sentiment"].items()) + ".",
        "",
    ]
    return lines


def _overview(reports: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = [
        "| file | task | texts | accuracy | macro-F1 | micro-F1 | calibration error |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, report in reports.items():
        if "sentiment" in report:
            part = report["sentiment"]
            lines.append(
                f"| {name} | sentiment | {part['texts']:,} | {part['accuracy']:.4f} | {part['macro_f1']:.4f} | "
                f"| {part['ece']:.4f} |"
            )
        if "topics" in report and report["topics"]["accuracy"] is not None:
            part = report["topics"]
            lines.append(
                f"| {name} | likeliest topic | {part['texts']:,} | {part['accuracy']:.4f} | "
                f"{part['macro_f1_of_likeliest']:.4f} | | {part['ece']:.4f} |"
            )
            lines.append(
                f"| {name} | topics by threshold | {part['texts']:,} | | {part['macro_f1']:.4f} | "
                f"{part['micro_f1']:.4f} | |"
            )
        if "negative" in report:
            part = report["negative"]
            lines.append(
                f"| {name} | negative or not | {part['texts']:,} | {part['accuracy']:.4f} | {part['f1']:.4f} | | |"
            )
    return [*lines, ""]


def _details(name: str, report: Mapping[str, Any], manifest: Manifest, taxonomy: Taxonomy) -> list[str]:
    lines = []
    if "sentiment" in report:
        part = report["sentiment"]
        lines += [
            f"### {name}: sentiment",
            "",
            "| class | precision | recall | F1 | texts | said: " + " | said: ".join(LABELS) + " |",
        ]
        lines.append("| --- " * 8 + "|")
        for label in LABELS:
            row, said = part["classes"][label], part["confusion"][label]
            lines.append(
                f"| {label} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} | {row['texts']} | "
                + " | ".join(str(said[to]) for to in LABELS)
                + " |"
            )
        lines.append("")
    if "topics" in report:
        part = report["topics"]
        lines += [f"### {name}: topics", "", "| topic | threshold | precision | recall | F1 | texts |"]
        lines.append("| --- " * 6 + "|")
        for topic, row in part["classes"].items():
            if row["texts"]:
                lines.append(
                    f"| {taxonomy[topic].en} (`{topic}`) | {manifest.thresholds[topic]:g} | {row['precision']:.3f} | "
                    f"{row['recall']:.3f} | {row['f1']:.3f} | {row['texts']} |"
                )
        lines += ["", f"{part['without_topic']:.1%} of the texts reach no threshold."]
        if part["not_taught"]:
            lines.append("Labels not taught: " + ", ".join(f"{label} ({n})" for label, n in part["not_taught"].items()))
        lines.append("")
    return lines
