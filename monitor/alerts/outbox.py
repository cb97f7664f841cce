"""Notifications: written with the alert they tell of, delivered at least once.

A row is written in the alert's own transaction, so there is no alert without its notifications and none the
other way round. Delivering it is a matter of its own: a row is claimed (its next attempt moved past any time-out,
committed), handed to its channel, and marked. A process that dies in between leaves the row to be delivered
again; receivers tell a repetition by its key.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text

from monitor.alerts import channels
from monitor.alerts.channels import Channel
from monitor.alerts.export import as_json
from monitor.alerts.notice import Event, Notice
from monitor.errors import BellwetherError, DeliveryError, DeliveryRefused
from monitor.settings import Settings
from monitor.store.database import Database
from monitor.store.queries import alerts
from monitor.store.queries.alerts import Alert, OutboxState

log = logging.getLogger(__name__)

FIRST_PAUSE = 15.0  # seconds after the first failure, doubled after each further one
LONGEST_PAUSE = 3600.0
LONGEST_WISH = 24 * 3600.0  # how long a receiver's Retry-After may make us wait


def enqueue(connection: Connection, alert: Alert, event: Event, settings: Settings, *, turn: str = "") -> int:
    """Write a notification for each receiver, in the caller's transaction; return how many are new.

    The key is a hash of alert, event, severity, receiver and `turn` (which tells the repeats of one event apart):
    what is written twice is there once. Only those who were told that an alert opened are told what became of it.
    """
    if event == "resolve" and not settings.alerts.send_resolved:
        return 0
    written = 0
    content = as_json(alert)
    for channel, target in channels.targets(settings):
        key = _key(alert.id, event, alert.severity, channel, target, turn)
        thread = connection.execute(
            text(
                "SELECT idempotency_key FROM outbox WHERE alert_id = :alert AND channel = :channel "
                "AND target = :target ORDER BY id LIMIT 1"
            ),
            {"alert": alert.id, "channel": channel, "target": target},
        ).scalar()
        if thread is None and event == "resolve":
            continue
        payload = {"thread": thread or key, "alert": content, "evidence": alert.evidence}
        written += connection.execute(
            text(
                "INSERT INTO outbox (alert_id, event, channel, target, idempotency_key, payload) "
                "VALUES (:alert, :event, :channel, :target, :key, cast(:payload AS jsonb)) ON CONFLICT DO NOTHING"
            ),
            {
                "alert": alert.id,
                "event": event,
                "channel": channel,
                "target": target,
                "key": key,
                "payload": json.dumps(payload, ensure_ascii=False),
            },
        ).rowcount
    return written


def requeue(connection: Connection, ids: Iterable[int]) -> int:
    """Give dead notifications another round of attempts; return how many."""
    return connection.execute(
        text(
            "UPDATE outbox SET state = 'pending', attempts = 0, next_attempt_at = now() "
            "WHERE state = 'dead' AND id = ANY(:ids)"
        ),
        {"ids": list(ids)},
    ).rowcount


def repeat(connection: Connection, settings: Settings) -> int:
    """Tell again of alerts still open (nobody has acknowledged them) after `alerts.resend_after`; return how many.

    Wall-clock time. Not while an earlier notification of the alert still waits to be delivered.
    """
    due = connection.execute(
        text(
            "SELECT a.id, count(*) FILTER (WHERE o.event = 'repeat') FROM alerts a JOIN outbox o ON o.alert_id = a.id "
            "WHERE a.state = 'open' GROUP BY a.id HAVING max(o.created_at) <= now() - :after "
            "AND bool_and(o.state <> 'pending') ORDER BY a.id"
        ),
        {"after": settings.alerts.resend_after},
    ).all()
    repeated = 0
    for alert_id, told in due:
        alert = alerts.get(connection, alert_id, lock=True)
        if alert is not None and alert.state == "open":
            repeated += enqueue(connection, alert, "repeat", settings, turn=str(told + 1)) > 0
    return repeated


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one round did: notifications sent, put off, and given up."""

    sent: int = 0
    failed: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class _Claim:
    id: int
    channel: str
    attempts: int
    notice: Notice


