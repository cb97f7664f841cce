"""Transformer bundles: texts to windows, windows to pooled states by a backend, states to logits by the heads.

A backend is one way to compute a network (`pytorch.py`, `openvino.py`, `packed.py`); it decides which windows share a
pass. What does not depend on it is here: cutting texts, computing the same window once, and the heads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.understand.runtimes import Logits
from monitor.understand.runtimes.windows import Splitter

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHUNK = 2_048
"""Texts tokenised at a time; the next so many are tokenised while the passes of these are computed."""
_BLOCK = 64  # rows the heads always read at a time, so that a row's bits do not depend on how many there are


class Backend(Protocol):
    """A network without its heads, ready to run.

    A window's states are the same to the last bit whatever other windows are asked about with it, and in which order.
    Several threads may ask at a time.
    """

    hidden: int

    def pooled(self, windows: Sequence[tuple[int, ...]]) -> NDArray[np.float32]:
        """Pooled states (windows, hidden) of framed token ids."""
        ...


class Heads:
    """The two linear heads, in float32."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        self._weight = np.concatenate([tensors["sentiment.weight"], tensors["topics.weight"]]).astype(np.float32).T
        self._bias = np.concatenate([tensors["sentiment.bias"], tensors["topics.bias"]]).astype(np.float32)

    @property
    def hidden(self) -> int:
        """Numbers the heads read of each window."""
        return len(self._weight)

    def __call__(self, pooled: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits of sentiment (windows, 3) and topics (windows, topics)."""
        count = len(pooled)
        padded = np.zeros((-(-count // _BLOCK) * _BLOCK, self.hidden), np.float32)
        padded[:count] = pooled
        found = np.empty((len(padded), len(self._bias)), np.float32)
        for begin in range(0, len(padded), _BLOCK):
            found[begin : begin + _BLOCK] = padded[begin : begin + _BLOCK] @ self._weight
        found += self._bias
        return found[:count, :3], found[:count, 3:]


class EncoderRuntime:
    """An encoder and its two heads, ready to run."""

    def __init__(self, backend: Backend, heads: Heads, tokenizer: Tokenizer, *, max_tokens: int) -> None:
        if backend.hidden != heads.hidden:
            raise ValueError(f"heads read {heads.hidden} numbers, the encoder gives {backend.hidden}")
        self.backend = backend
        self._heads = heads
        self._splitter = Splitter(tokenizer, max_tokens)

    def logits(self, texts: Sequence[str]) -> Logits:
        """Logits of each text; a long one is split into windows of about equal length, at most MAX_WINDOWS."""
        parts = [self._chunk(*split) for split in self._split(texts)]
        if len(parts) == 1:
            return parts[0]
        return _joined(parts)

    def pooled(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """What the heads read of each text, (texts, hidden); of a long text the mean over its windows."""
        windows, starts, weights, _ = self._splitter.split(texts)
        states = self.backend.pooled(windows)
        if len(starts) == len(windows):
            return states
        return np.add.reduceat(states * weights[:, None].astype(np.float32), starts, axis=0)

    def tokens(self, texts: Sequence[str]) -> int:
        """How many tokens are read of these texts, special ones included."""
        return sum(map(len, self._splitter.split(texts)[0]))

    def _split(self, texts: Sequence[str]) -> Iterator[Any]:
        """The windows of each chunk of texts; those of the next are made while the caller works on these."""
        chunks = [texts[begin : begin + CHUNK] for begin in range(0, len(texts), CHUNK)] or [texts]
        if len(chunks) == 1:
            yield self._splitter.split(texts)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="tokenise") as ahead:
            coming = ahead.submit(self._splitter.split, chunks[0])
            for following in chunks[1:]:
                here, coming = coming.result(), ahead.submit(self._splitter.split, following)
                yield here
            yield coming.result()

    def _chunk(
        self,
        windows: list[tuple[int, ...]],
        starts: NDArray[np.int64],
        weights: NDArray[np.float64],
        cut: frozenset[int],
    ) -> Logits:
        # The same window twice (a retweet, a syndicated copy) is computed once.
        place: dict[tuple[int, ...], int] = {}
        rows = np.array([place.setdefault(window, len(place)) for window in windows], np.int64)
        sentiment, topics = self._heads(self.backend.pooled(list(place)))
        return Logits(sentiment[rows], topics[rows], starts, weights, cut)


def _joined(parts: Sequence[Logits]) -> Logits:
    """The logits of chunks of texts as those of all of them."""
    rows = np.cumsum([0, *(len(part.sentiment) for part in parts)])
    texts = np.cumsum([0, *(len(part.starts) for part in parts)])
    return Logits(
        np.concatenate([part.sentiment for part in parts]),
        np.concatenate([part.topics for part in parts]),
        np.concatenate([part.starts + row for part, row in zip(parts, rows, strict=False)]),
        np.concatenate([part.weights for part in parts]),
        frozenset(int(text) + place for part, text in zip(parts, texts, strict=False) for place in part.cut),
    )
