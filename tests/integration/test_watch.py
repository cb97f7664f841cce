"""The watch on a real Postgres: the same documents give the same alerts, whatever happens on the way."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from monitor.alerts import lifecycle, watch
from monitor.alerts.export import export_alerts
from monitor.alerts.watch import Watch
from monitor.errors import AlertConflict, InputError
from monitor.settings import Settings
from monitor.store import migrate
from monitor.store.database import Database
from monitor.store.queries import alerts
from monitor.store.queries.alerts import Alert
from tests.integration.staged import BURST, COPIES, GROUP, SHOUT, close, feed, read, write

READS = feed()


def exported(database: Database) -> str:
    out = io.StringIO()
    with database.transaction() as connection:
        export_alerts(connection, out)
    return out.getvalue()


def all_alerts(database: Database) -> list[Alert]:
    with database.transaction() as connection:
        return alerts.in_order(connection)


def of(database: Database, company: str, topic: str = "") -> list[Alert]:
    return [alert for alert in all_alerts(database) if (alert.series.company, alert.series.topic) == (company, topic)]


def count(database: Database, what: str) -> int:
    with database.transaction() as connection:
        return int(connection.execute(text(f"SELECT {what}")).scalar() or 0)


def play(database: Database, settings: Settings, size: int, *, restart: int = 10**9, reads: Any = READS) -> None:
    """Write the feed in batches, ticking after each; a new watch takes over every `restart` batches."""
    watching = Watch(database, settings, GROUP)
    for turn, begin in enumerate(range(0, len(reads), size), 1):
        write(database, reads[begin : begin + size])
        watching.tick()
        if turn % restart == 0:
            watching = Watch(database, settings, GROUP)
    close(database)
    watching.tick()


@contextmanager
def record(settings: Settings, name: str) -> Iterator[Database]:
    """A further record beside the fixture's."""
    found = Database(settings, name)
    migrate.upgrade(found)
    try:
        yield found
    finally:
        with found.engine.begin() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
        found.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, postgres_folder: Any) -> str:
    """The alerts of the feed when it is judged in one go."""
    from monitor.settings import load

    settings = load({}, {"data.dir": str(postgres_folder)}).settings
    with record(settings, "test_watch_whole") as database:
        play(database, settings, len(READS))
        return exported(database)


def test_burst_is_found_and_explained(database: Database, settings: Settings) -> None:
    play(database, settings, 100)
    (alert,) = of(database, "HLVN")
    assert BURST < alert.opened_at <= BURST + timedelta(minutes=30)
    assert alert.severity == "critical" and alert.state == "resolved"
    assert alert.resolved_at is not None and alert.resolved_at > BURST + timedelta(minutes=40)
    assert alert.reason.startswith(f"{alert.observed} negative of {alert.total} English documents on")
    evidence = alert.evidence
    assert evidence["documents"] == alert.observed
    assert evidence["stories_total"] >= 5
    assert {"depositors", "withdraw", "funding"} <= {word["word"] for word in evidence["words"]}
    assert {source["name"] for source in evidence["sources"]} >= {"desk", "gazette"}
    assert evidence["companies"][0]["symbol"] == "HLVN"
    points = evidence["curve"]["points"]
    assert len(points) == 96 and points[-1]["observed"] > points[-1]["upper"]
    assert all(point["lower"] <= point["expected"] <= point["upper"] for point in points)
    with database.transaction() as connection:
        actions = [event.action for event in alerts.events(connection, alert.id)]
    assert actions[0] == "open" and actions[-1] == "resolve"


def test_copies_and_a_man_who_shouts_raise_nothing(database: Database, settings: Settings) -> None:
    play(database, settings, 200, reads=feed(burst=False))
    assert all_alerts(database) == []
    at_copies = count(database, f"sum(negative) FROM rollups WHERE company = 'CANG' AND minute >= '{COPIES}'")
    at_shout = count(database, f"sum(negative) FROM rollups WHERE company = 'ORLN' AND minute >= '{SHOUT}'")
    assert at_copies >= 40 and at_shout >= 40  # they were there


