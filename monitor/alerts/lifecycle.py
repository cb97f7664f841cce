"""What people do with alerts. Each step is written with who did it; a step that came too late is refused."""

from __future__ import annotations

from sqlalchemy import Connection, text

from monitor.alerts import outbox
from monitor.errors import AlertConflict, InputError
from monitor.settings import Settings
from monitor.store import clock
from monitor.store.queries import alerts
from monitor.store.queries.alerts import Alert

LONGEST_NOTE = 10_000


def acknowledge(connection: Connection, alert_id: str, actor: str, note: str = "") -> Alert:
    """Say that somebody looks after an open alert; it is not told of again.

    Raises:
        InputError: there is no such alert.
        AlertConflict: it is acknowledged already, or resolved.
    """
    alert = _locked(connection, alert_id)
    if alert.state == "acknowledged":
        raise AlertConflict(f"{alert.acknowledged_by} has already acknowledged this alert")
    _require(alert, "open", "acknowledged")
    connection.execute(
        text(
            "UPDATE alerts SET state = 'acknowledged', acknowledged_at = now(), acknowledged_by = :actor, "
            "updated_at = now() WHERE id = :id"
        ),
        {"id": alert_id, "actor": actor},
    )
    return _noted(connection, alert_id, actor, "acknowledge", note)


def unacknowledge(connection: Connection, alert_id: str, actor: str, note: str = "") -> Alert:
    """Take an acknowledgement back. Raises InputError, AlertConflict."""
    alert = _locked(connection, alert_id)
    _require(alert, "acknowledged", "taken back")
    connection.execute(
        text(
            "UPDATE alerts SET state = 'open', acknowledged_at = NULL, acknowledged_by = NULL, updated_at = now() "
            "WHERE id = :id"
        ),
        {"id": alert_id},
    )
    return _noted(connection, alert_id, actor, "unacknowledge", note)


def comment(connection: Connection, alert_id: str, actor: str, note: str) -> Alert:
    """Add a note to an alert in any state. Raises InputError."""
    _locked(connection, alert_id)
    if not note.strip():
        raise InputError("the comment is empty")
    connection.execute(text("UPDATE alerts SET updated_at = now() WHERE id = :id"), {"id": alert_id})
    return _noted(connection, alert_id, actor, "comment", note)


def resolve(connection: Connection, alert_id: str, actor: str, settings: Settings, note: str = "") -> Alert:
    """End an alert by hand.

    Its surge is followed on in silence and opens no new alert before it has calmed down. `resolved_at` is event
    time, as far as detection has come. Raises InputError, AlertConflict.
    """
    alert = _locked(connection, alert_id)
    if alert.state == "resolved":
        _require(alert, "open", "resolved")
    through = clock.read(connection).judged_through or alert.opened_at
    connection.execute(
        text(
            "UPDATE alerts SET state = 'resolved', resolved_at = :at, resolved_by = :actor, updated_at = now() "
            "WHERE id = :id"
        ),
        {"id": alert_id, "at": max(through, alert.opened_at), "actor": actor},
    )
    resolved = _noted(connection, alert_id, actor, "resolve", note)
    # An alert may be resolved, reopened and resolved again: each time is told.
    turn = len([event for event in alerts.events(connection, alert_id) if event.action == "resolve"])
    outbox.enqueue(connection, resolved, "resolve", settings, turn=str(turn))
    return resolved


def reopen(connection: Connection, alert_id: str, actor: str, note: str = "") -> Alert:
    """Take a resolution by hand back, as long as the surge lasts. Raises InputError, AlertConflict."""
    alert = _locked(connection, alert_id)
    _require(alert, "resolved", "reopened")
    if "open" not in alert.tracked:
        raise AlertConflict("the surge of this alert is over; there is nothing to reopen")
    connection.execute(
        text(
            "UPDATE alerts SET state = 'open', resolved_at = NULL, resolved_by = NULL, acknowledged_at = NULL, "
            "acknowledged_by = NULL, updated_at = now() WHERE id = :id"
        ),
        {"id": alert_id},
    )
    return _noted(connection, alert_id, actor, "reopen", note)


def note_event(connection: Connection, alert_id: str, actor: str, action: str, note: str = "") -> None:
    """Write down that something happened to an alert."""
    connection.execute(
        text("INSERT INTO alert_events (alert_id, actor, action, note) VALUES (:alert, :actor, :action, :note)"),
        {"alert": alert_id, "actor": actor, "action": action, "note": note.replace("\x00", "")[:LONGEST_NOTE]},
    )


def _locked(connection: Connection, alert_id: str) -> Alert:
    alert = alerts.get(connection, alert_id, lock=True)
    if alert is None:
        raise InputError(f"there is no alert {alert_id!r}")
    return alert


def _require(alert: Alert, state: str, done: str) -> None:
    if alert.state == state:
        return
    if alert.state == "resolved":
        by = f"resolved by {alert.resolved_by}" if alert.resolved_by else "resolved: it calmed down"
        raise AlertConflict(f"this alert was {by}; it cannot be {done}")
    raise AlertConflict(f"this alert is {alert.state}; it cannot be {done}")


def _noted(connection: Connection, alert_id: str, actor: str, action: str, note: str) -> Alert:
    note_event(connection, alert_id, actor, action, note)
    found = alerts.get(connection, alert_id)
    if found is None:
        raise InputError(f"there is no alert {alert_id!r}")
    return found
