"""Our hashed n-grams are scikit-learn's, with which the linear heads are taught."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.utils import murmurhash3_32

from monitor.understand.runtimes.hashing import counts, murmur

TEXTS = ["profit  and\t\nloss", "", "a", "净利润同比增长0%，股价", "😀😀 up", "e\u0301 é", "x" * 300, "\ud7ff\ue000"]


def of_sklearn(texts: list[str], low: int, high: int, buckets: int) -> list[tuple[int, int, int]]:
    hasher = HashingVectorizer(
        analyzer="char",
        ngram_range=(low, high),
        n_features=buckets,
        alternate_sign=False,
        norm=None,
        lowercase=False,
        dtype=np.float64,
    )
    found = hasher.transform(texts)
    found.sort_indices()
    rows = found.tocoo()
    return [(int(r), int(c), int(n)) for r, c, n in zip(rows.row, rows.col, rows.data, strict=True)]


def ours(texts: list[str], low: int, high: int, buckets: int) -> list[tuple[int, int, int]]:
    return [tuple(map(int, entry)) for entry in zip(*counts(texts, low, high, buckets), strict=True)]  # type: ignore[misc]


@pytest.mark.parametrize(("low", "high", "buckets"), [(1, 5, 2**16), (2, 3, 257), (3, 8, 2**22)])
def test_counts_are_those_of_scikit_learn(low: int, high: int, buckets: int) -> None:
    assert ours(TEXTS, low, high, buckets) == of_sklearn(TEXTS, low, high, buckets)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), min_size=1, max_size=5))
def test_any_text_is_counted_as_scikit_learn_does(texts: list[str]) -> None:
    assert ours(texts, 1, 4, 4096) == of_sklearn(texts, 1, 4, 4096)


@pytest.mark.parametrize("size", range(21))
def test_hash_is_murmurhash3(size: int) -> None:
    raw = bytes(range(100, 100 + size))
    behind = raw + b"\xff\xff\xff\xff"
    found = murmur(lambda offset: np.array([int.from_bytes(behind[offset : offset + 4], "little")], np.uint32), size)
    assert found[0] == np.uint32(murmurhash3_32(raw, positive=True))


def test_no_text_has_no_ngram() -> None:
    assert [part.tolist() for part in counts([], 1, 3, 64)] == [[], [], []]
    assert [part.tolist() for part in counts(["", ""], 1, 3, 64)] == [[], [], []]
