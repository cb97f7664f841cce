"""Which windows share a pass."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

SHORT = 8
"""A packed pass has room for as many windows as if each had so many tokens."""


def packed(lengths: Sequence[int], tokens: int, alike_by: int = 0) -> Iterator[list[int]]:
    """Passes of so many tokens, filled up: the longest windows first, always the longest that still fits.

    A window of more tokens than that has a pass of its own.

    Args:
        alike_by: the longest window of a pass has at most so many times the tokens of the shortest, where each is given
            a row as long as the longest; 0: the lengths do not matter to each other.

    >>> list(packed([9, 8, 17, 4], 32))
    [[2, 0, 3], [1]]
    >>> list(packed([9, 8, 17, 4], 32, alike_by=4))
    [[2, 0], [1, 3]]
    """
    waiting = _by_length(lengths)
    order = sorted(waiting)
    most = max(1, tokens // SHORT)
    while order:
        part = [_taken(waiting, order, len(order) - 1)]
        longest = lengths[part[0]]
        room = tokens - longest
        while len(part) < most:
            place = bisect_right(order, room) - 1
            if place < 0 or (alike_by and order[place] * alike_by < longest):
                break
            part.append(_taken(waiting, order, place))
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
