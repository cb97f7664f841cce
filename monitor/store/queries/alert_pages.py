"""Alerts as the dashboard lists them: by filter, a page at a time, and where they stood on a curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from monitor.documents import Series
from monitor.store.queries.alerts import Alert

_COLUMNS = (
    "state, severity, opened_at, resolved_at, window_minutes, observed, total, expected, p_value, reason, evidence, "
    "tracked, acknowledged_at, acknowledged_by, resolved_by, created_at, updated_at"
)


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts are meant; an empty field means any, `state` "active" those not yet resolved."""

    state: str = ""
    severity: str = ""
    topic: str = ""
    company: str = ""
    lang: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """When an alert stood, in event time; `end` None: it stands."""

    id: str
    severity: str
    start: datetime
    end: datetime | None


def active(connection: Connection, *, limit: int = 200) -> list[Alert]:
    """Alerts not yet resolved: open before acknowledged, critical first, then the latest."""
    return _alerts(
        connection,
        "WHERE state <> 'resolved' "
        "ORDER BY state = 'acknowledged', severity <> 'critical', opened_at DESC, id LIMIT :limit",
        {"limit": limit},
    )


def listed(connection: Connection, wanted: AlertFilter, *, limit: int, offset: int = 0) -> tuple[list[Alert], int]:
    """A page of matching alerts, the latest first, and how many there are in all."""
    conditions, values = ["true"], dict[str, Any]()
    if wanted.state == "active":
        conditions.append("state <> 'resolved'")
    elif wanted.state:
        conditions.append("state = :state")
        values["state"] = wanted.state
    for name in ("severity", "topic", "company", "lang"):
        if getattr(wanted, name):
            conditions.append(f"{name} = :{name}")
            values[name] = getattr(wanted, name)
    condition = " AND ".join(conditions)
    matching = connection.execute(text(f"SELECT count(*) FROM alerts WHERE {condition}"), values).scalar_one()
    found = _alerts(
        connection,
        f"WHERE {condition} ORDER BY opened_at DESC, id LIMIT :limit OFFSET :offset",
        values | {"limit": limit, "offset": offset},
    )
    return found, int(matching)


def seen(connection: Connection) -> tuple[list[str], list[str], list[str]]:
    """Topics, companies and languages that alerts were raised for."""
    row = connection.execute(
        text(
            "SELECT array_agg(DISTINCT topic) FILTER (WHERE topic <> ''), "
            "array_agg(DISTINCT company) FILTER (WHERE company <> ''), "
            "array_agg(DISTINCT lang) FILTER (WHERE lang <> '') FROM alerts"
        )
    ).one()
    return row[0] or [], row[1] or [], row[2] or []


def spans(connection: Connection, start: datetime, end: datetime, *, topic: str = "", company: str = "") -> list[Span]:
    """Alerts of one topic and company, in any language, that stood at some time between `start` and `end`."""
    rows = connection.execute(
        text(
            "SELECT id, severity, opened_at, resolved_at FROM alerts WHERE topic = :topic AND company = :company "
            "AND opened_at < :end AND coalesce(resolved_at, 'infinity') > :start ORDER BY opened_at, id"
        ),
        {"start": start, "end": end, "topic": topic, "company": company},
    )
    return [Span(*row) for row in rows]


def _alerts(connection: Connection, rest: str, values: Mapping[str, Any]) -> list[Alert]:
    rows = connection.execute(text(f"SELECT id, topic, company, lang, {_COLUMNS} FROM alerts {rest}"), dict(values))
    return [Alert(row[0], Series(*row[1:4]), *row[4:]) for row in rows]
