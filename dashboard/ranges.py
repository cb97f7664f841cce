"""The time ranges a page offers, and how wide the buckets of their curves are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from monitor.store.queries.curves import bucket_of

MINUTE = timedelta(minutes=1)
ALL = "all"
RANGES: dict[str, timedelta] = {
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
DEFAULT = "24h"
# Few enough points to be read, wide enough that a bucket is no lottery.
_WIDTHS = [
    timedelta(minutes=minutes)
    for minutes in (1, 5, 15, 30, 60, 120, 360, 720, 1440, 2880, 7 * 1440, 14 * 1440, 28 * 1440, 91 * 1440)
]
_MOST_BUCKETS = 125
# A feed whose newest event is at most this old is live.
_LIVE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Range:
    """`start` ≤ time < `end`, in buckets of `width`, the first of which begins at `start`."""

    name: str
    start: datetime
    end: datetime
    width: timedelta

    @property
    def buckets(self) -> list[datetime]:
        """The start of every bucket, also of those without documents."""
        first = bucket_of(self.start, self.width)
        return [first + i * self.width for i in range(-((first - self.end) // self.width))]


def resolve(name: str, first: datetime, last: datetime) -> Range:
    """The range of that name in a record whose documents lie in the minutes `first` to `last`.

    >>> resolve("24h", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 2, 12, 7, tzinfo=UTC)).width
    datetime.timedelta(seconds=900)
    """
    end = last + MINUTE
    start = first if name == ALL else end - RANGES.get(name, RANGES[DEFAULT])
    width = width_for(end - start)
    # The first bucket is a whole one; a part of one would look like a dip.
    return Range(name, bucket_of(start, width), end, width)


def width_for(span: timedelta, most: int = _MOST_BUCKETS) -> timedelta:
    """The narrowest bucket that cuts `span` into at most `most`."""
    return next((width for width in _WIDTHS if span / width <= most), _WIDTHS[-1])


def is_live(last: datetime, now: datetime | None = None) -> bool:
    """Whether the newest event is of now."""
    return (now or datetime.now(UTC)) - last <= _LIVE
