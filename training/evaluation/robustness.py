"""Robustness: how often an answer changes when nothing that was said has changed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitor.documents import LABELS
from monitor.understand.companies import Watchlist
from training.data.examples import Example
from training.evaluation.answers import Answers
from training.evaluation.intervals import wilson
from training.evaluation.perturb import SEED, perturbations, perturbed

SAMPLE = 400
"""Texts that each perturbation changes at most, drawn from all files together."""
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Change:
    """A text and what a perturbation made of it."""

    before: str
    after: str
    sentiment: str | None


def changes(examples: Sequence[Example], watchlist: Watchlist, sample: int = SAMPLE) -> dict[str, list[Change]]:
    """Perturbation → a seeded sample of the texts it changes; which ones depends on the texts alone."""
    texts = {example.text: example.sentiment for example in examples if example.target is None}
    shuffled = sorted(texts)
    random.Random(SEED).shuffle(shuffled)
    found: dict[str, list[Change]] = {}
    for name, change in perturbations(watchlist).items():
        made = ((text, perturbed(name, change, text)) for text in shuffled)
        changed = (Change(before, after, texts[before]) for before, after in made if before != after)
        found[name] = list(itertools.islice(changed, sample))
    return found


def robustness_report(answers: Answers, made: Mapping[str, Sequence[Change]]) -> dict[str, Any]:
    """For each perturbation: `texts` it changed, the share whose sentiment `flipped` (with its 95 % interval `low`,
    `high`) and whose set of topics changed (`topics_changed`), `moved` (mean absolute change of the score), accuracy
    of sentiment `accuracy_before` and `accuracy_after` over those that are labelled, and `examples` of flips, the
    largest first."""
    return {name: _report(answers, rows) for name, rows in made.items() if rows}


def _report(answers: Answers, rows: Sequence[Change]) -> dict[str, Any]:
    before, after = [row.before for row in rows], [row.after for row in rows]
    old, new = answers.said(before), answers.said(after)
    moved = np.abs(answers.scores(before) - answers.scores(after))
    flipped = old != new
    topics = (answers.topic_sets(before) != answers.topic_sets(after)).any(1)
    labelled = np.array([row.sentiment is not None for row in rows])
    truth = np.array([LABELS.index(row.sentiment) if row.sentiment else -1 for row in rows])
    low, high = wilson(int(flipped.sum()), len(rows))
    worst = sorted(np.flatnonzero(flipped).tolist(), key=lambda row: -moved[row])[:SHOWN]
    return {
        "texts": len(rows),
        "flipped": float(flipped.mean()),
        "low": low,
        "high": high,
        "topics_changed": float(topics.mean()),
        "moved": float(moved.mean()),
        "accuracy_before": float((old == truth)[labelled].mean()) if labelled.any() else None,
        "accuracy_after": float((new == truth)[labelled].mean()) if labelled.any() else None,
        "examples": [
            {"before": before[row], "after": after[row], "said": LABELS[old[row]], "then": LABELS[new[row]]}
            for row in worst
        ],
    }
