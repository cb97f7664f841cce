"""A runtime that remembers what it said: a retweet or a syndicated copy is not computed again.

Remembered by the form a text is read in (`normalise.py`), in which copies that differ in links, white space, entities
or the mark of a retweet are the same; so a remembered answer is the very one that would be computed, to the last bit.
It belongs to one loaded bundle and goes with it: another version starts with nothing.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.understand.normalise import normalise
from monitor.understand.runtimes import Logits, Runtime


class _Said(NamedTuple):
    """What was said of one text: logits (windows, 3 + topics), the windows' weights, whether the text was cut."""

    rows: NDArray[np.float32]
    weights: NDArray[np.float64]
    cut: bool


class CachedRuntime:
    """Another runtime's logits, those of the texts asked about last kept.

    Args:
        inner: computes what is not remembered.
        size: windows that are remembered at most, about 0.5 kB each; what was asked about longest ago goes first.
    """

    def __init__(self, inner: Runtime, size: int) -> None:
        self.inner = inner
        self._size = size
        self._held: OrderedDict[bytes, _Said] = OrderedDict()
        self._windows = 0
        self._lock = threading.Lock()
        self.asked = 0
        self.found = 0

    def logits(self, texts: Sequence[str]) -> Logits:
        """Logits of each text's windows; at least one window a text. No text makes it raise."""
        keys = [key_of(text) for text in texts]
        known: dict[bytes, _Said] = {}
        with self._lock:
            for key in keys:
                if (said := self._held.get(key)) is not None:
                    self._held.move_to_end(key)
                    known[key] = said
        missing = {key: place for place, key in reversed(list(enumerate(keys))) if key not in known}
        places = sorted(missing.values())
        if places or not texts:
            fresh = self.inner.logits([texts[place] for place in places])
            if not texts:
                return fresh
            said_of = dict(zip((keys[place] for place in places), _apart(fresh), strict=True))
            known |= said_of
        else:
            said_of = {}
        with self._lock:
            self.asked += len(texts)
            self.found += len(texts) - len(places)
            self._keep(said_of)
        return _together([known[key] for key in keys])

    def _keep(self, fresh: dict[bytes, _Said]) -> None:
        for key, said in fresh.items():
            if key not in self._held:  # another thread may have been quicker
                self._held[key] = said
                self._windows += len(said.rows)
        while self._windows > self._size:
            _, gone = self._held.popitem(last=False)
            self._windows -= len(gone.rows)


def key_of(text: str) -> bytes:
    """What a text is remembered by: a digest of the form it is read in."""
    return hashlib.blake2b(normalise(text).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _apart(logits: Logits) -> list[_Said]:
    ends = [*logits.starts[1:].tolist(), len(logits.sentiment)]
    both = np.concatenate([logits.sentiment, logits.topics], axis=1)
    # Copies: a view would keep the whole batch alive.
    return [
        _Said(both[begin:end].copy(), logits.weights[begin:end].copy(), place in logits.cut)
        for place, (begin, end) in enumerate(zip(logits.starts.tolist(), ends, strict=True))
    ]


def _together(said: Sequence[_Said]) -> Logits:
    rows = np.concatenate([one.rows for one in said])
    sizes = np.array([len(one.rows) for one in said])
    return Logits(
        np.ascontiguousarray(rows[:, :3]),
        np.ascontiguousarray(rows[:, 3:]),
        np.cumsum(sizes) - sizes,
        np.concatenate([one.weights for one in said]),
        frozenset(place for place, one in enumerate(said) if one.cut),
    )
