"""Whether one model's answers are better than another's on the same texts, or whether it may be chance.

The unit of chance is the text: what a model says of several entities of one text goes wrong together, so these answers
are never counted as so many independent ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
SEED = 13


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


@dataclass(frozen=True)
class Comparison:
    """Two models on the same texts.

    Attributes:
        texts: how many answers were compared; (text, entity) pairs where the task is about these.
        champion, candidate: accuracy.
        only_champion, only_candidate: answers that this one alone has right.
        p_worse: one-sided exact test, see `compare`; small when the candidate is worse and it is not chance.
        p_differs: the same, two-sided.
        macro_f1: None where it was not asked for.
    """

    texts: int
    champion: float
    candidate: float
    only_champion: int
    only_candidate: int
    p_worse: float
    p_differs: float
    macro_f1: Difference | None = None


def compare(
    champion: NDArray[np.int64],
    candidate: NDArray[np.int64],
    truth: NDArray[np.int64] | NDArray[np.bool_],
    *,
    rows: NDArray[np.int64] | None = None,
    with_f1: bool = True,
) -> Comparison:
    """Compare two models' answers to the same texts.

    Args:
        champion, candidate: (answers,), the class each said.
        truth: (answers,), the right class, or (answers, classes), the answers that would be right.
        rows: (answers,), the text each answer is about; None: a text of its own.
        with_f1: bootstrap the macro-F1 too.

    Accuracy is tested by flipping, text by text, which model gave which answers (Fisher 1935, "The Design of
    Experiments", section 21), all flips counted. With one answer a text this is the exact test of McNemar 1947, the
    binomial test on the texts that one of the two has right.
    """
    if truth.ndim == 1:
        classes = int(max(truth.max(initial=0), champion.max(initial=0), candidate.max(initial=0))) + 1
        table: NDArray[np.bool_] = truth[:, None] == np.arange(classes)
    else:
        table = truth.astype(bool)
    every = np.arange(len(table))
    old, new = table[every, champion], table[every, candidate]
    texts = every if rows is None else np.unique(rows, return_inverse=True)[1]
    lost = np.bincount(texts, weights=old & ~new).astype(np.int64)
    won = np.bincount(texts, weights=new & ~old).astype(np.int64)
    worse, better = _flipped(lost - won), _flipped(won - lost)
    return Comparison(
        texts=len(table),
        champion=float(old.mean()),
        candidate=float(new.mean()),
        only_champion=int(lost.sum()),
        only_candidate=int(won.sum()),
        p_worse=worse,
        p_differs=min(1.0, 2 * min(worse, better)),
        macro_f1=_macro_f1(champion, candidate, table, texts) if with_f1 else None,
    )


def _flipped(lost: NDArray[np.int64]) -> float:
    """The chance that (texts,) net losses sum up to as much when each may as well have been a gain."""
    from scipy.stats import binom

    # The sum grows with the losses that stay losses; of texts with equal losses their number is binomial.
    chance = np.ones(1)
    for size, count in zip(*np.unique(np.abs(lost[lost != 0]), return_counts=True), strict=True):
        spread = np.zeros(size * count + 1)
        spread[::size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chance = np.convolve(chance, spread)
    return min(1.0, float(chance[lost[lost > 0].sum() :].sum()))


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


def _macro_f1(
    champion: NDArray[np.int64], candidate: NDArray[np.int64], truth: NDArray[np.bool_], texts: NDArray[np.int64]
) -> Difference:
    """The macro-F1 of two models' answers; whole texts are drawn, each with all its answers.

    Source: Field and Welsh 2007, "Bootstrapping clustered data".
    """
    # What a resample is worth depends only on how often it holds each kind of answer: same truth, same two answers.
    kinds = np.concatenate([champion[:, None], candidate[:, None], truth.astype(np.int64)], 1)
    cells, kind, times = np.unique(kinds, axis=0, return_inverse=True, return_counts=True)
    held = None
    if texts.max() + 1 < len(texts):
        answers = np.zeros((texts.max() + 1, len(cells)), np.int64)
        np.add.at(answers, (texts, kind.reshape(-1)), 1)
        held, times = np.unique(answers, axis=0, return_counts=True)
    present = np.flatnonzero(truth.any(0))
    meant = cells[:, 2:][:, present].astype(float)

    def scores(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        weights = weights if held is None else weights @ held
        found = []
        for place in (0, 1):
            said = (cells[:, place, None] == present).astype(float)
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
    drawn = np.random.default_rng(SEED).multinomial(count, times / count, size=RESAMPLES).astype(float)
    both = scores(drawn)
    gap = both[:, 1] - both[:, 0]
    low, high = np.quantile(gap, [0.025, 0.975])
    p_worse = (1 + int((gap >= 0).sum())) / (RESAMPLES + 1)
    return Difference(float(observed[0]), float(observed[1]), float(low), float(high), p_worse)


def holm(p_values: list[float]) -> list[float]:
    """P values corrected for their number, in the order given.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected
