"""Letting go of what is old, by event time: whole partitions are dropped, never rows of the large tables."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import text

from monitor.settings import RetentionSettings
from monitor.store.database import Database
from monitor.store.partitions import PARTITIONED, existing, name_of, span_of

log = logging.getLogger(__name__)


def apply(database: Database, settings: RetentionSettings, now: datetime | None = None) -> list[str]:
    """Drop the partitions that lie wholly before the bound, and the rejected messages that are older.

    Alerts are never dropped. Returns the names of the dropped partitions.
    """
    now = now or datetime.now(UTC)
    bound = (now - timedelta(days=settings.documents_days)).date()
    with database.transaction() as connection:
        old = [name for name in existing(connection) if _ends(name) <= bound]
    for name in old:
        # One at a time: dropping locks the parent, for a moment only.
        with database.transaction() as connection:
            connection.execute(text(f"DROP TABLE IF EXISTS {name}"))
    with database.transaction() as connection:
        connection.execute(
            text("DELETE FROM identities WHERE published_at < :bound"),
            {"bound": datetime(bound.year, bound.month, bound.day, tzinfo=UTC)},
        )
        connection.execute(
            text("DELETE FROM rejected WHERE received_at < :bound"),
            {"bound": now - timedelta(days=settings.rejected_days)},
        )
    if old:
        log.info("retention: dropped %d partitions, the newest %s", len(old), old[-1])
    return old


def _ends(name: str) -> date:
    """The first day after a partition, told from its name.

    >>> _ends("documents_20260302"), _ends("rollups_202612")
    (datetime.date(2026, 3, 3), datetime.date(2027, 1, 1))
    """
    table, _, digits = name.rpartition("_")
    day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8] or 1))
    if name != name_of(table, day):
        raise ValueError(f"{name} is no partition of ours")
    return span_of(day, PARTITIONED[table])[1]
