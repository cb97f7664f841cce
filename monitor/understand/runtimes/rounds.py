"""Which windows share a pass."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

SHORT = 8
"""A packed pass has room for as many windows as if each had so many tokens."""


def packed(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Passes of so many tokens, filled up: the longest windows first, always the longest that still fits.

    A window of more tokens than that has a pass of its own.

    >>> list(packed([9, 8, 17, 4], 32))
    [[2, 0, 3], [1]]
    """
    waiting = _by_length(lengths)
    order = sorted(waiting)
    most = max(1, tokens // SHORT)
    while order:
        part = [_taken(waiting, order, len(order) - 1)]
        room = tokens - lengths[part[0]]
        while order and len(part) < most and order[0] <= room:
            part.append(_taken(waiting, order, bisect_right(order, room) - 1))
            room -= lengths[part[-1]]
        yield part


def alike(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Passes of windows of one length, of at most so many tokens, the longest first so that no thread is left with one
    at the end.

    A pass has 1, 2, 4, 8 … windows: OpenVINO makes kernels for every shape it meets and keeps them, so the fewer shapes
    there are, the sooner all are made and the less memory they take.

    >>> list(alike([3, 5, 3, 3], 512))
    [[1], [0, 2], [3]]
    """
    for length, members in sorted(_by_length(lengths).items(), reverse=True):
        most = max(1, tokens // length)
        left = members[::-1]
        while left:
            rows = 1 << (min(len(left), most).bit_length() - 1)
            yield left[:rows]
            left = left[rows:]


def _by_length(lengths: Sequence[int]) -> dict[int, list[int]]:
    """The windows of each length, the last first."""
    found: dict[int, list[int]] = {}
    for index in range(len(lengths) - 1, -1, -1):
        found.setdefault(lengths[index], []).append(index)
    return found


def _taken(waiting: dict[int, list[int]], order: list[int], place: int) -> int:
    members = waiting[order[place]]
    index = members.pop()
    if not members:
        order.pop(place)
    return index
