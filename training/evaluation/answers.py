"""What a bundle answers to a set of texts; each text is asked once, whoever wants to know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.documents import LABELS
from monitor.understand.bundle import Bundle
from monitor.understand.engine import DIGITS
from monitor.understand.manifest import Manifest

CHUNK = 512
NEGATIVE, NEUTRAL, POSITIVE = (LABELS.index(label) for label in ("negative", "neutral", "positive"))


class Answers:
    """The rounded probabilities a bundle gives to texts, as the service decides on them."""

    def __init__(self, bundle: Bundle, texts: Iterable[str], tell: Callable[[int], None] | None = None) -> None:
        """Ask `bundle` about `texts`; `tell` hears how many are done."""
        self.manifest: Manifest = bundle.manifest
        self._place: dict[str, int] = {}
        for text in texts:
            self._place.setdefault(text, len(self._place))
        asked = list(self._place)
        sentiment, topics = [np.empty((0, len(LABELS)))], [np.empty((0, len(self.manifest.topics)))]
        for begin in range(0, len(asked), CHUNK):
            part = bundle.probabilities(asked[begin : begin + CHUNK])
            sentiment.append(part[0])
            topics.append(part[1])
            if tell is not None:
                tell(min(begin + CHUNK, len(asked)))
        self._sentiment = rounded(np.concatenate(sentiment))
        self._topics = rounded(np.concatenate(topics))

    def __len__(self) -> int:
        return len(self._place)

    def sentiment(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities (texts, 3), in the order of `documents.LABELS`."""
        return self._sentiment[self._rows(texts)]

    def topics(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities (texts, topics), in the order of the manifest."""
        return self._topics[self._rows(texts)]

    def said(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """The sentiment said of each text, as its place in `documents.LABELS`."""
        return likeliest(self.sentiment(texts))

    def scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Each text's score: P(positive) − P(negative), in [−1, 1]."""
        probability = self.sentiment(texts)
        return rounded(probability[:, POSITIVE] - probability[:, NEGATIVE])

    def topic_sets(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Which topics each text is said to have, (texts, topics)."""
        return passed(self.manifest, self.topics(texts))

    def _rows(self, texts: Sequence[str]) -> NDArray[np.int64]:
        return np.array([self._place[text] for text in texts], np.int64)


def rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """To as many digits as the service decides on."""
    return np.asarray(np.round(values, DIGITS), np.float64)


def likeliest(probability: NDArray[np.float64]) -> NDArray[np.int64]:
    """The class of each (texts, 3) row; a tie goes to neutral, then negative, as in `documents.Sentiment`."""
    order = np.array([NEUTRAL, NEGATIVE, POSITIVE])
    return order[probability[:, order].argmax(1)]


def passed(manifest: Manifest, topics: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which topics reach their thresholds, (texts, topics)."""
    return topics >= np.array([manifest.thresholds[topic] for topic in manifest.topics])
