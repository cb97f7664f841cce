"""Counts per minute and series for detection: on-time documents only, so that they never change once closed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, text

from monitor.documents import Series

MINUTE = timedelta(minutes=1)


class Count(NamedTuple):
    """On-time, scored documents of one series in one minute; `total` counts every label, `negative` one."""

    minute: datetime
    series: Series
    negative: int
    total: int


def counts(connection: Connection, begin: datetime, end: datetime) -> Iterator[Count]:
    """The counts of every minute in [begin, end), by minute, then series."""
    rows = connection.execute(
        text(
            "SELECT minute, topic, company, lang, sum(negative), sum(negative + neutral + positive) FROM rollups "
            "WHERE NOT late AND minute >= :begin AND minute < :end GROUP BY minute, topic, company, lang "
            'HAVING sum(negative + neutral + positive) > 0 ORDER BY minute, topic COLLATE "C", company COLLATE "C", '
            'lang COLLATE "C"'
        ),
        {"begin": begin, "end": end},
        # Given here, not to the connection: there it would stay for the statements that follow.
        execution_options={"yield_per": 10_000},
    )
    known: dict[tuple[str, str, str], Series] = {}
    for minute, topic, company, lang, negative, total in rows:
        name = (topic, company, lang)
        series = known.get(name)
        if series is None:
            series = known[name] = Series(*name)
        yield Count(minute, series, int(negative), int(total))


def first_minute(connection: Connection, begin: datetime | None = None) -> datetime | None:
    """The first minute at or after `begin` (of all, without one) that has an on-time document."""
    condition = "" if begin is None else "AND minute >= :begin "
    return connection.execute(
        text(f"SELECT minute FROM rollups WHERE NOT late {condition}ORDER BY minute LIMIT 1"),
        {} if begin is None else {"begin": begin},
    ).scalar()


def last_minute(connection: Connection) -> datetime | None:
    """The last minute that has an on-time document."""
    return connection.execute(text("SELECT minute FROM rollups WHERE NOT late ORDER BY minute DESC LIMIT 1")).scalar()