class Deliverer:
    """Delivers what is due. Several may run at once: a row is claimed by one of them.

    Args:
        make: makes the channel of a name; the real ones by default.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        make: Callable[[str, Settings], Channel] = channels.make,
    ) -> None:
        self._database = database
        self._settings = settings
        self._make = make

    def deliver_due(self) -> Delivered:
        """Deliver everything due now, repeats of open alerts among it.

        Notifications of one alert reach a receiver in their order. A receiver that fails is left alone for the
        rest of the round, so that it does not hold up the others. Raises DatabaseUnavailable.
        """
        with self._database.transaction() as connection:
            repeat(connection, self._settings)
        open_channels: dict[str, Channel] = {}
        failing: set[str] = set()
        done = Delivered()
        try:
            while (claim := self._claim(failing)) is not None:
                if claim.channel not in open_channels:
                    open_channels[claim.channel] = self._make(claim.channel, self._settings)
                done = self._deliver(claim, open_channels[claim.channel], failing, done)
        finally:
            for channel in open_channels.values():
                channel.close()
        return done

    def _deliver(self, claim: _Claim, channel: Channel, failing: set[str], done: Delivered) -> Delivered:
        try:
            channel.send(claim.notice)
        except DeliveryRefused as error:
            self._give_up(claim, error)
            return replace(done, dead=done.dead + 1)
        except Exception as error:
            if not isinstance(error, BellwetherError):
                log.exception("notification %d to %s could not be made", claim.id, claim.channel)
            failing.add(claim.notice.target)
            if claim.attempts >= self._settings.alerts.max_attempts:
                self._give_up(claim, error)
                return replace(done, dead=done.dead + 1)
            self._put_off(claim, error)
            return replace(done, failed=done.failed + 1)
        self._mark(claim, "sent")
        return replace(done, sent=done.sent + 1)

    def _claim(self, failing: set[str]) -> _Claim | None:
        """Take the next due row and move its next attempt past the end of this one."""
        lease = 60 + 4 * max(self._settings.smtp.timeout, self._settings.webhook.timeout)
        with self._database.transaction() as connection:
            row = connection.execute(
                text(
                    "UPDATE outbox SET attempts = attempts + 1, next_attempt_at = now() + :lease WHERE id = ("
                    "SELECT id FROM outbox o WHERE state = 'pending' AND next_attempt_at <= now() "
                    "AND NOT target = ANY(cast(:failing AS text[])) AND NOT EXISTS (SELECT FROM outbox earlier "
                    "WHERE earlier.alert_id = o.alert_id AND earlier.channel = o.channel "
                    "AND earlier.target = o.target AND earlier.state = 'pending' AND earlier.id < o.id) "
                    "ORDER BY next_attempt_at, id LIMIT 1 FOR UPDATE SKIP LOCKED) "
                    "RETURNING id, event, channel, target, idempotency_key, payload, attempts"
                ),
                {"lease": timedelta(seconds=lease), "failing": sorted(failing)},
            ).first()
        if row is None:
            return None
        payload: dict[str, Any] = row.payload
        notice = Notice(
            row.idempotency_key, payload["thread"], row.event, row.target, payload["alert"], payload["evidence"]
        )
        return _Claim(row.id, row.channel, row.attempts, notice)

    def _put_off(self, claim: _Claim, error: Exception) -> None:
        wait = pause(claim.attempts, random.random(), error.retry_after if isinstance(error, DeliveryError) else None)
        log.warning("%s: %s; tried again in %.0f s", claim.channel, error, wait)
        self._mark(claim, "pending", str(error), wait)

    def _give_up(self, claim: _Claim, error: Exception) -> None:
        log.error(
            "%s: %s; notification %d of alert %s is given up after %d attempt(s)",
            claim.channel,
            error,
            claim.id,
            claim.notice.alert["id"],
            claim.attempts,
        )
        self._mark(claim, "dead", str(error))

    def _mark(self, claim: _Claim, state: OutboxState, error: str | None = None, wait: float = 0.0) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                text(
                    "UPDATE outbox SET state = :state, last_error = :error, next_attempt_at = now() + :wait, "
                    "sent_at = CASE WHEN :state = 'sent' THEN now() END WHERE id = :id"
                ),
                {"id": claim.id, "state": state, "error": error, "wait": timedelta(seconds=wait)},
            )


def pause(attempts: int, chance: float, wish: float | None = None) -> float:
    """Seconds to wait after so many failed attempts: doubling, at most an hour, spread by `chance` in [0, 1).

    The receiver's own `wish` (Retry-After) is kept to, up to a day.

    >>> pause(1, 1.0), pause(3, 0.0), pause(12, 1.0), pause(1, 1.0, wish=90.0)
    (15.0, 30.0, 3600.0, 90.0)
    """
    longest = min(FIRST_PAUSE * 2 ** min(attempts - 1, 16), LONGEST_PAUSE)
    return max(longest * (0.5 + 0.5 * chance), min(wish or 0.0, LONGEST_WISH))


def _key(*parts: str) -> str:
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()
