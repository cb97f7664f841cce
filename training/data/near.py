"""Near copies among many texts: all pairs of fingerprints a few bits apart, found without comparing each with each.

Fingerprints and bound are those by which the service folds a story's copies (`monitor.understand.novelty`). The 64 bits
are cut into bands such that two fingerprints within the bound agree wholly in at least two of them; only texts that
agree in some two bands are compared (the tables of Manku, Jain and Das Sarma, "Detecting near-duplicates for web
crawling", WWW 2007, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from monitor.progress import progress
from monitor.understand.novelty import WITHIN, fingerprint

Marks = NDArray[np.uint64]
Indices = NDArray[np.int64]

_MANY = 100_000
"""Texts from which on work shows its progress."""
_STEP = 5_000


def marked(texts: Sequence[str]) -> Marks:
    """The fingerprints of texts, shape (texts,)."""
    if len(texts) < _MANY:
        return np.array([fingerprint(text) & 0xFFFF_FFFF_FFFF_FFFF for text in texts], dtype=np.uint64)
    marks = np.empty(len(texts), dtype=np.uint64)
    with progress("fingerprints", len(texts)) as bar:
        for place, text in enumerate(texts):
            marks[place] = fingerprint(text) & 0xFFFF_FFFF_FFFF_FFFF
            if place % _STEP == 0:
                bar.update(place)
    return marks


def near_pairs(marks: Marks, side: NDArray[np.bool_] | None = None, *, within: int = WITHIN) -> Indices:
    """Every pair of fingerprints within the bound.

    Args:
        marks: fingerprints, shape (marks,); many equal ones make many pairs, so give each once.
        side: of each mark, which of two groups it is of; then only pairs across the groups are looked for.
        within: bits by which two may differ, 0 to 14.

    Returns: shape (pairs, 2), each row ascending, rows sorted.
    """
    bands = within + 2
    edges = np.linspace(0, 64, bands + 1).round().astype(int)
    parts = [(marks >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1) for low, high in pairwise(edges)]
    found: list[Indices] = []
    for first, second in combinations(range(bands), 2):
        keys = (parts[first] << np.uint64(32)) | parts[second]
        order = np.argsort(keys, kind="stable")
        keys, sorted_marks = keys[order], marks[order]
        sides = None if side is None else side[order]
        # Compare each with its next neighbour of the same key, then with the one after, until no key goes on.
        start, step = np.arange(len(marks)), 0
        while True:
            step += 1
            start = start[start + step < len(marks)]
            start = start[keys[start] == keys[start + step]]
            if not start.size:
                break
            near = np.bitwise_count(sorted_marks[start] ^ sorted_marks[start + step]) <= within
            if sides is not None:
                near &= sides[start] != sides[start + step]
            hits = start[near]
            if hits.size:
                found.append(np.sort(np.stack([order[hits], order[hits + step]], axis=1), axis=1))
    if not found:
        return np.empty((0, 2), dtype=np.int64)
    return np.unique(np.concatenate(found), axis=0)


def first_copies(marks: Marks, *, within: int = WITHIN) -> Indices:
    """For each text the earlier one it is a near copy of, or itself where it is the first of its kind.

    As in `novelty.stories`, a text joins the earliest text that is near enough and is no copy itself, so a chain of
    small changes never carries one text into quite another.

    Returns: shape (texts,); entry i is at most i.
    """
    distinct, first, inverse = np.unique(marks, return_index=True, return_inverse=True)
    pairs = first[near_pairs(distinct, within=within)]
    pairs.sort(axis=1)
    heads = np.arange(len(marks))
    # In the order of the later one, then the earlier: when a pair is reached, the earlier's fate is settled.
    for earlier, later in pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))].tolist():
        if heads[later] == later and heads[earlier] == earlier:
            heads[later] = earlier
    # Equal fingerprints share the fate of their first.
    result: Indices = heads[first[inverse]]
    return result


def copied_from(texts: Marks, others: Marks, *, within: int = WITHIN) -> Indices:
    """For each text the first of `others` that it is a near copy of, or -1; shape (texts,)."""
    found = np.full(len(texts), len(others))
    if len(texts) and len(others):
        here, here_index = np.unique(texts, return_inverse=True)
        there, there_first = np.unique(others, return_index=True)
        nearest = np.full(len(here), len(others))
        both = np.concatenate([here, there])
        pairs = near_pairs(both, np.arange(len(both)) < len(here), within=within)
        np.minimum.at(nearest, pairs[:, 0], there_first[pairs[:, 1] - len(here)])
        found = nearest[here_index]
    result: Indices = np.where(found == len(others), -1, found)
    return result
