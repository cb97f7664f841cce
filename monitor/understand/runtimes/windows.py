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

MAX_WINDOWS = 16
"""A text is read as far as this many windows reach (2,016 tokens at 128 a window); the rest is not looked at."""
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
        self.prefix, self.suffix = _frame(tokenizer)
        self._room = max_tokens - len(self.prefix) - len(self.suffix)
        self._max_chars = MAX_WINDOWS * max_tokens * _CHARS_A_TOKEN

    def read(self, text: str) -> str:
        """The text as far as it is read, in the form the tokenizer gets it."""
        return normalise(text[: 4 * self._max_chars])[: self._max_chars]

    def split(self, texts: Sequence[str]) -> tuple[list[tuple[int, ...]], NDArray[np.int64], NDArray[np.float64]]:
        """Framed windows of all texts, the row of each text's first one (texts,), and the weights (windows,)."""
        windows: list[tuple[int, ...]] = []
        starts = np.empty(len(texts), np.int64)
        weights: list[float] = []
        read = [self.read(text) for text in texts]
        for index, encoding in enumerate(self._tokenizer.encode_batch_fast(read, add_special_tokens=False)):
            starts[index] = len(windows)
            ids = encoding.ids
            for begin, end, weight in self._bounds(encoding):
                windows.append((*self.prefix, *ids[begin:end], *self.suffix))
                weights.append(weight)
        return windows, starts, np.array(weights)

    def windows(self, text: str) -> list[Window]:
        """The windows of one text, at least one, with the places of their tokens in `read(text)`."""
        encoding = self._tokenizer.encode(self.read(text), add_special_tokens=False)
        return [
            Window(tuple(encoding.ids[begin:end]), tuple(encoding.offsets[begin:end]), weight)
            for begin, end, weight in self._bounds(encoding)
        ]

    def _bounds(self, encoding: Encoding) -> Iterator[tuple[int, int, float]]:
        size = min(len(encoding), MAX_WINDOWS * self._room)
        parts = max(1, -(-size // self._room))
        for begin, end in pairwise(size * part // parts for part in range(parts + 1)):
            yield begin, end, (end - begin) / size if size else 1.0


def _frame(tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The special tokens the tokenizer puts before and after a text."""
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    framed = tokenizer.encode("a").ids
    for begin in range(len(framed) - len(plain) + 1):
        if framed[begin : begin + len(plain)] == plain:
            return tuple(framed[:begin]), tuple(framed[begin + len(plain) :])
    raise ValueError("the tokenizer changes a text when it frames it")
