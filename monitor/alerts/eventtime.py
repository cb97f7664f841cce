"""Between instants and the whole minutes detection counts in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def minute_of(at: datetime) -> int:
    """The minute that holds an instant, counted from the epoch.

    >>> minute_of(datetime(1970, 1, 1, 1, 0, 59, tzinfo=UTC))
    60
    """
    return (at - EPOCH) // MINUTE


def start_of(minute: int) -> datetime:
    """The instant a minute begins.

    >>> start_of(60).isoformat()
    '1970-01-01T01:00:00+00:00'
    """
    return EPOCH + minute * MINUTE


def end_of(minute: int) -> datetime:
    """The instant a minute ends, and the next begins."""
    return start_of(minute + 1)
