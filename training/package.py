"""Packaging: what a run taught becomes a bundle, calibrated, measured and described by its own card."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from monitor.documents import LABELS
from monitor.understand.bundle import Bundle, load_bundle
from monitor.understand.companies import Watchlist
from monitor.understand.encoders import sha256
from monitor.understand.manifest import FORMAT, MANIFEST, WEIGHTS, Encoder, Manifest, Ngrams, Temperature, Wide
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
from training.lineage import sources_lines, write_lineage
from training.notes import noted
from training.recipe import Recipe
from training.registry.folders import BESIDE
from training.widening import weighed

log = logging.getLogger(__name__)
WHOLE = ("config.json", "tokenizer.json")
"""What a bundle holds of an encoder that is stored whole, beside its weights."""


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
    whole: Path | None = None,
    finish: Callable[[Bundle], Bundle] | None = None,
) -> Bundle:
    """Write a bundle into `out`: weights, then calibration, numbers and card, all from the weights as written.

    It is made in a folder beside `out` and renamed when it is finished: nobody sees half of it, and a bundle that was
    there stays until then.

    Args:
        tensors: numpy arrays under the names the runtime of the recipe's kind reads.
        wide: the linear heads beside the encoder; their shares are chosen here.
        data: folder of the recipe's files; test files that are not there are not measured.
        whole: where the files of an encoder that is stored whole lie.
        finish: what is still to be done to the bundle before it is put in place.
    """
    from safetensors.numpy import save_file

    target = out.resolve()
    made = target.with_name(f".{target.name}.partial")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    save_file(dict(tensors), made / WEIGHTS)
    (made / WEIGHTS).chmod(0o644)  # it is made for its owner alone
    kept = [WEIGHTS]
    if encoder is not None and encoder.form == "whole" and whole is not None:
        for name in WHOLE:
            shutil.copyfile(whole / name, made / name)
            kept.append(name)
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
        files={name: sha256(made / name) for name in kept},
        encoder=encoder,
        ngrams=ngrams,
        training_data=corpus.training_data,
        toward=recipe.toward,
        wide=wide,
    )
    write_manifest(made, manifest)
    bundle = calibrated(weighed(load_bundle(made), corpus.held), corpus.held)
    files = {HELD_OUT: corpus.held, **tested(recipe, data)}
    examination = examine(
        bundle, files, taxonomy, Watchlist.load(), scope=Scope(PAIRS if recipe.probes else None, speed=False)
    )
    manifest = replace(bundle.manifest, metrics=metrics(examination))
    write_card(made, recipe, manifest, corpus, examination, taxonomy)
    manifest = replace(manifest, files={name: sha256(made / name) for name in (*kept, CARD)})
    write_manifest(made, manifest)
    write_lineage(made, recipe, corpus)
    bundle = replace(bundle, manifest=manifest)
    if sources := sources_lines(recipe, corpus):
        bundle = noted(bundle, "What else it learned from", sources)
    if finish is not None:
        bundle = finish(bundle)
    _put_in_place(made, target)
    return replace(bundle, folder=out)


def _put_in_place(made: Path, target: Path) -> None:
    """Rename a finished bundle; of a folder that was there what belongs to no bundle is kept."""
    if not target.exists():
        made.rename(target)
        return
    before = target.with_name(f".{target.name}.{uuid4().hex[:8]}.before")
    target.rename(before)
    try:
        made.rename(target)
    except OSError:
        before.rename(target)
        raise
    for name in (MANIFEST, CARD, WEIGHTS, *WHOLE, *BESIDE):
        (before / name).unlink(missing_ok=True)
    for other in before.iterdir():
        other.rename(target / other.name)
    before.rmdir()


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
