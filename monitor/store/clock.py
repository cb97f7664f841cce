"""Event time of the service: the watermark, and how far detection has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from monitor.store import positions


@dataclass(frozen=True, slots=True)
class Clock:
    """`watermark`: no on-time document before it will be added. `judged_through`: minutes up to it were judged."""

    watermark: datetime | None
    judged_through: datetime | None


def read(connection: Connection) -> Clock:
    """The clock as it stands."""
    return Clock(*connection.execute(text("SELECT watermark, judged_through FROM clock")).one())


def advance(connection: Connection, group: str, lateness: timedelta, idle_after: timedelta) -> Clock:
    """Move the watermark to the least of the partitions' watermarks; it never goes back.

    The row is locked first. Writers lock it for sharing, so every document that was told apart by the old
    watermark is committed before the new one can be used to close a minute.
    """
    now = Clock(*connection.execute(text("SELECT watermark, judged_through FROM clock FOR UPDATE")).one())
    bounds = [position.watermark(lateness, idle_after) for position in positions.read(connection, group)]
    known = [bound for bound in bounds if bound is not None]
    if not known or len(known) < len(bounds):
        return now
    watermark = min(known)
    if now.watermark is not None and watermark <= now.watermark:
        return now
    connection.execute(text("UPDATE clock SET watermark = :watermark"), {"watermark": watermark})
    return Clock(watermark, now.judged_through)


def judged(connection: Connection, through: datetime) -> None:
    """Note that every minute up to `through` was judged; part of the transaction that keeps the alerts."""
    connection.execute(text("UPDATE clock SET judged_through = :through"), {"through": through})


def skip_history(connection: Connection) -> None:
    """Before the first judgement: let it begin after the newest document there is.

    What a backfill put in is learned from and raises nothing. Where minutes were judged already, nothing changes.
    """
    connection.execute(
        text(
            "UPDATE clock SET judged_through = newest, watermark = greatest(watermark, newest) "
            "FROM (SELECT max(minute) + interval '1 minute' AS newest FROM rollups) AS rolled "
            "WHERE judged_through IS NULL AND newest IS NOT NULL"
        )
    )
