"""Documents that lie far from each other and from what is labelled: greedy k-centre.

Source: T. F. Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer Science 38,
1985; for the choice of what to label O. Sener, S. Savarese, "Active learning for convolutional neural networks: a
core-set approach", ICLR 2018.

The distance of two documents is the share of bits in which their SimHash fingerprints differ, which tells words
apart, plus a half for another language, up to a half for other topics (Jaccard), a quarter for another sentiment and
a quarter for another source. Two unrelated texts differ in about half of their bits whatever they are about, so it is
mostly the other parts that spread the choice, and the fingerprints within what is equal in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.store.queries.candidates import Candidate

LANGUAGE, TOPICS, SENTIMENT, SOURCE = 0.5, 0.5, 0.25, 0.25


class Space:
    """Documents as points; distances in [0, 2.5]."""

    def __init__(self, documents: Sequence[Candidate]) -> None:
        self._marks = np.array([one.fingerprint & 0xFFFF_FFFF_FFFF_FFFF for one in documents], np.uint64)
        self._langs, self._labels, self._sources = (
            _numbered([getattr(one, name) for one in documents]) for name in ("lang", "label", "source")
        )
        names = {topic: place for place, topic in enumerate(sorted({t for one in documents for t in one.topics}))}
        self._topics = np.zeros((len(documents), len(names)), np.float32)
        for row, one in enumerate(documents):
            self._topics[row, [names[topic] for topic in one.topics]] = 1
        self._sizes = self._topics.sum(axis=1)

    def __len__(self) -> int:
        return len(self._marks)

    def distances(self, place: int) -> NDArray[np.float64]:
        """(documents,) distances from the one at `place`."""
        found = np.bitwise_count(self._marks ^ self._marks[place]) / 64.0
        both = self._topics @ self._topics[place]
        either = self._sizes + self._sizes[place] - both
        likeness = np.divide(both, either, out=np.ones_like(both), where=either > 0)
        found += TOPICS * (1.0 - likeness)
        found += LANGUAGE * (self._langs != self._langs[place])
        found += SENTIMENT * (self._labels != self._labels[place])
        return found + SOURCE * (self._sources != self._sources[place])


def spread(documents: Sequence[Candidate], labelled: Sequence[Candidate] = ()) -> Iterator[tuple[int, float]]:
    """Places in `documents` and how far each lies from all before it and from what is labelled, one after the other.

    Each is the one farthest from what was taken before; of equals the first. With nothing labelled it begins with the
    first document.
    """
    if not documents:
        return
    space = Space([*documents, *labelled])
    count = len(documents)
    nearest = np.full(count, np.inf)
    for place in range(count, len(space)):
        nearest = np.minimum(nearest, space.distances(place)[:count])
    for _ in range(count):
        place = int(np.argmax(nearest))
        yield place, float(nearest[place])
        nearest = np.minimum(nearest, space.distances(place)[:count])
        nearest[place] = -1.0


def _numbered(values: Sequence[str]) -> NDArray[np.int64]:
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return np.array([numbers[value] for value in values], np.int64)
