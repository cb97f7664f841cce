"""Whether one model's answers are better than another's on the same texts, or whether it may be chance.

The unit of chance is the text: what a model says of several entities of one text goes wrong together, so these answers
are never counted as so many independent ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluation.measures import one_hot
from training.evaluation.resampling import Difference, compare_macro_f1


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


def _macro_f1(
    champion: NDArray[np.int64], candidate: NDArray[np.int64], truth: NDArray[np.bool_], texts: NDArray[np.int64]
) -> Difference:
    old, new = one_hot(champion, truth.shape[1]), one_hot(candidate, truth.shape[1])
    return compare_macro_f1(old, new, truth, texts=texts)


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
