"""Alerts, what happened to them, and the notifications that tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, text

from monitor.documents import Series

State = Literal["open", "acknowledged", "resolved"]
Severity = Literal["warning", "critical"]
OutboxState = Literal["pending", "sent", "dead"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    `opened_at` and `resolved_at` are event time: the end of the minute that opened it, and of the one by which it
    was calm. `observed`, `total`, `expected` and `p_value` are those of the window of `window_minutes` that opened
    it or last made it worse. `evidence` is described in docs/alerts.md. `tracked` is the state of the hysteresis:
    {"open": …} while the surge goes on, then {"closed": minute}. The other columns tell what people did, in
    wall-clock time.
    """

    id: str
    series: Series
    state: State
    severity: Severity
    opened_at: datetime
    resolved_at: datetime | None
    window_minutes: int
    observed: int
    total: int
    expected: float
    p_value: float
    reason: str
    evidence: dict[str, Any]
    tracked: dict[str, Any]
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_by: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """Something that happened to an alert, in wall-clock time."""

    at: datetime
    actor: str
    action: str
    note: str


@dataclass(frozen=True, slots=True)
class Notification:
    """A row of the outbox, without its payload."""

    id: int
    alert_id: str
    event: str
    channel: str
    target: str
    state: OutboxState
    attempts: int
    next_attempt_at: datetime
    last_error: str | None
    created_at: datetime
    sent_at: datetime | None


_COLUMNS = (
    "id, topic, company, lang, state, severity, opened_at, resolved_at, window_minutes, observed, total, expected, "
    "p_value, reason, evidence, tracked, acknowledged_at, acknowledged_by, resolved_by, created_at, updated_at"
)
_ORDER = 'ORDER BY opened_at, topic COLLATE "C", company COLLATE "C", lang COLLATE "C"'


def get(connection: Connection, alert_id: str, *, lock: bool = False) -> Alert | None:
    """The alert with this id; `lock` keeps others from changing it until the transaction ends."""
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM alerts WHERE id = :id{' FOR UPDATE' if lock else ''}"), {"id": alert_id}
    ).first()
    return _alert(row) if row else None


def in_order(connection: Connection) -> list[Alert]:
    """Every alert, by opening time, then series."""
    return [_alert(row) for row in connection.execute(text(f"SELECT {_COLUMNS} FROM alerts {_ORDER}"))]


def tracked(connection: Connection, since: int) -> list[Alert]:
    """Alerts the hysteresis still knows of: their surge goes on (also if resolved by hand), or ended after `since`.

    Args:
        since: a minute, counted from the epoch.
    """
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM alerts "
            f"WHERE tracked ? 'open' OR cast(tracked ->> 'closed' AS bigint) > :since {_ORDER}"
        ),
        {"since": since},
    )
    return [_alert(row) for row in rows]


def by_state(connection: Connection) -> dict[State, int]:
    """How many alerts are in each state; every state is there."""
    found: dict[State, int] = {"open": 0, "acknowledged": 0, "resolved": 0}
    for state, number in connection.execute(text("SELECT state, count(*) FROM alerts GROUP BY state")):
        found[state] = number
    return found


def events(connection: Connection, alert_id: str) -> list[AlertEvent]:
    """What happened to an alert, first to last."""
    rows = connection.execute(
        text("SELECT at, actor, action, note FROM alert_events WHERE alert_id = :id ORDER BY id"), {"id": alert_id}
    )
    return [AlertEvent(*row) for row in rows]


def outbox_by_state(connection: Connection) -> dict[OutboxState, int]:
    """How many notifications are in each state; every state is there."""
    found: dict[OutboxState, int] = {"pending": 0, "sent": 0, "dead": 0}
    for state, number in connection.execute(text("SELECT state, count(*) FROM outbox GROUP BY state")):
        found[state] = number
    return found


def notifications(
    connection: Connection, *, alert_id: str | None = None, states: Sequence[OutboxState] = (), limit: int = 100
) -> list[Notification]:
    """Rows of the outbox, latest first: those of one alert, or in some states, or all."""
    conditions, values = ["true"], dict[str, object](limit=limit)
    if alert_id is not None:
        conditions.append("alert_id = :alert")
        values["alert"] = alert_id
    if states:
        conditions.append("state = ANY(:states)")
        values["states"] = list(states)
    rows = connection.execute(
        text(
            "SELECT id, alert_id, event, channel, target, state, attempts, next_attempt_at, last_error, created_at, "
            f"sent_at FROM outbox WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT :limit"
        ),
        values,
    )
    return [Notification(*row) for row in rows]


def _alert(row: Any) -> Alert:
    return Alert(row[0], Series(*row[1:4]), *row[4:])
