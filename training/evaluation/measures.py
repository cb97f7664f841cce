"""Measures: numbers made of answers and truth, with no model in sight."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def counts(said: NDArray[np.bool_], meant: NDArray[np.bool_]) -> dict[str, Any]:
    """Precision, recall and F1 of one class (0 where undefined) and the number of texts that are of it."""
    right = int((said & meant).sum())
    precision = right / max(1, int(said.sum()))
    recall = right / max(1, int(meant.sum()))
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "texts": int(meant.sum())}


def macro_f1(said: NDArray[np.int64], truth: NDArray[np.bool_]) -> float:
    """Mean F1 over the classes that occur, of one answer a text.

    Args:
        said: (texts,), the class said.
        truth: (texts, classes), the answers that would be right; a text may have several.
    """
    present = np.flatnonzero(truth.any(0))
    return float(np.mean([counts(said == place, truth[:, place])["f1"] for place in present]))


def micro_f1(said: NDArray[np.bool_], truth: NDArray[np.bool_], *, missed: int = 0) -> float:
    """F1 over all (text, topic) decisions together; `missed` are labels beside `truth` that nobody could say."""
    return 2 * int((said & truth).sum()) / max(1, int(said.sum() + truth.sum()) + missed)


def roc_area(score: NDArray[np.float64], good: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve: the chance that a good text scores over a bad one, ties counted half.

    None where one of the two kinds is missing. Source: Hanley and McNeil 1982 (Mann and Whitney's U over its maximum).

    >>> import numpy as np
    >>> roc_area(np.array([-0.9, 0.1, 0.1, 0.8]), np.array([False, False, True, True]))
    0.875
    """
    from scipy.stats import rankdata

    positive, negative = int(good.sum()), int((~good).sum())
    if not positive or not negative:
        return None
    ranks = rankdata(score)
    return float((ranks[good].sum() - positive * (positive + 1) / 2) / (positive * negative))


def one_hot(classes: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """(texts,) class places as a (texts, count) table."""
    table: NDArray[np.bool_] = classes[:, None] == np.arange(count)
    return table
