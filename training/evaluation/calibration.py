"""Calibration: whether a model that says 80 % is right in 80 of 100 cases."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15
RESAMPLES = 1000
SEED = 2026


def expected_calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS) -> float:
    """Mean distance between confidence and share of right answers over equal-width bins, in [0, 1].

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.

    >>> import numpy as np
    >>> expected_calibration_error(np.array([0.8, 0.8, 0.8, 0.8, 0.8]), np.array([1, 1, 1, 1, 0], bool))
    0.0
    """
    return _error(confidence, right, _equal_width(confidence, bins), bins)


def error_by_chance(confidence: NDArray[np.float64], bins: int = BINS) -> dict[str, float]:
    """The expected calibration error that a perfectly calibrated model would show on these answers, by chance alone.

    In a test of finite size no model shows 0: in each bin the share of right answers scatters about the confidence. So
    an error under `high` tells nothing against a model, and no model can be expected to stay under `mean`.

    Args:
        confidence: (answers,) in [0, 1].

    Returns:
        `mean` and `high`, the 95 % quantile, over 1,000 draws in which each answer is right with the probability that
        it was given; both in [0, 1]. The same answers give the same numbers.

    Source: consistency resampling, Bröcker and Smith 2007, "Increasing the Reliability of Reliability Diagrams".
    """
    generator = np.random.default_rng(SEED)
    place = _equal_width(confidence, bins)
    drawn = [_error(confidence, generator.random(len(confidence)) < confidence, place, bins) for _ in range(RESAMPLES)]
    return {"mean": round(float(np.mean(drawn)), 6), "high": round(float(np.quantile(drawn, 0.95)), 6)}


def adaptive_calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS) -> float:
    """The same over bins that hold equally many answers each, so that no bin is a matter of a few, in [0, 1].

    Equal confidences are never parted. Source: Nguyen and O'Connor 2015, "Posterior calibration and exploratory
    analysis for natural language processing models".
    """
    return _error(confidence, right, _equal_mass(confidence, bins), bins)


def brier_score(probability: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Mean squared distance of (texts, classes) probabilities from the truth, summed over classes, in [0, 2].

    Source: Brier 1950, "Verification of forecasts expressed in terms of probability".

    >>> import numpy as np
    >>> brier_score(np.array([[0.5, 0.5, 0.0]]), np.array([[True, False, False]]))
    0.5
    """
    return float(((probability - truth) ** 2).sum(1).mean())


def reliability(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS) -> list[dict[str, Any]]:
    """The reliability curve: for each equal-width bin that is not empty its bounds, the number of answers in it,
    their mean confidence and the share of them that is right."""
    place = _equal_width(confidence, bins)
    curve = []
    for index in np.unique(place):
        here = place == index
        curve.append(
            {
                "low": float(index / bins),
                "high": float((index + 1) / bins),
                "texts": int(here.sum()),
                "confidence": float(confidence[here].mean()),
                "accuracy": float(right[here].mean()),
            }
        )
    return curve


def _equal_width(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    return np.minimum((confidence * bins).astype(np.int64), bins - 1)


def _equal_mass(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    order = np.sort(confidence)
    # The place of the first equal confidence decides, so that equals share a bin.
    first = np.searchsorted(order, confidence, side="left")
    return np.asarray(first * bins // max(1, len(order)), np.int64)


def _error(confidence: NDArray[np.float64], right: NDArray[np.bool_], place: NDArray[np.int64], bins: int) -> float:
    weight = np.bincount(place, minlength=bins)
    gap = np.bincount(place, weights=right.astype(float), minlength=bins) - np.bincount(
        place, weights=confidence, minlength=bins
    )
    return round(float(np.abs(gap[weight > 0]).sum() / max(1, len(confidence))), 6)
