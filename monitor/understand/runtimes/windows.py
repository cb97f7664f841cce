"""How a text is cut into the windows that a transformer reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monitor.understand.normalise import normalise

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

MAX_WINDOWS = 64
"""A text is read as far as this many windows reach (8,064 tokens at 128 a window), so that none holds up a batch; of a
longer one is told that it was cut."""
_CHARS_A_TOKEN = 16


@dataclass(frozen=True, slots=True)
class Window:
    """A window: its token ids between the special ones, where each stands in the read text, and its share of it."""

    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]
    weight: float


class Splitter:
    """Cuts texts into windows of about equal length, each framed by the tokenizer's special tokens.

    Args:
        max_tokens: of a window, special ones included.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        self.prefix, self.suffix = frame(tokenizer)
        self._room = max_tokens - len(self.prefix) - len(self.suffix)
        self._max_chars = MAX_WINDOWS * max_tokens * _CHARS_A_TOKEN

    def read(self, text: str) -> str:
        """What the tokenizer gets of a text: its form and, of a very long one, the beginning."""
        return self._shortened(text)[0]

    def split(
        self, texts: Sequence[str]
    ) -> tuple[list[tuple[int, ...]], NDArray[np.int64], NDArray[np.float64], frozenset[int]]:
        """Framed windows of all texts, the row of each text's first one (texts,), the weights (windows,), and the
        places of the texts that are longer than is read."""
        windows: list[tuple[int, ...]] = []
        starts = np.empty(len(texts), np.int64)
        weights: list[float] = []
        read, shortened = zip(*map(self._shortened, texts), strict=True) if texts else ((), ())
        cut = {index for index, short in enumerate(shortened) if short}
        for index, encoding in enumerate(self._tokenizer.encode_batch_fast(list(read), add_special_tokens=False)):
            starts[index] = len(windows)
            if len(encoding) > MAX_WINDOWS * self._room:
                cut.add(index)
            ids = encoding.ids
            for begin, end, weight in self._bounds(encoding):
                windows.append((*self.prefix, *ids[begin:end], *self.suffix))
                weights.append(weight)
        return windows, starts, np.array(weights), frozenset(cut)

    def windows(self, text: str) -> list[Window]:
        """The windows of one text, at least one, with the places of their tokens in `read(text)`."""
        encoding = self._tokenizer.encode(self.read(text), add_special_tokens=False)
        return [
            Window(tuple(encoding.ids[begin:end]), tuple(encoding.offsets[begin:end]), weight)
            for begin, end, weight in self._bounds(encoding)
        ]

    def reach(self, text: str) -> tuple[int, int]:
        """How many characters are read of a text, from the first, and how many it has, both in the form it is read."""
        read, shortened = self._shortened(text)
        encoding = self._tokenizer.encode(read, add_special_tokens=False)
        last = MAX_WINDOWS * self._room
        if len(encoding) > last:
            return encoding.offsets[last - 1][1], len(normalise(text))
        return len(read), len(normalise(text)) if shortened else len(read)

    def _shortened(self, text: str) -> tuple[str, bool]:
        """What the tokenizer gets, and whether that is not all of the text."""
        whole = normalise(text[: 4 * self._max_chars])
        return whole[: self._max_chars], len(whole) > self._max_chars or len(text) > 4 * self._max_chars

    def _bounds(self, encoding: Encoding) -> Iterator[tuple[int, int, float]]:
        size = min(len(encoding), MAX_WINDOWS * self._room)
        parts = max(1, -(-size // self._room))
        for begin, end in pairwise(size * part // parts for part in range(parts + 1)):
            yield begin, end, (end - begin) / size if size else 1.0


def frame(tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The special tokens the tokenizer puts before and after a text."""
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    framed = tokenizer.encode("a").ids
    for begin in range(len(framed) - len(plain) + 1):
        if framed[begin : begin + len(plain)] == plain:
            return tuple(framed[:begin]), tuple(framed[begin + len(plain) :])
    raise ValueError("the tokenizer changes a text when it frames it")
