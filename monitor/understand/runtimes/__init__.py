"""What runs a model: one file a kind. Each gives raw logits; calibration and decisions are not theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Choice = Literal["auto", "openvino", "torch"]
"""What may compute an encoder on a CPU."""


@dataclass(frozen=True)
class Logits:
    """Raw outputs, one row a window; a text has one window or, when it is long, several in a row.

    Attributes:
        sentiment: float32 (windows, 3), in the order of `documents.LABELS`.
        topics: float32 (windows, topics), in the order of the manifest.
        starts: int (texts,), the row of each text's first window.
        weights: float64 (windows,), how much of its text a window holds; those of a text sum to 1.
        cut: the places of the texts that are longer than is read of one.
    """

    sentiment: NDArray[np.float32]
    topics: NDArray[np.float32]
    starts: NDArray[np.int64]
    weights: NDArray[np.float64]
    cut: frozenset[int] = frozenset()

    def pooled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(windows, n) values to (texts, n) weighted means."""
        if len(self.starts) == len(values):
            return values
        pooled: NDArray[np.float64] = np.add.reduceat(values * self.weights[:, None], self.starts, axis=0)
        return pooled


class Runtime(Protocol):
    """A network that is ready to run.

    A text's logits are the same to the last bit whatever other texts are asked about with it.
    """

    def logits(self, texts: Sequence[str]) -> Logits:
        """Logits of each text's windows; at least one window a text. No text makes it raise."""
        ...


@dataclass(frozen=True, slots=True)
class Attribution:
    """Which pieces of a text a sum of its logits comes from.

    Attributes:
        text: in the form it was read.
        read, length: how many characters were read, from the first, of how many the text has in that form.
        pieces: (start, end, share) of pieces of that text, ascending; the shares add up to value - baseline.
        value: the sum for this text; of several windows their mean, weighted as in `Logits`.
        baseline: the same where nothing is known of the text.
        method: how the shares were found.
    """

    text: str
    pieces: tuple[tuple[int, int, float], ...]
    value: float
    baseline: float
    method: str
    read: int
    length: int


class Attributing(Runtime, Protocol):
    """A network that can say which pieces of a text its logits come from."""

    def attribute(self, text: str, direction: NDArray[np.float64]) -> Attribution:
        """Shares of the pieces of `text` in `direction` (3 + topics,) times its logits."""
        ...
