"""One training run: a recipe and a data folder in, a bundle out."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path

from monitor.errors import InputError
from monitor.understand.bundle import Bundle
from monitor.understand.companies import Watchlist
from monitor.understand.topics import Taxonomy
from training.augmentation import Changer
from training.corpus import Corpus, gather, path_of
from training.data.doubles import fingerprint, without_doubles
from training.data.examples import Example
from training.data.reading import read_examples
from training.package import package
from training.recipe import Recipe

log = logging.getLogger(__name__)


def run(recipe: Recipe, *, data: Path, out: Path, taxonomy: Taxonomy) -> Bundle:
    """Teach, calibrate, measure, describe.

    Args:
        data: folder that holds the recipe's files.
        out: folder of the new bundle; while an encoder is taught, checkpoints lie in `OUT.run`, to go on from, and
            TensorBoard's record stays in `OUT.log`.

    Raises:
        InputError: the recipe, a file or a label cannot be used.
        BundleError: the encoder cannot be had.
    """
    named = [file.file for file in recipe.train] + [file.file for file in recipe.unlabelled]
    missing = [name for name in named if not path_of(data, name).is_file()]
    if missing:
        raise InputError(f"{data}: lacks {', '.join(missing)}; name the folder that holds them with --data")
    corpus = gather(recipe, data, taxonomy)
    log.info("%s: %d texts to teach, %d held out", recipe.name, len(corpus.taught), len(corpus.held))
    if recipe.kind == "ngrams":
        from training.linear import teach

        tensors, ngrams = teach(recipe, corpus)
        return package(recipe, corpus, tensors, data=data, out=out, taxonomy=taxonomy, ngrams=ngrams)
    return _encoder_run(recipe, corpus, data, out, taxonomy)


def _encoder_run(recipe: Recipe, corpus: Corpus, data: Path, out: Path, taxonomy: Taxonomy) -> Bundle:
    from training.bases import base_for
    from training.distillation import advice_of
    from training.finetune import Lesson, fine_tune
    from training.storing import stored

    # Checkpoints of another recipe must never be gone on from.
    digest = hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()[:12]
    workplace = out.with_name(out.name + ".run") / digest
    base = base_for(recipe, [*corpus.taught, *corpus.held], workplace)
    taught = [*corpus.taught, *_unlabelled(recipe, corpus, data)]
    lesson = Lesson(
        taught,
        corpus.held,
        corpus.topics,
        change=_changer(recipe),
        advice=advice_of(recipe.distil, taught, corpus.topics, workplace),
    )
    network = fine_tune(recipe, lesson, base.folder, workplace)
    tensors, encoder = stored(recipe, network, base, out)
    bundle = package(recipe, corpus, tensors, data=data, out=out, taxonomy=taxonomy, encoder=encoder)
    record = out.with_name(out.name + ".log")
    shutil.copytree(workplace / "tensorboard", record, dirs_exist_ok=True)
    shutil.rmtree(workplace.parent)
    return bundle


def _unlabelled(recipe: Recipe, corpus: Corpus, data: Path) -> list[Example]:
    """Texts that only teachers speak of; those that are held out or tested are left out."""
    if not recipe.distil.teachers:
        return []
    seen = {fingerprint(example.text) for example in (*corpus.taught, *corpus.held)}
    for test in recipe.test:
        if path_of(data, test.file).is_file():
            seen |= {fingerprint(example.text) for example in read_examples(path_of(data, test.file))}
    found = []
    for file in recipe.unlabelled:
        rows = [row for row in without_doubles(read_examples(path_of(data, file.file))) if row.text.strip()]
        rows = [Example(row.text, row.lang) for row in rows if fingerprint(row.text) not in seen]
        found += rows[: file.most] if file.most else rows
    return found


def _changer(recipe: Recipe) -> Changer | None:
    if not any(recipe.augment.model_dump().values()):
        return None
    return Changer(recipe.augment, Watchlist.load())