@pytest.mark.parametrize(("size", "restart"), [(37, 10**9), (61, 1), (7, 40)])
def test_batches_and_restarts_change_no_byte(
    database: Database, settings: Settings, whole: str, size: int, restart: int
) -> None:
    play(database, settings, size, restart=restart)
    assert exported(database) == whole
    lines = [json.loads(line) for line in whole.splitlines()]
    assert any(line["series"] == "*/HLVN/en" for line in lines)
    assert all(line["resolved_at"] for line in lines)


def test_length_of_a_chunk_changes_no_byte(
    database: Database, settings: Settings, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "CHUNK", 97)
    play(database, settings, len(READS))
    assert exported(database) == whole


def test_watch_that_dies_before_its_commit_leaves_no_trace(
    database: Database, settings: Settings, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Death(BaseException):
        """Stands for SIGKILL: nothing catches it."""

    def die(*_: object) -> None:
        raise Death

    dying = Watch(database, settings, GROUP)
    for begin in range(0, len(READS), 150):
        write(database, READS[begin : begin + 150])
        with monkeypatch.context() as patch, pytest.raises(Death):
            # At the very end of the chunk's transaction.
            patch.setattr(watch.clock, "judged", die)
            dying.tick()
        if begin % 300 == 0:
            dying.tick()
    assert count(database, "count(*) FROM alert_events") == 2 * count(database, "count(*) FROM alerts") + count(
        database, "count(*) FROM alert_events WHERE action = 'escalate'"
    ) - count(database, "count(*) FROM alerts WHERE state <> 'resolved'")
    close(database)
    dying.tick()
    assert exported(database) == whole


def test_two_watches_make_one_set_of_alerts(database: Database, settings: Settings, whole: str) -> None:
    for begin in range(0, len(READS), 150):
        write(database, READS[begin : begin + 150])
    close(database)
    barrier = threading.Barrier(2)
    opened: list[int] = []

    def run() -> None:
        mine = Database(settings, database.schema)
        watching = Watch(mine, settings, GROUP)
        barrier.wait()
        opened.append(sum(watching.tick().opened for _ in range(12)))
        mine.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Watch(database, settings, GROUP).tick()
    assert exported(database) == whole
    assert sum(opened) == len(whole.splitlines())
    assert count(database, "count(*) FROM alert_events WHERE action = 'open'") == len(whole.splitlines())


def test_late_documents_change_no_alert(database: Database, settings: Settings, whole: str) -> None:
    late = [
        read(10_000 + n, BURST + timedelta(minutes=2 + n % 30), "CANG", f"CANG late word {n} {n * n}", negative=True)
        for n in range(60)
    ]
    middle = next(i for i, item in enumerate(READS) if item.received.content.published_at > BURST + timedelta(hours=3))
    mixed = [*READS[:middle], *late, *READS[middle:]]
    renumbered = [
        replace(item, received=replace(item.received, origin=replace(item.received.origin, offset=n)))
        for n, item in enumerate(mixed)
    ]
    play(database, settings, 100, reads=renumbered)
    assert count(database, "count(*) FROM documents WHERE late") == 60
    assert exported(database) == whole


def test_record_after_years_of_silence_is_judged_at_once(database: Database, settings: Settings) -> None:
    ticks = Watch(database, settings, GROUP)
    old = [
        read(n, datetime(2014, 5, 1, tzinfo=UTC) + timedelta(hours=n), "HLVN", f"a {n}", negative=False)
        for n in range(80)
    ]
    write(database, old)
    ticks.tick()
    new = [read(80, datetime(2026, 3, 2, 12, tzinfo=UTC), "HLVN", "b", negative=False)]
    write(database, new)
    report = ticks.tick()
    assert report.through == datetime(2026, 3, 2, 11, 55, tzinfo=UTC)
    assert report.opened == 0


def test_nothing_is_judged_before_something_is_known(database: Database, settings: Settings) -> None:
    report = Watch(database, settings, GROUP).tick()
    assert (report.watermark, report.through) == (None, None)


def play_until(database: Database, settings: Settings, at: datetime) -> tuple[Watch, int]:
    upto = next(i for i, item in enumerate(READS) if item.received.content.published_at > at)
    watching = Watch(database, settings, GROUP)
    write(database, READS[:upto])
    watching.tick()
    return watching, upto


def test_alert_resolved_by_hand_stays_so_until_its_surge_is_over(database: Database, settings: Settings) -> None:
    watching, upto = play_until(database, settings, BURST + timedelta(minutes=38))
    (alert,) = of(database, "HLVN")
    assert alert.state == "open"
    with database.transaction() as connection:
        done = lifecycle.resolve(connection, alert.id, "mei", settings, "known, nothing to see")
        assert (done.state, done.resolved_by) == ("resolved", "mei")
        assert done.resolved_at is not None and done.resolved_at < BURST + timedelta(minutes=40)
        with pytest.raises(AlertConflict, match="resolved by mei"):
            lifecycle.acknowledge(connection, alert.id, "lin")
    for begin in range(upto, len(READS), 50):
        write(database, READS[begin : begin + 50])
        # Also a watch that starts anew must know that this burst was dealt with.
        watching = watching if begin % 100 else Watch(database, settings, GROUP)
        watching.tick()
    close(database)
    watching.tick()
    (after,) = of(database, "HLVN")
    assert (after.state, after.resolved_by, after.resolved_at) == ("resolved", "mei", done.resolved_at)
    assert "closed" in after.tracked
    with database.transaction() as connection:
        assert [event.action for event in alerts.events(connection, alert.id)][-1] == "resolve"
        with pytest.raises(AlertConflict, match="surge of this alert is over"):
            lifecycle.reopen(connection, alert.id, "mei")


def test_acknowledged_alert_ends_by_itself(database: Database, settings: Settings) -> None:
    watching, upto = play_until(database, settings, BURST + timedelta(minutes=38))
    (alert,) = of(database, "HLVN")
    with database.transaction() as connection:
        lifecycle.acknowledge(connection, alert.id, "mei", "on it")
        lifecycle.comment(connection, alert.id, "lin", "bank says <nothing>")
        with pytest.raises(AlertConflict, match="mei has already acknowledged"):
            lifecycle.acknowledge(connection, alert.id, "lin")
        lifecycle.unacknowledge(connection, alert.id, "mei")
        lifecycle.acknowledge(connection, alert.id, "lin")
        with pytest.raises(InputError, match="no alert 'nope'"):
            lifecycle.comment(connection, "nope", "lin", "x")
    write(database, READS[upto:])
    close(database)
    watching.tick()
    (after,) = of(database, "HLVN")
    assert (after.state, after.acknowledged_by, after.resolved_by) == ("resolved", "lin", None)
    with database.transaction() as connection:
        found = [(event.actor, event.action) for event in alerts.events(connection, alert.id)]
    assert found == [
        ("detector", "open"),
        *([("detector", "escalate")] if ("detector", "escalate") in found else []),
        ("mei", "acknowledge"),
        ("lin", "comment"),
        ("mei", "unacknowledge"),
        ("lin", "acknowledge"),
        ("detector", "resolve"),
    ]


def test_alert_resolved_by_mistake_is_reopened(database: Database, settings: Settings) -> None:
    watching, upto = play_until(database, settings, BURST + timedelta(minutes=38))
    (alert,) = of(database, "HLVN")
    with database.transaction() as connection:
        lifecycle.resolve(connection, alert.id, "mei", settings)
        assert lifecycle.reopen(connection, alert.id, "mei").state == "open"
    write(database, READS[upto:])
    close(database)
    watching.tick()
    (after,) = of(database, "HLVN")
    assert after.state == "resolved" and after.resolved_by is None


def test_notifications_are_written_with_the_alert_or_not_at_all(
    database: Database, make_settings: Callable[..., Settings], schema: str
) -> None:
    settings = make_settings(webhook_urls="https://hooks.example/x")
    told: list[tuple[str, str]] = []
    write(database, READS)
    close(database)
    Watch(database, settings, GROUP).tick(on_alert=lambda alert, event: told.append((alert.id, event)))
    with database.transaction() as connection:
        rows = alerts.notifications(connection)[::-1]
    assert [(row.alert_id, row.event) for row in rows] == told
    assert {event for _, event in told} >= {"open", "resolve"}
    with record(settings, f"{schema}_silent") as other:
        write(other, READS)
        close(other)
        assert Watch(other, settings, GROUP, notify=False).tick().opened == sum(event == "open" for _, event in told)
        assert count(other, "count(*) FROM outbox") == 0
