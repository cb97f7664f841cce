"""How far a faster way to compute a network may lie from float32, and does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MEAN, MOST = 0.01, 0.2
"""How much a calibrated probability may differ from float32's on the texts of the check: on average, and at most."""


@dataclass(frozen=True)
class Agreement:
    """How far calibrated probabilities lie from those of the network in float32.

    Attributes:
        texts: how many were compared.
        mean, most: of the absolute differences, over all classes and topics.
        labels: share of the texts whose likeliest sentiment is the same.
    """

    texts: int
    mean: float
    most: float
    labels: float

    @property
    def good(self) -> bool:
        """Whether that may be used."""
        return self.mean <= MEAN and self.most <= MOST

    def __str__(self) -> str:
        return (
            f"probabilities differ by {self.mean:.4f} on average and {self.most:.4f} at most on {self.texts} texts, "
            f"{self.labels:.1%} of the sentiments are the same"
        )


def compared(one: Sequence[NDArray[np.float64]], other: Sequence[NDArray[np.float64]]) -> Agreement:
    """The agreement of two answers: each (texts, 3) sentiment and (texts, topics) probabilities."""
    gaps = np.concatenate([np.abs(a - b).ravel() for a, b in zip(one, other, strict=True)])
    same = one[0].argmax(1) == other[0].argmax(1)
    # A network that gives no number agrees with nothing.
    if not np.isfinite(gaps).all():
        return Agreement(len(same), float("inf"), float("inf"), 0.0)
    return Agreement(len(same), float(gaps.mean()), float(gaps.max()), float(same.mean()))
