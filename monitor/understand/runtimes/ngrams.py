"""Linear bundles over hashed character n-grams: no words to segment, small, quick on any CPU.

A text becomes counts of its character n-grams in hash buckets (MurmurHash3), dampened as 1 + ln(count), weighted by
the bucket's inverse document frequency and scaled to length 1; two linear heads read that vector. Each text's row
is computed by itself, so its logits do not depend on the others.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from monitor.understand.normalise import normalise
from monitor.understand.runtimes import Attribution, Logits
from monitor.understand.runtimes.hashing import counts

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from monitor.understand.manifest import Manifest, Ngrams

MAX_CHARS = 20_000
"""A text is read this far, so that none holds up a batch; of a longer one is told that it was cut."""
_LARGEST = 18
"""Characters that NFKC makes of one at most (U+FDFA)."""
_LETTERS = MAX_CHARS  # hashed at a time, or one text: each takes a hundred bytes
_DIGITS = re.compile(r"\d+")


def fold(text: str) -> str:
    """The form n-grams are taken from: normalised, width-folded (NFKC), lower case, each number a single 0.

    >>> fold("净利润同比增长３５％ https://t.cn/x")
    '净利润同比增长0% http'
    """
    return _DIGITS.sub("0", _widths(text)[:MAX_CHARS].lower())


def is_cut(text: str) -> bool:
    """Whether a text is longer than is read of it."""
    if len(text) * _LARGEST <= MAX_CHARS:
        return False
    return len(text) > 4 * MAX_CHARS or len(_widths(text)) > MAX_CHARS


def _widths(text: str) -> str:
    return unicodedata.normalize("NFKC", normalise(text[: 4 * MAX_CHARS]))


def traced(text: str) -> tuple[str, str, list[int]]:
    """The text as far as it is read, its folded form, and for each character of that form where it comes from.

    Where signs melt into each other when they are folded, the folded form itself stands for the text.
    """
    read = normalise(text[: 4 * MAX_CHARS])
    folded = fold(text)
    letters: list[str] = []
    source: list[int] = []
    for place, character in enumerate(read):
        if len(letters) == MAX_CHARS:
            read = read[:place]
            break
        for letter in unicodedata.normalize("NFKC", character):
            if len(letters) == MAX_CHARS:
                break
            letters.append(letter)
            source.append(place)
    lowered = "".join(letters).lower()
    if len(lowered) != len(letters):
        return folded, folded, list(range(len(folded)))
    kept = [
        place
        for place, letter in enumerate(lowered)
        if not (_DIGITS.fullmatch(letter) and place and _DIGITS.fullmatch(lowered[place - 1]))
    ]
    if _DIGITS.sub("0", lowered) != folded or len(kept) != len(folded):
        return folded, folded, list(range(len(folded)))
    return read, folded, [source[place] for place in kept]


def some_at_a_time(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in parts of so many characters, or one longer text, that hashing them takes little memory."""
    begin = letters = 0
    for index, text in enumerate(texts):
        size = min(len(text), MAX_CHARS)
        if letters and letters + size > _LETTERS:
            yield texts[begin:index]
            begin, letters = index, 0
        letters += size
    if begin < len(texts):
        yield texts[begin:]


