"""The header in which a producer says how far, in event time, the whole feed has come.

A feed spread over partitions leaves each of them with a thin slice; without this a partition's progress could only be
guessed from its own messages.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from monitor.settings import SourcesSettings
from monitor.sources.decode import parse_time

EVENT_TIME_HIGH = "event-time-high"
"""Name of the header; its value is the latest event time written so far, this message's included (RFC 3339)."""


def header(high: datetime) -> tuple[str, bytes]:
    """The header for a message written when the feed had come to `high`."""
    return EVENT_TIME_HIGH, high.astimezone(UTC).isoformat().encode("ascii")


class HeaderReader:
    """Reads the header; a time that is unreadable or absurd is as good as nothing said."""

    def __init__(self, settings: SourcesSettings) -> None:
        self._settings = settings
        self._last: tuple[bytes, datetime | None] = (b"", None)

    def read(self, headers: Iterable[tuple[str, bytes | None]] | None) -> datetime | None:
        """The time the headers of a message state, in UTC, or None."""
        for name, value in headers or ():
            if name == EVENT_TIME_HIGH and value:
                # Neighbouring messages often carry the same time.
                if value != self._last[0]:
                    self._last = (value, self._parsed(value))
                return self._last[1]
        return None

    def _parsed(self, value: bytes) -> datetime | None:
        try:
            high = parse_time(value[:100].decode("ascii"))
        except (ValueError, OverflowError):
            return None
        return high if self._settings.earliest <= high <= datetime.now(UTC) + self._settings.max_future else None
