"""Packaging: what a run taught becomes a bundle, calibrated, measured and described by its own card."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from monitor.documents import LABELS
from monitor.understand.bundle import Bundle, load_bundle
from monitor.understand.companies import Watchlist
from monitor.understand.encoders import sha256
from monitor.understand.manifest import FORMAT, WEIGHTS, Encoder, Manifest, Ngrams, Temperature, TrainingData, Wide
from monitor.understand.topics import Taxonomy
from training.calibrate import calibrated
from training.card import CARD, HELD_OUT, write_card, write_manifest
from training.corpus import Corpus, path_of
from training.data.examples import Example
from training.data.reading import read_examples
from training.evaluation.examination import Scope, examine
from training.evaluation.judged import among_their_own
from training.evaluation.pairs import PAIRS
from training.evaluation.summary import metrics
from training.lineage import write_lineage
from training.recipe import Recipe
from training.widening import weighed

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
    wide: Wide | None = None,
) -> Bundle:
    """Write a bundle into `out`: weights, then calibration, numbers and card, all from the weights as written.

    Args:
        tensors: numpy arrays under the names the runtime of the recipe's kind reads.
        wide: the linear heads beside the encoder; their shares are chosen here.
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
        toward=recipe.toward,
        wide=wide,
    )
    write_manifest(out, manifest)
    bundle = calibrated(weighed(load_bundle(out), corpus.held), corpus.held)
    files = {HELD_OUT: corpus.held, **tested(recipe, data)}
    examination = examine(
        bundle, files, taxonomy, Watchlist.load(), scope=Scope(PAIRS if recipe.probes else None, speed=False)
    )
    manifest = replace(bundle.manifest, metrics=metrics(examination))
    write_card(out, recipe, manifest, corpus, examination, taxonomy)
    manifest = replace(manifest, files={name: sha256(out / name) for name in (*kept, CARD)})
    write_manifest(out, manifest)
    write_lineage(out, recipe, corpus)
    return replace(bundle, manifest=manifest)


def tested(recipe: Recipe, data: Path) -> dict[str, Sequence[Example]]:
    """The recipe's test files that are there, name → examples."""
    files: dict[str, Sequence[Example]] = {}
    for file in recipe.test:
        path = path_of(data, file.file)
        if path.is_file():
            rows = read_examples(path, fields=file.fields, labels=file.labels)
            files[file.file] = rows if file.exhaustive else among_their_own(rows)
        else:
            log.warning("%s is not in %s: not measured on it", file.file, data)
    return files


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
