"""What is stored and running, cheap enough to be asked every few seconds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from monitor.store.leader import lock_of

_CANCELLED = "57014"


@dataclass(frozen=True, slots=True)
class Counts:
    """Documents in the record, by what became of them; `rejected` are messages that are no documents."""

    documents: int
    scored: int
    late: int
    rejected: int

    @property
    def unscored(self) -> int:
        """Documents in a language that no bundle covers."""
        return self.documents - self.scored


def counts(connection: Connection) -> Counts:
    """How much there is.

    Documents are added up from the roll-ups of everything (no topic, no company): a few rows a minute of event time
    (0.4 s for two years with a row in every minute), where counting the documents themselves would read every one of
    them. Retention drops roll-ups by month and documents by day, so on a record as old as that the number is up to a
    month of documents too high.
    """
    row = connection.execute(
        text(
            "SELECT coalesce(sum(total), 0)::bigint, coalesce(sum(negative + neutral + positive), 0)::bigint, "
            "coalesce(sum(total) FILTER (WHERE late), 0)::bigint FROM rollups WHERE topic = '' AND company = ''"
        )
    ).one()
    rejected = connection.execute(text("SELECT count(*) FROM rejected")).scalar_one()
    return Counts(int(row[0]), int(row[1]), int(row[2]), int(rejected))


def models(connection: Connection, seconds: float = 1.0) -> dict[str, int] | None:
    """How many scores each model gave; None when counting them would take longer than `seconds`."""
    savepoint = connection.begin_nested()
    try:
        connection.execute(text(f"SET LOCAL statement_timeout = {int(seconds * 1000)}"))
        rows = connection.execute(text('SELECT model, count(*) FROM scores GROUP BY model ORDER BY model COLLATE "C"'))
        found = {model: int(number) for model, number in rows}
    except DBAPIError as error:
        savepoint.rollback()
        if getattr(error.orig, "pgcode", None) != _CANCELLED:
            raise
        return None
    # Rolled back, not released: that takes the time limit away again.
    savepoint.rollback()
    return found


def cut(connection: Connection) -> int:
    """Documents of which a model read only the beginning; counted in an index of just these."""
    return int(connection.execute(text("SELECT count(DISTINCT key) FROM scores WHERE cut")).scalar_one())


def groups(connection: Connection) -> list[str]:
    """The consumer groups that have written to this record."""
    return list(connection.execute(text("SELECT DISTINCT consumer_group FROM positions ORDER BY 1")).scalars())


def has_leader(connection: Connection, schema: str) -> bool:
    """Whether a scheduler leads now: somebody holds its advisory lock."""
    number = lock_of(schema) & 0xFFFF_FFFF_FFFF_FFFF
    row = connection.execute(
        text(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND classid::bigint = :high AND objid::bigint = :low"
        ),
        {"high": number >> 32, "low": number & 0xFFFF_FFFF},
    )
    return bool(row.scalar())


def latest_write(connection: Connection, group_names: Iterable[str]) -> datetime | None:
    """Wall clock of the last batch committed by these consumer groups."""
    found = connection.execute(
        text("SELECT max(last_message_at) FROM positions WHERE consumer_group = ANY(:groups)"),
        {"groups": list(group_names)},
    ).scalar()
    return found if isinstance(found, datetime) else None
