"""Delivery from the outbox: to a real HTTP server and a real SMTP server, at least once, in order."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from monitor.alerts import channels, lifecycle, outbox, signature
from monitor.alerts.outbox import Delivered, Deliverer
from monitor.settings import Settings
from monitor.store.database import Database
from monitor.store.queries import alerts
from monitor.store.queries.alerts import Alert, Notification
from tests.integration.receivers import Hook, Mailbox, hook_server, smtp_server

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with hook_server(Hook()) as found:
        yield found


def add_alert(database: Database, alert_id: str = "a1", company: str = "HLVN") -> Alert:
    with database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO alerts (id, topic, company, lang, state, severity, opened_at, window_minutes, observed, "
                "total, expected, p_value, reason, evidence, tracked) VALUES (:id, '', :company, 'en', 'open', "
                "'warning', :at, 60, 41, 63, 2.1, 3e-22, '41 negative of 63.', "
                """'{"name": "Halvern Bank 沧澜"}', '{"level": 1}')"""
            ),
            {"id": alert_id, "company": company, "at": NOON},
        )
        found = alerts.get(connection, alert_id)
    assert found is not None
    return found


def tell(database: Database, settings: Settings, alert: Alert, event: Any = "open") -> int:
    with database.transaction() as connection:
        return outbox.enqueue(connection, alert, event, settings)


def rows(database: Database) -> list[Notification]:
    with database.transaction() as connection:
        return alerts.notifications(connection)[::-1]


def make_due(database: Database) -> None:
    """Let the back-off be over."""
    with database.transaction() as connection:
        connection.execute(text("UPDATE outbox SET next_attempt_at = now() WHERE state = 'pending'"))


@pytest.fixture
def webhook_settings(make_settings: Callable[..., Settings], hook: Hook) -> Settings:
    return make_settings(webhook_urls=hook.url, webhook_secret="s3cret", webhook_allow_private="true")


def test_webhook_is_signed_and_carries_the_alert(database: Database, webhook_settings: Settings, hook: Hook) -> None:
    assert tell(database, webhook_settings, add_alert(database)) == 1
    assert Deliverer(database, webhook_settings).deliver_due() == Delivered(sent=1)
    (request,) = hook.requests
    assert signature.verify("s3cret", request.headers["X-Bellwether-Signature"], request.body, time.time())
    content = json.loads(request.body)
    assert content["version"] == "4" and content["alerts"][0]["labels"]["company"] == "HLVN"
    assert content["alerts"][0]["annotations"]["summary"].startswith("[warning] Halvern Bank 沧澜: 41 negative")
    (row,) = rows(database)
    assert (row.state, row.attempts, row.last_error) == ("sent", 1, None)
    assert row.sent_at is not None


def test_receiver_that_fails_twice_gets_the_same_key_in_the_end(
    database: Database, webhook_settings: Settings, hook: Hook
) -> None:
    hook.answers = [(500, {}), (429, {"Retry-After": "700"})]
    tell(database, webhook_settings, add_alert(database))
    deliverer = Deliverer(database, webhook_settings)
    assert deliverer.deliver_due() == Delivered(failed=1)
    assert deliverer.deliver_due() == Delivered()  # not before its time
    make_due(database)
    assert deliverer.deliver_due() == Delivered(failed=1)
    (row,) = rows(database)
    assert row.last_error is not None and "429" in row.last_error
    assert (row.next_attempt_at - datetime.now(UTC)).total_seconds() == pytest.approx(700, abs=30)
    make_due(database)
    assert deliverer.deliver_due() == Delivered(sent=1)
    assert len({request.headers["Idempotency-Key"] for request in hook.requests}) == 1
    assert len(hook.requests) == 3


def test_refused_notification_is_dead_until_somebody_asks_again(
    database: Database, webhook_settings: Settings, hook: Hook
) -> None:
    hook.answers = [(400, {})]
    tell(database, webhook_settings, add_alert(database))
    deliverer = Deliverer(database, webhook_settings)
    assert deliverer.deliver_due() == Delivered(dead=1)
    (row,) = rows(database)
    assert row.state == "dead" and row.last_error is not None and "400: no such alert" in row.last_error
    with database.transaction() as connection:
        assert outbox.requeue(connection, [row.id]) == 1
    assert deliverer.deliver_due() == Delivered(sent=1)


def test_notification_is_given_up_after_the_last_attempt(
    database: Database, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(
        webhook_urls="http://127.0.0.1:1/hook", webhook_allow_private="true", alerts_max_attempts="2"
    )
    tell(database, settings, add_alert(database))
    assert Deliverer(database, settings).deliver_due() == Delivered(failed=1)
    make_due(database)
    assert Deliverer(database, settings).deliver_due() == Delivered(dead=1)
    assert "webhook.urls (BELLWETHER_WEBHOOK_URLS)" in str(rows(database)[0].last_error)


def test_redirect_is_not_followed(database: Database, webhook_settings: Settings, hook: Hook) -> None:
    hook.answers = [(307, {"Location": "http://169.254.169.254/latest/meta-data"}), (302, {"Location": hook.url})]
    tell(database, webhook_settings, add_alert(database))
    tell(database, webhook_settings, add_alert(database, "a2", "CANG"))
    assert Deliverer(database, webhook_settings).deliver_due() == Delivered(dead=2)
    assert len(hook.requests) == 2
    assert "redirects are not followed" in str(rows(database)[0].last_error)


def test_private_receiver_needs_leave(database: Database, make_settings: Callable[..., Settings], hook: Hook) -> None:
    settings = make_settings(webhook_urls=hook.url)
    tell(database, settings, add_alert(database))
    assert Deliverer(database, settings).deliver_due() == Delivered(dead=1)
    assert hook.requests == []
    assert "webhook.allow_private" in str(rows(database)[0].last_error)


def test_receiver_that_drips_is_cut_off(database: Database, make_settings: Callable[..., Settings], hook: Hook) -> None:
    hook.slow = 0.2
    settings = make_settings(webhook_urls=hook.url, webhook_allow_private="true", webhook_timeout="0.6")
    tell(database, settings, add_alert(database))
    started = time.monotonic()
    assert Deliverer(database, settings).deliver_due() == Delivered(failed=1)
    assert time.monotonic() - started < 2.5
    assert "webhook.timeout" in str(rows(database)[0].last_error)


def test_failing_receiver_does_not_hold_up_the_others(
    database: Database, make_settings: Callable[..., Settings], hook: Hook
) -> None:
    dead_end = "http://127.0.0.1:1/x"
    settings = make_settings(webhook_urls=f"{dead_end},{hook.url}", webhook_allow_private="true")
    for number in range(3):
        tell(database, settings, add_alert(database, f"a{number}", f"C{number}"))
    assert Deliverer(database, settings).deliver_due() == Delivered(sent=3, failed=1)
    assert [row.attempts for row in rows(database) if row.target == dead_end] == [1, 0, 0]


def test_end_of_an_alert_never_overtakes_its_beginning(
    database: Database, webhook_settings: Settings, hook: Hook
) -> None:
    hook.answers = [(503, {})]
    alert = add_alert(database)
    tell(database, webhook_settings, alert)
    deliverer = Deliverer(database, webhook_settings)
    assert deliverer.deliver_due() == Delivered(failed=1)
    tell(database, webhook_settings, replace(alert, state="resolved", resolved_at=NOON), "resolve")
    assert deliverer.deliver_due() == Delivered()
    make_due(database)
    assert deliverer.deliver_due() == Delivered(sent=2)
    assert [json.loads(request.body)["status"] for request in hook.requests] == ["firing", "firing", "resolved"]


def test_what_is_written_twice_is_told_once(database: Database, webhook_settings: Settings) -> None:
    alert = add_alert(database)
    assert [tell(database, webhook_settings, alert) for _ in range(3)] == [1, 0, 0]


def test_notification_vanishes_with_its_transaction(database: Database, webhook_settings: Settings) -> None:
    alert = add_alert(database)
    with pytest.raises(RuntimeError), database.transaction() as connection:
        outbox.enqueue(connection, alert, "open", webhook_settings)
        raise RuntimeError
    assert rows(database) == []


def test_end_is_told_only_to_those_who_heard_of_the_beginning(
    database: Database, webhook_settings: Settings, make_settings: Callable[..., Settings]
) -> None:
    alert = replace(add_alert(database), resolved_at=NOON)
    assert tell(database, webhook_settings, alert, "resolve") == 0
    tell(database, webhook_settings, alert, "open")
    assert tell(database, webhook_settings, alert, "resolve") == 1
    silent = make_settings(webhook_urls=webhook_settings.webhook.urls[0], alerts_send_resolved="false")
    other = add_alert(database, "a2", "CANG")
    tell(database, silent, other)
    assert tell(database, silent, other, "resolve") == 0


def test_deliverer_that_dies_in_the_middle_leaves_the_notification_to_the_next(
    database: Database, webhook_settings: Settings, hook: Hook
) -> None:
    class Death(BaseException):
        """Stands for SIGKILL: nothing catches it."""

    def deadly(name: str, settings: Settings) -> Any:
        channel = channels.make(name, settings)

        class Dying:
            def send(self, notice: Any) -> None:
                channel.send(notice)
                raise Death

            def close(self) -> None:
                channel.close()

        return Dying()

    tell(database, webhook_settings, add_alert(database))
    with pytest.raises(Death):
        Deliverer(database, webhook_settings, deadly).deliver_due()
    assert Deliverer(database, webhook_settings).deliver_due() == Delivered()  # still claimed
    make_due(database)
    assert Deliverer(database, webhook_settings).deliver_due() == Delivered(sent=1)
    assert len({request.headers["Idempotency-Key"] for request in hook.requests}) == 1


def test_deliverers_side_by_side_send_each_once(database: Database, webhook_settings: Settings, hook: Hook) -> None:
    for number in range(12):
        tell(database, webhook_settings, add_alert(database, f"a{number}", f"C{number}"))
    done: list[Delivered] = []
    threads = [
        threading.Thread(target=lambda: done.append(Deliverer(database, webhook_settings).deliver_due()))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(part.sent for part in done) == len(hook.requests) == 12
    assert len({request.headers["Idempotency-Key"] for request in hook.requests}) == 12


def test_open_alert_is_told_again_until_somebody_looks_after_it(
    database: Database, webhook_settings: Settings, hook: Hook
) -> None:
    def hours_pass() -> None:
        with database.transaction() as connection:
            connection.execute(text("UPDATE outbox SET created_at = created_at - interval '5 hours'"))

    alert = add_alert(database)
    tell(database, webhook_settings, alert)
    deliverer = Deliverer(database, webhook_settings)
    assert deliverer.deliver_due() == Delivered(sent=1)
    assert deliverer.deliver_due() == Delivered()
    for _ in range(2):
        hours_pass()
        assert deliverer.deliver_due() == Delivered(sent=1)
    hours_pass()
    with database.transaction() as connection:
        lifecycle.acknowledge(connection, alert.id, "mei")
    assert deliverer.deliver_due() == Delivered()
    assert [row.event for row in rows(database)] == ["open", "repeat", "repeat"]
    assert len({request.headers["Idempotency-Key"] for request in hook.requests}) == 3


def test_mail_and_webhook_are_told_side_by_side(
    database: Database, make_settings: Callable[..., Settings], hook: Hook
) -> None:
    mailbox = Mailbox(refuse={"gone@bank.example": "550 no such user", "full@bank.example": "452 mailbox full"})
    with smtp_server(mailbox) as port:
        settings = make_settings(
            smtp_url=f"smtp://127.0.0.1:{port}",
            smtp_to="desk@bank.example,gone@bank.example,full@bank.example,risk@bank.example",
            webhook_urls=hook.url,
            webhook_allow_private="true",
        )
        assert tell(database, settings, add_alert(database)) == 5
        assert Deliverer(database, settings).deliver_due() == Delivered(sent=3, failed=1, dead=1)
    assert [receivers for receivers, _ in mailbox.letters] == [["desk@bank.example"], ["risk@bank.example"]]
    states = {row.target: (row.state, row.last_error) for row in rows(database)}
    assert states["gone@bank.example"][0] == "dead" and "550 no such user" in str(states["gone@bank.example"][1])
    assert states["full@bank.example"][0] == "pending" and "452" in str(states["full@bank.example"][1])
