"""Packaging: what a run taught becomes a bundle, calibrated, measured and described by its own card."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from monitor.documents import LABELS
from monitor.understand.bundle import Bundle, load_bundle
from monitor.understand.encoders import sha256
from monitor.understand.manifest import FORMAT, MANIFEST, WEIGHTS, Encoder, Manifest, Ngrams, Temperature, TrainingData
from monitor.understand.topics import Taxonomy
from training.calibrate import calibrated
from training.card import CARD, write_card
from training.corpus import Corpus, path_of
from training.data.reading import read_examples
from training.evaluate import evaluate_examples, summary
from training.recipe import Recipe

log = logging.getLogger(__name__)


def package(
    recipe: Recipe,
    corpus: Corpus,
    tensors: Mapping[str, Any],
    *,
    data: Path,
    out: Path,
    taxonomy: Taxonomy,
    encoder: Encoder | None = None,
    ngrams: Ngrams | None = None,
) -> Bundle:
    """Write a bundle into `out`: weights, then calibration, numbers and card, all from the weights as written.

    Args:
        tensors: numpy arrays under the names the runtime of the recipe's kind reads.
        data: folder of the recipe's files; test files that are not there are not measured.
    """
    from safetensors.numpy import save_file

    out.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), out / WEIGHTS)
    (out / WEIGHTS).chmod(0o644)  # it is made for its owner alone
    whole = ("config.json", "tokenizer.json") if encoder is not None and encoder.form == "whole" else ()
    kept = (WEIGHTS, *whole)
    manifest = Manifest(
        format=FORMAT,
        name=recipe.name,
        version=recipe.version,
        kind=recipe.kind,
        languages=tuple(recipe.languages),
        sentiment=LABELS,
        topics=corpus.topics,
        temperature=Temperature(),
        thresholds=dict.fromkeys(corpus.topics, 0.5),
        files={name: sha256(out / name) for name in kept},
        encoder=encoder,
        ngrams=ngrams,
        training_data=tuple(_described(recipe, data)),
    )
    write_manifest(out, manifest)
    bundle = calibrated(load_bundle(out), corpus.held)
    reports = {"held-out slice": evaluate_examples(bundle, corpus.held, taxonomy)}
    for file in recipe.test:
        if path_of(data, file.file).is_file():
            reports[file.file] = evaluate_examples(bundle, read_examples(path_of(data, file.file)), taxonomy)
        else:
            log.warning("%s is not in %s: not measured on it", file.file, data)
    manifest = replace(bundle.manifest, metrics={name: summary(report) for name, report in reports.items()})
    write_card(out, recipe, manifest, corpus, reports, taxonomy)
    manifest = replace(manifest, files={name: sha256(out / name) for name in (*kept, CARD)})
    write_manifest(out, manifest)
    return replace(bundle, manifest=manifest)


def _described(recipe: Recipe, data: Path) -> Sequence[TrainingData]:
    return [
        TrainingData(
            file=file.file,
            origin=file.origin,
            licence=file.licence,
            sha256=sha256(path_of(data, file.file)),
            rows=len(read_examples(path_of(data, file.file))),
        )
        for file in recipe.train
    ]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `bundle.json`."""
    tree = {name: value for name, value in dataclasses.asdict(manifest).items() if value is not None}
    (folder / MANIFEST).write_text(json.dumps(tree, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
