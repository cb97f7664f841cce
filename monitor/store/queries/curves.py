"""Counts over time, read from the roll-ups: curves, rankings, and the figures of the health strip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, text

# Buckets of a week begin on Monday, all others at a round time.
_ORIGIN = datetime(2001, 1, 1, tzinfo=UTC)
_SUMS = "sum(total)::bigint, sum(negative)::bigint, sum(neutral)::bigint, sum(positive)::bigint"


@dataclass(frozen=True, slots=True)
class Counts:
    """Documents, and how many of them were judged to be what; `total` includes the unscored ones."""

    total: int = 0
    negative: int = 0
    neutral: int = 0
    positive: int = 0

    @property
    def scored(self) -> int:
        """Documents with a sentiment."""
        return self.negative + self.neutral + self.positive

    @property
    def share(self) -> float | None:
        """Negatives among the scored documents, in [0, 1]; None when nothing was scored."""
        return self.negative / self.scored if self.scored else None


@dataclass(frozen=True, slots=True)
class Window:
    """What part of the record is looked at: `start` ≤ minute < `end`, one language and kind or any (None)."""

    start: datetime
    end: datetime
    lang: str | None = None
    kind: str | None = None

    @property
    def previous(self) -> Window:
        """The window of the same length just before."""
        return replace(self, start=self.start - (self.end - self.start), end=self.start)

    def where(self, parameters: dict[str, Any]) -> str:
        """The condition, with its values put into `parameters`."""
        parameters |= {"start": self.start, "end": self.end}
        found = "minute >= :start AND minute < :end"
        if self.lang:
            parameters["lang"] = self.lang
            found += " AND lang = :lang"
        if self.kind:
            parameters["kind"] = self.kind
            found += " AND kind = :kind"
        return found


@dataclass(frozen=True, slots=True)
class Ranked:
    """A topic or company with its counts in a window and in the one of the same length before it."""

    id: str
    now: Counts
    before: Counts


@dataclass(frozen=True, slots=True)
class Health:
    """The record in a few figures. `newest` is the latest minute of event time that holds a document."""

    documents: int
    unscored: int
    rejected: int
    late: int
    newest: datetime | None
    watermark: datetime | None


def bucket_of(time: datetime, width: timedelta) -> datetime:
    """The start of the bucket that holds `time`.

    >>> bucket_of(datetime(2026, 3, 4, 17, 8, tzinfo=UTC), timedelta(hours=2)).isoformat()
    '2026-03-04T16:00:00+00:00'
    """
    return time - (time - _ORIGIN) % width


def extent(connection: Connection) -> tuple[datetime, datetime] | None:
    """The first and the last minute with documents; None while there are none."""
    row = connection.execute(text("SELECT min(minute), max(minute) FROM rollups")).one()
    return (row[0], row[1]) if row[0] is not None else None


def curve(
    connection: Connection,
    window: Window,
    width: timedelta,
    *,
    topic: str = "",
    company: str = "",
    origin: datetime = _ORIGIN,
) -> dict[datetime, Counts]:
    """One series in buckets of `width`, one of which begins at `origin`; those without documents are left out."""
    values: dict[str, Any] = {"width": width, "origin": origin, "topic": topic, "company": company}
    rows = connection.execute(
        text(
            f"SELECT date_bin(:width, minute, :origin), {_SUMS} FROM rollups "
            f"WHERE topic = :topic AND company = :company AND {window.where(values)} GROUP BY 1 ORDER BY 1"
        ),
        values,
    )
    return {row[0]: Counts(*row[1:]) for row in rows}


def by_topic(connection: Connection, window: Window, width: timedelta) -> dict[str, dict[datetime, Counts]]:
    """Every topic's curve over all companies."""
    values: dict[str, Any] = {"width": width, "origin": _ORIGIN}
    rows = connection.execute(
        text(
            f"SELECT topic, date_bin(:width, minute, :origin), {_SUMS} FROM rollups "
            f"WHERE topic <> '' AND company = '' AND {window.where(values)} GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        values,
    )
    found: dict[str, dict[datetime, Counts]] = {}
    for row in rows:
        found.setdefault(row[0], {})[row[1]] = Counts(*row[2:])
    return found


def total(connection: Connection, window: Window) -> Counts:
    """Everything in the window."""
    values: dict[str, Any] = {}
    row = connection.execute(
        text(f"SELECT {_SUMS} FROM rollups WHERE topic = '' AND company = '' AND {window.where(values)}"), values
    ).one()
    return Counts(*(value or 0 for value in row))


def ranked(connection: Connection, window: Window, by: Literal["topic", "company"]) -> list[Ranked]:
    """Topics or companies seen in the window, the one with most negatives first."""
    length = window.end - window.start
    both = Window(window.start - length, window.end, window.lang, window.kind)
    values: dict[str, Any] = {"edge": window.start}
    other = "company" if by == "topic" else "topic"
    sums = ", ".join(
        f"coalesce(sum({name}) FILTER (WHERE minute {side} :edge), 0)::bigint"
        for side in (">=", "<")
        for name in ("total", "negative", "neutral", "positive")
    )
    rows = connection.execute(
        text(
            f"SELECT {by}, {sums} FROM rollups WHERE {by} <> '' AND {other} = '' AND {both.where(values)} "
            f"GROUP BY 1 HAVING sum(total) FILTER (WHERE minute >= :edge) > 0 ORDER BY 3 DESC, 2 DESC, 1"
        ),
        values,
    )
    return [Ranked(row[0], Counts(*row[1:5]), Counts(*row[5:9])) for row in rows]


def languages(connection: Connection) -> list[str]:
    """Languages in the record, the most frequent first."""
    rows = connection.execute(
        text("SELECT lang FROM rollups WHERE topic = '' AND company = '' GROUP BY 1 ORDER BY sum(total) DESC, 1")
    )
    return [row[0] for row in rows]


def companies(connection: Connection) -> list[str]:
    """Companies in the record, the most frequent first."""
    rows = connection.execute(
        text("SELECT company FROM rollups WHERE topic = '' AND company <> '' GROUP BY 1 ORDER BY sum(total) DESC, 1")
    )
    return [row[0] for row in rows]


def health(connection: Connection) -> Health:
    """The figures of the health strip."""
    row = connection.execute(
        text(
            "SELECT coalesce(sum(total), 0)::bigint, "
            "coalesce(sum(total - negative - neutral - positive), 0)::bigint, "
            "coalesce(sum(total) FILTER (WHERE late), 0)::bigint, "
            "(SELECT count(*) FROM rejected), (SELECT max(minute) FROM rollups), (SELECT watermark FROM clock) "
            "FROM rollups WHERE topic = '' AND company = ''"
        )
    ).one()
    return Health(documents=row[0], unscored=row[1], late=row[2], rejected=row[3], newest=row[4], watermark=row[5])


def revision(connection: Connection) -> str:
    """A text that is another one whenever something a page shows may have changed. Cheap enough to ask often."""
    row = connection.execute(
        text(
            "SELECT (SELECT sum(next_offset) FROM positions), (SELECT max(updated_at) FROM alerts), "
            "(SELECT max(id) FROM alert_events), (SELECT watermark FROM clock), (SELECT max(id) FROM rejected)"
        )
    ).one()
    return "|".join("" if value is None else str(value) for value in row)
