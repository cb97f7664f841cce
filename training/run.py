"""One training run: a recipe and a data folder in, a bundle out."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path

from monitor.errors import InputError
from monitor.understand.bundle import Bundle
from monitor.understand.manifest import Encoder
from monitor.understand.topics import Taxonomy
from training.corpus import gather
from training.package import package
from training.recipe import Recipe

log = logging.getLogger(__name__)


def run(recipe: Recipe, *, data: Path, out: Path, taxonomy: Taxonomy) -> Bundle:
    """Teach, calibrate, measure, describe.

    Args:
        data: folder that holds the recipe's files.
        out: folder of the new bundle; while an encoder is taught, checkpoints lie in `OUT.run`, to go on from.

    Raises:
        InputError: the recipe, a file or a label cannot be used.
        BundleError: the encoder cannot be had.
    """
    missing = [file.file for file in recipe.train if not (data / file.file).is_file()]
    if missing:
        raise InputError(f"{data}: lacks {', '.join(missing)}; name the folder that holds them with --data")
    corpus = gather(recipe, data, taxonomy)
    log.info("%s: %d texts to teach, %d held out", recipe.name, len(corpus.taught), len(corpus.held))
    if recipe.kind == "ngrams":
        from training.linear import teach

        tensors, ngrams = teach(recipe, corpus)
        return package(recipe, corpus, tensors, data=data, out=out, taxonomy=taxonomy, ngrams=ngrams)
    from monitor.understand.encoders import digests
    from training.finetune import fine_tune

    # Checkpoints of another recipe must never be gone on from.
    digest = hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()[:12]
    workplace = out.with_name(out.name + ".run") / digest
    trained = fine_tune(recipe, corpus.taught, corpus.held, corpus.topics, workplace)
    choice = recipe.encoder
    if choice is None:
        raise InputError(f"recipe {recipe.name}: names no encoder")
    encoder = Encoder(
        name=choice.name,
        revision=choice.revision,
        sha256=digests(trained.encoder),
        pooling=choice.pooling,
        max_tokens=choice.max_tokens,
        rank=recipe.finetune.rank,
        alpha=recipe.finetune.alpha,
    )
    arrays = {name: tensor.numpy() for name, tensor in trained.tensors.items()}
    bundle = package(recipe, corpus, arrays, data=data, out=out, taxonomy=taxonomy, encoder=encoder)
    shutil.rmtree(workplace.parent)
    return bundle
