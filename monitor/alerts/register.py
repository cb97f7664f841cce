"""The register of alerts: what the detector found, written down, and the state it goes on from after a restart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from monitor.alerts import lifecycle, outbox
from monitor.alerts.eventtime import end_of
from monitor.alerts.explain import Explanation
from monitor.alerts.notice import Event as EventName
from monitor.detect.hysteresis import Event, Surge, Tracker
from monitor.detect.series import DAY
from monitor.documents import Series
from monitor.settings import Settings
from monitor.store.queries import alerts
from monitor.store.queries.alerts import Alert

ACTOR = "detector"


@dataclass(frozen=True, slots=True)
class Finding:
    """An event of the detector, explained if it opens an alert or makes one worse."""

    event: Event
    explanation: Explanation | None


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to an alert: `open`, `escalate` or `resolve`."""

    alert: Alert
    event: EventName


def id_of(series: Series, opened_at: int) -> str:
    """The id of the alert of a series that the closing of a minute opened: 64 bits of a hash, as hex.

    >>> id_of(Series("", "HLVN", "en"), 29_541_019)
    '95a38d36a1ae9560'
    """
    return hashlib.blake2b(f"{series}@{opened_at}".encode(), digest_size=8).hexdigest()


def write(
    connection: Connection, findings: Sequence[Finding], tracker: Tracker, settings: Settings | None
) -> list[Change]:
    """Write what was found and the tracker's state, in the caller's transaction.

    An alert that somebody has resolved by hand stays so: what its surge does later is only tracked.

    Args:
        settings: for the notifications; None writes none.
    """
    changes = []
    for finding in findings:
        change = _WRITERS[finding.event.kind](connection, finding)
        if change is None:
            continue
        lifecycle.note_event(connection, change.alert.id, ACTOR, change.event, change.alert.reason)
        if settings is not None:
            outbox.enqueue(connection, change.alert, change.event, settings)
        changes.append(change)
    for series in sorted(tracker.open):
        surge = tracker.open[series]
        _track(connection, id_of(series, surge.opened_at), {"open": surge.export()})
    return changes


def restore(connection: Connection, tracker: Tracker, minute: int) -> None:
    """Give a fresh tracker the state it had before `minute`."""
    for alert in alerts.tracked(connection, minute - DAY):
        if "open" in alert.tracked:
            tracker.open[alert.series] = Surge.restore(alert.tracked["open"])
        else:
            closed = int(alert.tracked["closed"])
            tracker.closed[alert.series] = max(closed, tracker.closed.get(alert.series, closed))


def _open(connection: Connection, finding: Finding) -> Change | None:
    event = finding.event
    values = _measured(finding) | {
        "topic": event.series.topic,
        "company": event.series.company,
        "lang": event.series.lang,
        "opened_at": end_of(event.opened_at),
    }
    written = connection.execute(
        text(
            "INSERT INTO alerts (id, topic, company, lang, state, severity, opened_at, window_minutes, observed, "
            "total, expected, p_value, reason, evidence, tracked) VALUES (:id, :topic, :company, :lang, 'open', "
            ":severity, :opened_at, :window, :observed, :total, :expected, :p_value, :reason, "
            "cast(:evidence AS jsonb), '{}') ON CONFLICT (id) DO NOTHING"
        ),
        values,
    ).rowcount
    return _changed(connection, values["id"], "open") if written else None


def _escalate(connection: Connection, finding: Finding) -> Change | None:
    values = _measured(finding)
    written = connection.execute(
        text(
            "UPDATE alerts SET severity = :severity, window_minutes = :window, observed = :observed, total = :total, "
            "expected = :expected, p_value = :p_value, reason = :reason, evidence = cast(:evidence AS jsonb), "
            "updated_at = now() WHERE id = :id AND state <> 'resolved'"
        ),
        values,
    ).rowcount
    return _changed(connection, values["id"], "escalate") if written else None


def _resolve(connection: Connection, finding: Finding) -> Change | None:
    event = finding.event
    alert_id = id_of(event.series, event.opened_at)
    written = connection.execute(
        text(
            "UPDATE alerts SET state = 'resolved', resolved_at = :at, updated_at = now() "
            "WHERE id = :id AND state <> 'resolved'"
        ),
        {"id": alert_id, "at": end_of(event.minute)},
    ).rowcount
    _track(connection, alert_id, {"closed": event.minute})
    return _changed(connection, alert_id, "resolve") if written else None


_WRITERS = {"open": _open, "escalate": _escalate, "resolve": _resolve}


def _measured(finding: Finding) -> dict[str, Any]:
    event, judgement, explanation = finding.event, finding.event.judgement, finding.explanation
    if explanation is None:
        raise ValueError(f"a surge of {event.series} is to be written without its explanation")
    return {
        "id": id_of(event.series, event.opened_at),
        "severity": event.severity,
        "window": judgement.window,
        "observed": judgement.observed,
        "total": judgement.total,
        "expected": judgement.expected,
        "p_value": judgement.p_value,
        "reason": explanation.reason,
        "evidence": json.dumps(explanation.evidence, ensure_ascii=False),
    }


def _changed(connection: Connection, alert_id: str, event: EventName) -> Change:
    alert = alerts.get(connection, alert_id)
    if alert is None:
        raise LookupError(f"alert {alert_id} vanished while it was written")
    return Change(alert, event)


def _track(connection: Connection, alert_id: str, state: dict[str, Any]) -> None:
    connection.execute(
        text(
            "UPDATE alerts SET tracked = cast(:state AS jsonb) "
            "WHERE id = :id AND tracked IS DISTINCT FROM cast(:state AS jsonb)"
        ),
        {"id": alert_id, "state": json.dumps(state)},
    )
