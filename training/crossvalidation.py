"""Cross-validation: a recipe taught k times, each time without one part of its texts, and measured on that part."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from monitor.understand.bundle import load_bundle
from monitor.understand.manifest import MANIFEST
from monitor.understand.topics import Taxonomy
from training.corpus import gather
from training.data.splits import folds, held_out
from training.evaluation.summary import summary
from training.evaluation.tasks import evaluate_examples
from training.recipe import Recipe
from training.run import complete, teach
from training.targets import aimed_examples

log = logging.getLogger(__name__)


def cross_validate(recipe: Recipe, k: int, *, data: Path, out: Path, taxonomy: Taxonomy) -> list[dict[str, float]]:
    """The numbers of each fold, `TASK_MEASURE` → value.

    Folds hold every label at its share, and copies of a text are in one fold. The bundle of fold n is OUT/n; a run
    that was cut off goes on after the last one that is there.

    Raises:
        InputError: as `run` does.
    """
    complete(recipe, data)
    corpus = gather(recipe.model_copy(update={"toward": False}), data, taxonomy)
    rows = [*corpus.taught, *corpus.held]
    places = folds(rows, k, seed=recipe.schedule.seed)
    found = []
    for number in range(k):
        rest = [row for row, place in zip(rows, places, strict=True) if place != number]
        tested = list(dict.fromkeys(row for row, place in zip(rows, places, strict=True) if place == number))
        taught, held = held_out(rest, recipe.held_out)
        if recipe.toward:
            taught, held = aimed_examples(taught), aimed_examples(held)
        folder = out / str(number + 1)
        if (folder / MANIFEST).is_file():
            log.info("fold %d of %d is there already", number + 1, k)
            bundle = load_bundle(folder)
        else:
            log.info("fold %d of %d: %d texts to teach, %d tested", number + 1, k, len(taught), len(tested))
            part = replace(corpus, taught=taught, held=held)
            bundle = teach(recipe, part, data=data, out=folder, taxonomy=taxonomy)
        found.append(summary(evaluate_examples(bundle, tested, taxonomy)))
    return found


def spread(found: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """Measure → (mean, standard deviation) over the folds."""
    names = [name for name in found[0] if all(name in one for one in found)]
    return {
        name: (float(np.mean([one[name] for one in found])), float(np.std([one[name] for one in found], ddof=1)))
        for name in names
    }
