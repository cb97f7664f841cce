"""A bundle that answers as it is told: tests of measures know what the right number is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from monitor.documents import LABELS
from monitor.understand.bundle import Bundle
from monitor.understand.manifest import Manifest, Ngrams, Temperature
from monitor.understand.runtimes import Logits

TOPICS = ("dividend", "earnings", "macro")
Says = Callable[[str], tuple[Sequence[float], Sequence[float]]]
"""Text → (probabilities of the three sentiments, probabilities of the three topics)."""


class Script:
    """A runtime whose probabilities are those a function gives."""

    def __init__(self, says: Says) -> None:
        self.asked: list[str] = []
        self._says = says

    def logits(self, texts: Sequence[str]) -> Logits:
        self.asked += texts
        said = [self._says(text) for text in texts]
        sentiment = np.log(np.clip([row[0] for row in said], 1e-9, 1))
        topics = np.clip([row[1] for row in said], 1e-9, 1 - 1e-9)
        return Logits(
            sentiment.astype(np.float32),
            np.log(topics / (1 - topics)).astype(np.float32),
            np.arange(len(texts)),
            np.ones(len(texts)),
        )


def scripted(
    says: Says, *, languages: tuple[str, ...] = ("en",), version: str = "1.0.0", toward: bool = True
) -> Bundle:
    """A bundle with temperature 1 and thresholds of one half that says what `says` tells it."""
    manifest = Manifest(
        format=1,
        name="scripted",
        version=version,
        kind="ngrams",
        languages=languages,
        sentiment=LABELS,
        topics=TOPICS,
        temperature=Temperature(),
        thresholds=dict.fromkeys(TOPICS, 0.5),
        files={},
        ngrams=Ngrams(1, 2, 256),
        toward=toward,
    )
    return Bundle(manifest, Path("scripted"), Script(says))


def tone(negative: float, neutral: float, positive: float) -> tuple[Sequence[float], Sequence[float]]:
    """An answer that has no topic."""
    return (negative, neutral, positive), (0.1, 0.1, 0.1)


def by_words(text: str) -> tuple[Sequence[float], Sequence[float]]:
    """Good when the text says "gains", bad when it says "loses", about earnings when it says "profit"."""
    low = text.lower()
    good, bad = "gains" in low, "loses" in low
    sentiment = (0.1, 0.1, 0.8) if good and not bad else (0.8, 0.1, 0.1) if bad and not good else (0.2, 0.6, 0.2)
    return sentiment, (0.1, 0.9 if "profit" in low else 0.1, 0.1)
