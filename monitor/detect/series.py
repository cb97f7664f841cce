"""Counts over event time: the cells that come in, and the bounded memory the detector judges from."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.documents import Series

if TYPE_CHECKING:
    import numpy as np

Minute = int
"""Minutes since the epoch, UTC. The minute `m` covers [60·m, 60·m + 60) seconds."""

DAY: Minute = 1440


@dataclass(frozen=True, slots=True)
class Cell:
    """The on-time documents of one series in one minute: how many were negative, and how many there were.

    A cell of zeros says that the series was observed and silent; it need not be sent.
    """

    minute: Minute
    series: Series
    negative: int
    total: int


def parent(series: Series) -> Series:
    """The series that holds every document of the same language.

    >>> str(parent(Series("earnings", "AAPL", "en")))
    '*/*/en'
    """
    return Series("", "", series.lang)


@dataclass(frozen=True, slots=True)
class Past:
    """One series over consecutive buckets `start … start + len - 1`, oldest first, as float arrays.

    `pairs[i]` holds, for the i-th slot length, the sum over the slots of a bucket of n·(n - 1), n being the
    negatives of one slot: what the variance within a bucket is estimated from.
    """

    start: int
    negative: np.ndarray
    total: np.ndarray
    pairs: tuple[np.ndarray, ...]


class _Track:
    """One series: the minutes of the last days with running sums, and its non-empty buckets."""

    __slots__ = (
        "base",
        "bucket_negative",
        "bucket_total",
        "buckets",
        "minutes",
        "negative",
        "pairs",
        "slot_counts",
        "slots_at",
        "total",
    )

    def __init__(self, slots: int) -> None:
        self.minutes: list[Minute] = []
        self.negative: list[int] = []  # running sums, so that a window is two look-ups
        self.total: list[int] = []
        self.base = (0, 0)  # the sums before the first minute that is still kept
        self.buckets = array("q")
        self.bucket_negative = array("q")
        self.bucket_total = array("q")
        self.pairs = [array("q") for _ in range(slots)]
        self.slots_at = [-1] * slots
        self.slot_counts = [0] * slots


class History:
    """What the detector remembers, in bounded memory.

    Per series: the negatives and totals of each non-empty bucket (an hour, unless the input is coarser) for
    `days` and a few more, and of each non-empty minute for the last two days. All are integers, so the
    content depends only on the cells given, not on how they were cut into calls.

    Args:
        days: days of buckets a baseline may look at.
        bucket: minutes of one bucket.
        slots: lengths in minutes, below `bucket`, for which the scatter within a bucket is kept.

    >>> history = History(days=28)
    >>> apple = Series("", "AAPL", "en")
    >>> history.add([Cell(100, apple, 2, 3), Cell(104, apple, 1, 1), Cell(110, apple, 4, 9)])
    >>> history.window(apple, 109, 10)
    (3, 4)
    """

    def __init__(self, days: int, bucket: int = 60, slots: Sequence[int] = (5, 15)) -> None:
        self.bucket = bucket
        self.slots = tuple(slots)
        self.latest: Minute | None = None
        self._tracks: dict[Series, _Track] = {}
        # Series by their last bucket, the longest silent first: makes `alive` cheap.
        self._last: OrderedDict[Series, int] = OrderedDict()
        self._fading: deque[tuple[int, Series]] = deque()
        self._days = days
        # One day for the longest window, one for the shape's cut, one to spare for gaps and whole buckets.
        self._kept_buckets = (days + 3) * DAY // bucket

    def add(self, cells: Iterable[Cell]) -> None:
        """Take in cells, minutes ascending (several of one minute and series add up).

        Raises:
            ValueError: a cell is older than one already taken in, or its counts are impossible.
        """
        for cell in cells:
            if self.latest is not None and cell.minute < self.latest:
                raise ValueError(f"minutes must ascend: {cell.minute} after {self.latest}")
            if not 0 <= cell.negative <= cell.total:
                raise ValueError(f"{cell.series}: {cell.negative} negative of {cell.total} documents is impossible")
            self.latest = cell.minute
            self._take(cell)

    def window(self, series: Series, end: Minute, minutes: int) -> tuple[int, int]:
        """(negative, total) in (end - minutes, end]; reaches at most two days back from the latest cell."""
        track = self._tracks.get(series)
        if track is None:
            return 0, 0
        high = bisect_right(track.minutes, end)
        low = bisect_right(track.minutes, end - minutes, 0, high)
        if high == low:
            return 0, 0
        before = (track.negative[low - 1], track.total[low - 1]) if low else track.base
        return track.negative[high - 1] - before[0], track.total[high - 1] - before[1]

    def first_bucket(self, series: Series, start: int) -> int | None:
        """The series' first bucket at or after `start`; None when there is none."""
        track = self._tracks.get(series)
        if track is None:
            return None
        at = bisect_left(track.buckets, start)
        return track.buckets[at] if at < len(track.buckets) else None

    def past(self, series: Series, start: int, stop: int) -> Past:
        """The buckets `start … stop - 1` of a series, empty ones as zeros."""
        import numpy as np

        length = max(stop - start, 0)
        track = self._tracks.get(series)
        dense = [np.zeros(length) for _ in range(2 + len(self.slots))]
        if track is not None and length:
            low = bisect_left(track.buckets, start)
            high = bisect_left(track.buckets, stop)
            index = np.array(track.buckets[low:high], dtype=np.int64) - start
            for target, kept in zip(dense, (track.bucket_negative, track.bucket_total, *track.pairs), strict=True):
                target[index] = kept[low:high]
        return Past(start, dense[0], dense[1], tuple(dense[2:]))

    def alive(self, minute: Minute) -> int:
        """How many series had a document within the remembered days before `minute`."""
        limit = (minute - self._days * DAY) // self.bucket
        while self._last:
            series, last = next(iter(self._last.items()))
            if last >= limit:
                break
            del self._last[series]
            self._fading.append((last, series))
        # Silent series are forgotten once their last bucket is out of every baseline's reach.
        while self._fading and self._fading[0][0] < minute // self.bucket - self._kept_buckets:
            last, series = self._fading.popleft()
            if self._tracks[series].buckets[-1] == last:
                del self._tracks[series]
        return len(self._last)

    def _take(self, cell: Cell) -> None:
        track = self._tracks.get(cell.series)
        if track is None:
            track = self._tracks[cell.series] = _Track(len(self.slots))
        if cell.total:
            self._add_minute(track, cell)
        at = cell.minute // self.bucket
        if not track.buckets or track.buckets[-1] != at:
            self._drop_old_buckets(track, at)
            track.buckets.append(at)
            track.bucket_negative.append(0)
            track.bucket_total.append(0)
            for pairs in track.pairs:
                pairs.append(0)
            self._last[cell.series] = at
            self._last.move_to_end(cell.series)
        track.bucket_negative[-1] += cell.negative
        track.bucket_total[-1] += cell.total
        for i, length in enumerate(self.slots):
            slot = cell.minute // length
            before = track.slot_counts[i] if track.slots_at[i] == slot else 0
            track.pairs[i][-1] += cell.negative * (cell.negative + 2 * before - 1)
            track.slots_at[i], track.slot_counts[i] = slot, before + cell.negative

    def _add_minute(self, track: _Track, cell: Cell) -> None:
        if track.minutes and track.minutes[0] <= cell.minute - 4 * DAY:
            cut = bisect_right(track.minutes, cell.minute - 2 * DAY)
            track.base = (track.negative[cut - 1], track.total[cut - 1])
            del track.minutes[:cut], track.negative[:cut], track.total[:cut]
        before = (track.negative[-1], track.total[-1]) if track.minutes else track.base
        if track.minutes and track.minutes[-1] == cell.minute:
            track.negative[-1] += cell.negative
            track.total[-1] += cell.total
        else:
            track.minutes.append(cell.minute)
            track.negative.append(before[0] + cell.negative)
            track.total.append(before[1] + cell.total)

    def _drop_old_buckets(self, track: _Track, at: int) -> None:
        # Twice what is needed is let grow before half is dropped: constant cost per bucket.
        if track.buckets and track.buckets[0] < at - 2 * self._kept_buckets:
            cut = bisect_left(track.buckets, at - self._kept_buckets)
            for kept in (track.buckets, track.bucket_negative, track.bucket_total, *track.pairs):
                del kept[:cut]
