"""Cross-validation: a recipe taught k times, each time without one part of its texts, and measured on that part."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from monitor.errors import InputError
from monitor.understand.bundle import load_bundle
from monitor.understand.manifest import MANIFEST
from monitor.understand.topics import Taxonomy
from training.corpus import divided, gather, near_groups
from training.data.doubles import fingerprint
from training.data.examples import Example
from training.data.splits import folds
from training.data.taught import hashes, read_taught
from training.evaluation.summary import summary
from training.evaluation.tasks import evaluate_examples
from training.placing import placed
from training.recipe import Recipe
from training.run import complete, digest_of, teach

log = logging.getLogger(__name__)
PLAN = "folds.json"


def cross_validate(recipe: Recipe, k: int, *, data: Path, out: Path, taxonomy: Taxonomy) -> list[dict[str, float]]:
    """The numbers of each fold, `TASK_MEASURE` → value.

    Folds hold every label at its share, and near copies of a text are in one fold. Texts of files with `held = false`
    are taught in every fold, save near copies of those tested, and tested in none. The bundle of fold n is OUT/n; a run
    that was cut off goes on after the last one that is there.

    Raises:
        InputError: as `run` does; OUT holds the folds of something else; several processes share the run.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("--folds: folds are taught by one process; start it without accelerate launch or torchrun")
    complete(recipe, data)
    corpus = gather(recipe.model_copy(update={"toward": False}), data, taxonomy)
    rows = list(dict.fromkeys([*corpus.taught, *corpus.held]))
    _refuse_taught(recipe, [row for row in rows if fingerprint(row.text) not in corpus.always])
    _begun(out, digest_of(recipe, corpus), k)
    groups = near_groups(rows)
    free = [place for place, row in enumerate(rows) if fingerprint(row.text) not in corpus.always]
    spread_over = folds(
        [rows[place] for place in free], k, seed=recipe.schedule.seed, together=[groups[place] for place in free]
    )
    fold_of = dict(zip(free, spread_over, strict=True))
    found = []
    for number in range(k):
        left_out = {place for place, fold in fold_of.items() if fold == number}
        near = {groups[place] for place in left_out}
        tested = [rows[place] for place in sorted(left_out)]
        rest = [row for place, row in enumerate(rows) if groups[place] not in near]
        taught, held = divided(recipe, rest, corpus.always, corpus.repeats)
        folder = out / str(number + 1)
        if (folder / MANIFEST).is_file():
            log.info("fold %d of %d is there already", number + 1, k)
            bundle = load_bundle(folder)
        else:
            log.info("fold %d of %d: %d texts to teach, %d tested", number + 1, k, len(taught), len(tested))
            part = replace(corpus, taught=taught, held=held, tested=tested)
            bundle = teach(recipe, part, data=data, out=folder, taxonomy=taxonomy)
        found.append(summary(evaluate_examples(bundle, tested, taxonomy)))
    return found


def _refuse_taught(recipe: Recipe, tested: Sequence[Example]) -> None:
    """Raises InputError if a bundle that the recipe learns from was taught texts that the folds are tested on."""
    asked = hashes(row.text for row in tested)
    for folder in filter(None, (recipe.continual.bundle, *recipe.distil.teachers, *recipe.average.bundles)):
        taught = read_taught(Path(folder))
        known = 0 if taught is None else int(np.isin(asked, taught).sum())
        if known:
            raise InputError(
                f"--folds: {folder} was taught {known:,} of the {len(tested):,} texts that are tested here, so the "
                "numbers would flatter; leave it out of the recipe, or measure on a [[test]] file without --folds"
            )


def _begun(out: Path, digest: str, k: int) -> None:
    """Note in OUT what its folds are of. Raises InputError if they are of something else."""
    path, plan = out / PLAN, {"digest": digest, "folds": k}
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        there = None
        if (out / "1" / MANIFEST).is_file():
            raise InputError(f"{out}: holds a bundle 1 and no {PLAN}; name a folder that is not there yet") from None
    except ValueError:
        raise InputError(f"{path}: not readable as JSON; name a folder that is not there yet") from None
    if there is None:
        out.mkdir(parents=True, exist_ok=True)
        with placed(path) as part:
            part.write_text(json.dumps(plan) + "\n", encoding="utf-8")
    elif there != plan:
        what = "another number of folds" if there.get("digest") == digest else "another recipe or other data"
        raise InputError(f"{out}: holds folds of {what}; name another folder with --out, or remove it")


def spread(found: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """Measure → (mean, standard deviation) over the folds."""
    names = [name for name in found[0] if all(name in one for one in found)]
    return {
        name: (float(np.mean([one[name] for one in found])), float(np.std([one[name] for one in found], ddof=1)))
        for name in names
    }
