"""The partitions of the large tables: a day for documents and scores, a month for roll-ups.

A partition is made beside the parent and then attached: attaching takes a lock that readers and writers of
the parent do not wait for, `CREATE … PARTITION OF` would stop them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, text

from monitor.store.database import Database

Span = Literal["day", "month"]
PARTITIONED: dict[str, Span] = {
    "documents": "day",
    "scores": "day",
    "company_scores": "day",
    "shadow_scores": "day",
    "rollups": "month",
}
_LOCK = 0x70617274


def span_of(day: date, span: Span) -> tuple[date, date]:
    """First day and first day after of the partition that holds `day`.

    >>> span_of(date(2026, 12, 7), "month")
    (datetime.date(2026, 12, 1), datetime.date(2027, 1, 1))
    """
    if span == "day":
        return day, day + timedelta(days=1)
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def name_of(table: str, day: date) -> str:
    """The partition's name: `documents_20260302`, `rollups_202603`."""
    return f"{table}_{day:%Y%m%d}" if PARTITIONED[table] == "day" else f"{table}_{day:%Y%m}"


class Partitions:
    """Makes partitions before they are written to and remembers which there are."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[str] = set()

    def ensure(self, times: Iterable[datetime]) -> None:
        """Make every partition that rows of these times need. Not part of the caller's transaction."""
        days = sorted({time.astimezone(UTC).date() for time in times})
        missing = {
            name_of(table, day): (table, *span_of(day, span))
            for table, span in PARTITIONED.items()
            for day in days
            if name_of(table, day) not in self._known
        }
        if not missing:
            return
        with self._database.transaction() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            there = set(existing(connection))
            for name, (table, first, after) in missing.items():
                if name not in there:
                    connection.execute(text(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS)"))
                    connection.execute(
                        text(
                            f"ALTER TABLE {table} ATTACH PARTITION {name} "
                            f"FOR VALUES FROM ('{first} 00:00:00+00') TO ('{after} 00:00:00+00')"
                        )
                    )
        self._known |= missing.keys()

    def forget(self) -> None:
        """Look again at what there is (after retention dropped some)."""
        self._known.clear()


def existing(connection: Connection) -> list[str]:
    """The names of all partitions in the schema, in order."""
    rows = connection.execute(
        text(
            "SELECT child.relname FROM pg_inherits "
            "JOIN pg_class child ON child.oid = inhrelid JOIN pg_class parent ON parent.oid = inhparent "
            "WHERE parent.relnamespace = current_schema()::regnamespace AND parent.relkind = 'p' ORDER BY 1"
        )
    )
    return [row[0] for row in rows]
