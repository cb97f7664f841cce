"""One training run: a recipe and a data folder in, a bundle out."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path

from monitor.errors import InputError
from monitor.understand.bundle import Bundle
from monitor.understand.topics import Taxonomy
from training.corpus import Corpus, gather, path_of
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
    from training.finetune import Lesson, fine_tune
    from training.storing import stored

    # Checkpoints of another recipe must never be gone on from.
    digest = hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()[:12]
    workplace = out.with_name(out.name + ".run") / digest
    base = base_for(recipe, [*corpus.taught, *corpus.held], workplace)
    network = fine_tune(recipe, Lesson(corpus.taught, corpus.held, corpus.topics), base.folder, workplace)
    tensors, encoder = stored(recipe, network, base.folder, out, own_base=base.own)
    bundle = package(recipe, corpus, tensors, data=data, out=out, taxonomy=taxonomy, encoder=encoder)
    record = out.with_name(out.name + ".log")
    shutil.copytree(workplace / "tensorboard", record, dirs_exist_ok=True)
    shutil.rmtree(workplace.parent)
    return bundle
