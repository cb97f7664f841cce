"""How much of a difference in F1 between two models may be chance: the paired bootstrap over texts.

Both models' decisions are tables of (answers, classes): one class an answer, or as many topics as reach their
thresholds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
SEED = 13
_CELLS = 4_000_000
"""Weights held in memory at a time, so that an exam of many kinds of texts does not fill it."""


@dataclass(frozen=True)
class Difference:
    """A measure of both models, and how sure its difference is (paired bootstrap).

    Attributes:
        low, high: 95 % interval of candidate − champion.
        p_worse: one-sided; small when the candidate is worse and it is not chance.
    """

    champion: float
    candidate: float
    low: float
    high: float
    p_worse: float


def compare_micro_f1(champion: NDArray[np.bool_], candidate: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Difference:
    """The micro-F1 of two models' (texts, topics) decisions, resampled by texts."""

    def parts(said: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.stack([(said & truth).sum(1), said.sum(1) + truth.sum(1)], 1)

    cells, times = np.unique(np.concatenate([parts(champion), parts(candidate)], 1), axis=0, return_counts=True)

    def scores(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = weights @ cells
        found: NDArray[np.float64] = 2 * sums[:, [0, 2]] / np.maximum(1, sums[:, [1, 3]])
        return found

    return _bootstrapped(times, scores)


def compare_macro_f1(
    champion: NDArray[np.bool_],
    candidate: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    *,
    texts: NDArray[np.int64] | None = None,
) -> Difference:
    """The mean F1 over the classes that occur, of two models' (answers, classes) decisions.

    Args:
        texts: (answers,), the text each answer is about, counted from 0; whole texts are drawn, each with all its
            answers (Field and Welsh 2007, "Bootstrapping clustered data"). None: each a text of its own.
    """
    present = truth.any(0)
    # What a resample is worth depends only on how often it holds each kind of answer: same truth, same two decisions.
    kinds = np.concatenate([table[:, present] for table in (champion, candidate, truth)], 1)
    cells, kind, times = np.unique(kinds, axis=0, return_inverse=True, return_counts=True)
    held = None
    if texts is not None and texts.max() + 1 < len(texts):
        answers = np.zeros((texts.max() + 1, len(cells)), np.int64)
        np.add.at(answers, (texts, kind.reshape(-1)), 1)
        held, times = np.unique(answers, axis=0, return_counts=True)
    old, new, meant = (part.astype(float) for part in np.split(cells, 3, axis=1))

    def scores(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        weights = weights if held is None else weights @ held
        found = []
        for said in (old, new):
            right, both = weights @ (said * meant), weights @ (said + meant)
            # A class that a resample happens to lack is left out of its mean.
            there = both > 0
            f1 = np.where(there, 2 * right / np.where(there, both, 1.0), 0.0)
            found.append(f1.sum(1) / np.maximum(1, there.sum(1)))
        return np.stack(found, 1)

    return _bootstrapped(times, scores)


def _bootstrapped(times: NDArray[np.int64], scores: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Difference:
    """Difference of two scores; `scores` maps (resamples, kinds of text) weights to (resamples, 2)."""
    count = int(times.sum())
    observed = scores(times[None, :].astype(float))[0]
    random = np.random.default_rng(SEED)
    at_once = max(1, _CELLS // len(times))
    gaps = []
    for first in range(0, RESAMPLES, at_once):
        drawn = random.multinomial(count, times / count, size=min(at_once, RESAMPLES - first)).astype(float)
        both = scores(drawn)
        gaps.append(both[:, 1] - both[:, 0])
    gap = np.concatenate(gaps)
    low, high = np.quantile(gap, [0.025, 0.975])
    p_worse = (1 + int((gap >= 0).sum())) / (RESAMPLES + 1)
    return Difference(float(observed[0]), float(observed[1]), float(low), float(high), p_worse)
