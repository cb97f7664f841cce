"""Whether one model's answers are better than another's on the same texts, or whether it may be chance."""

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
        champion, candidate: accuracy.
        only_champion, only_candidate: texts that this one alone has right.
        p_worse: one-sided exact McNemar; small when the candidate is worse and it is not chance.
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
    with_f1: bool = True,
) -> Comparison:
    """Compare two models' answers to the same texts.

    Args:
        champion, candidate: (texts,), the class each said.
        truth: (texts,), the right class, or (texts, classes), the answers that would be right.
        with_f1: bootstrap the macro-F1 too.

    Source: McNemar 1947 in its exact form (binomial test on the texts that one of the two has right).
    """
    from scipy.stats import binom

    if truth.ndim == 1:
        classes = int(max(truth.max(initial=0), champion.max(initial=0), candidate.max(initial=0))) + 1
        table: NDArray[np.bool_] = truth[:, None] == np.arange(classes)
    else:
        table = truth.astype(bool)
    every = np.arange(len(table))
    old, new = table[every, champion], table[every, candidate]
    lost, won = int((old & ~new).sum()), int((new & ~old).sum())
    worse = float(binom.sf(lost - 1, lost + won, 0.5))
    better = float(binom.sf(won - 1, lost + won, 0.5))
    return Comparison(
        texts=len(table),
        champion=float(old.mean()),
        candidate=float(new.mean()),
        only_champion=lost,
        only_candidate=won,
        p_worse=worse,
        p_differs=min(1.0, 2 * min(worse, better)),
        macro_f1=_macro_f1(champion, candidate, table) if with_f1 else None,
    )


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


def _macro_f1(champion: NDArray[np.int64], candidate: NDArray[np.int64], truth: NDArray[np.bool_]) -> Difference:
    # What a resample is worth depends only on how often it holds each kind of text: same truth, same two answers.
    kinds = np.concatenate([champion[:, None], candidate[:, None], truth.astype(np.int64)], 1)
    cells, times = np.unique(kinds, axis=0, return_counts=True)
    present = np.flatnonzero(truth.any(0))
    meant = cells[:, 2:][:, present].astype(float)

    def scores(weights: NDArray[np.float64]) -> NDArray[np.float64]:
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
    """Difference of two scores; `scores` maps (resamples, kinds) weights to (resamples, 2)."""
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
