"""Alerts as JSON lines: the same documents give the same bytes."""

from __future__ import annotations

import json
from typing import Any, TextIO

from sqlalchemy import Connection

from monitor.alerts.numerals import instant, significant
from monitor.store.queries import alerts
from monitor.store.queries.alerts import Alert


def as_json(alert: Alert) -> dict[str, Any]:
    """An alert as values of JSON; event time only, nothing of what people did with it.

    `observed` negative documents of `total` lay in the `window_minutes` that ended when it opened or last grew
    worse, where `expected` were; shares are in [0, 1].
    """
    evidence = alert.evidence
    return {
        "id": alert.id,
        "series": str(alert.series),
        "name": evidence.get("name", ""),
        "severity": alert.severity,
        "opened_at": instant(alert.opened_at),
        "resolved_at": instant(alert.resolved_at) if alert.resolved_at else None,
        "window_minutes": alert.window_minutes,
        "observed": alert.observed,
        "total": alert.total,
        "expected": significant(alert.expected),
        "p_value": significant(alert.p_value),
        "share": evidence.get("share"),
        "expected_share": evidence.get("expected_share"),
        "stories": evidence.get("stories_total", 0),
        "sources": evidence.get("sources_total", 0),
        "reason": alert.reason,
        "words": [word["word"] for word in evidence.get("words", ())],
    }


def export_alerts(connection: Connection, out: TextIO) -> int:
    """Write every alert of the record as a JSON line, by opening time, then series; return how many."""
    found = alerts.in_order(connection)
    for alert in found:
        out.write(json.dumps(as_json(alert), ensure_ascii=False, separators=(",", ":")))
        out.write("\n")
    return len(found)