class Hasher:
    """Texts to sparse rows of dampened n-gram counts, before any weighting."""

    def __init__(self, ngrams: Ngrams) -> None:
        self.buckets, self._low, self._high = ngrams.buckets, ngrams.low, ngrams.high

    def places(self, folded: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Where each n-gram of a folded text begins, its length, and its bucket; (n-grams,) each."""
        from sklearn.feature_extraction import FeatureHasher

        low, high = self._low, self._high
        spots = [(at, size) for size in range(low, high + 1) for at in range(len(folded) - size + 1)]
        hasher = FeatureHasher(self.buckets, input_type="string", alternate_sign=False)
        rows = hasher.transform([[folded[at : at + size]] for at, size in spots]) if spots else None
        both = np.array(spots, np.int64).reshape(-1, 2)
        buckets = rows.indices.astype(np.int64) if rows is not None else np.empty(0, np.int64)
        return both[:, 0], both[:, 1], buckets

    def counts(self, texts: Sequence[str]) -> csr_matrix:
        """(texts, buckets) with 1 + ln(count) where an n-gram falls."""
        from scipy.sparse import csr_matrix, vstack

        parts = list(self.parts(texts))
        return vstack(parts, "csr") if parts else csr_matrix((0, self.buckets))

    def parts(self, texts: Sequence[str]) -> Iterator[csr_matrix]:
        """The same in parts of some texts, which together take little memory while they are hashed."""
        from scipy.sparse import csr_matrix

        for some in some_at_a_time(texts):
            row, bucket, often = counts([fold(text) for text in some], self._low, self._high, self.buckets)
            ends = np.searchsorted(row, np.arange(len(some) + 1))
            yield csr_matrix((1.0 + np.log(often), bucket, ends), shape=(len(some), self.buckets))


def weighted(rows: csr_matrix, idf: NDArray[np.float64]) -> csr_matrix:
    """Rows times idf, each scaled to length 1; a row whose n-grams all weigh nothing becomes zeros."""
    rows = rows.copy()
    rows.data *= idf[rows.indices]
    sizes = np.diff(rows.indptr)
    squares = np.zeros(len(sizes))
    some = sizes > 0
    if some.any():
        squares[some] = np.add.reduceat(rows.data**2, rows.indptr[:-1][some])
    rows.data /= np.repeat(np.sqrt(np.where(squares > 0, squares, 1.0)), sizes)
    return rows


class NgramRuntime:
    """The two heads, ready to run."""

    def __init__(
        self, hasher: Hasher, idf: NDArray[np.float64], weight: NDArray[np.float64], bias: NDArray[np.float64]
    ) -> None:
        self._hasher = hasher
        self._idf = idf
        self._weight = weight  # (buckets, 3 + topics), so that a text reads whole rows
        self._bias = bias

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> NgramRuntime:
        """Read the weights of a checked bundle; see `bundle.load_bundle`."""
        from safetensors.numpy import load_file

        if manifest.ngrams is None:
            raise ValueError("no n-grams described")
        return cls.of(load_file(folder / "weights.safetensors"), manifest.ngrams, len(manifest.topics))

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[Any]], ngrams: Ngrams, topics: int) -> NgramRuntime:
        """The heads of a bundle's tensors.

        Raises:
            KeyError, ValueError: the tensors do not fit.
        """
        buckets = ngrams.buckets
        wanted = {
            "idf": (buckets,),
            "sentiment.weight": (3, buckets),
            "sentiment.bias": (3,),
            "topics.weight": (topics, buckets),
            "topics.bias": (topics,),
        }
        for name, shape in wanted.items():
            if tensors[name].shape != shape:
                raise ValueError(f"{name} has shape {tensors[name].shape} instead of {shape}")
        both = [
            np.concatenate([tensors[f"sentiment.{part}"], tensors[f"topics.{part}"]]) for part in ("weight", "bias")
        ]
        weight = np.ascontiguousarray(both[0].astype(np.float64).T)
        return cls(Hasher(ngrams), tensors["idf"].astype(np.float64), weight, both[1].astype(np.float64))

    def logits(self, texts: Sequence[str]) -> Logits:
        """Logits of each text, one window each, read as far as MAX_CHARS."""
        found = np.empty((len(texts), len(self._bias)), np.float32)
        done = 0
        for part in self._hasher.parts(texts):
            rows = weighted(part, self._idf)
            found[done : done + rows.shape[0]] = np.asarray(rows @ self._weight) + self._bias
            done += rows.shape[0]
        cut = frozenset(index for index, text in enumerate(texts) if is_cut(text))
        return Logits(found[:, :3], found[:, 3:], np.arange(len(texts)), np.ones(len(texts)), cut)

    def attribute(self, text: str, direction: NDArray[np.float64]) -> Attribution:
        """Exact: each n-gram's share goes to its characters in equal parts; the baseline is a text without any.

        Args:
            direction: (3 + topics,), what of each logit is added up.
        """
        read, folded, source = traced(text)
        begins, sizes, buckets = self._hasher.places(folded)
        row = weighted(self._hasher.counts([text]), self._idf)
        held = np.zeros(self._hasher.buckets)
        held[row.indices] = row.data
        often = np.bincount(buckets, minlength=1)
        shares = held[buckets] / often[buckets] * (self._weight[buckets] @ direction) / sizes
        steps = np.zeros(len(folded) + 1)
        np.add.at(steps, begins, shares)
        np.subtract.at(steps, begins + sizes, shares)
        parts = np.cumsum(steps)[: len(folded)]
        ends = [*source[1:], len(read)] if source else []
        pieces = tuple(
            (start, max(start, end), float(part)) for start, end, part in zip(source, ends, parts, strict=True)
        )
        value = float((np.asarray(row @ self._weight)[0] + self._bias) @ direction)
        length = max(len(read), len(normalise(text))) if is_cut(text) else len(read)
        return Attribution(read, pieces, value, float(self._bias @ direction), "exact", len(read), length)
