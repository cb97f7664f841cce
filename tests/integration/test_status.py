"""`bellwether status` on a real Postgres."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from monitor.commands.status import collect, status
from monitor.documents import Document, Origin, Received, Rejected, Sentiment, TopicScore, Understanding
from monitor.settings import Settings
from monitor.store import migrate
from monitor.store.database import Database
from monitor.store.leader import Leadership
from monitor.store.queries import status as queries
from monitor.store.writer import Batch, Read, Writer
from tests.broker import free_port

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LATENESS = timedelta(minutes=5)


def document(offset: int, *, minutes: int = 0, model: str | None = "en@1", companies: Sequence[str] = ()) -> Read:
    at = NOON + timedelta(minutes=minutes)
    sentiment = Sentiment(0.7, 0.2, 0.1) if model else None
    topics = (TopicScore("markets", 0.9), TopicScore("macro", 0.8)) if model else ()
    return Read(
        Received(Origin("news", 0, offset), Document(str(offset), "wire", "news", at, "", f"words {offset}")),
        Understanding("en", tuple(companies), offset, model, sentiment, topics),
    )


def rejected(offset: int) -> Read:
    return Read(Received(Origin("news", 0, offset), Rejected("not-json", "line 1", b"{", 1)), None)


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """On the session's Postgres, with a Kafka that is not there."""
    return make_settings(kafka_bootstrap=f"127.0.0.1:{free_port()}", kafka_timeout=0.5)


@pytest.fixture
def filled(database: Database) -> Database:
    reads = [
        document(0, companies=("HLVN", "CLGR")),
        document(1, minutes=30),
        document(2, minutes=1),  # late: the one before has closed its minute
        document(3, minutes=31, model=None),
        document(4, minutes=31, model="zh@2"),
        rejected(5),
        document(4, minutes=31, model="zh@2"),  # once more
    ]
    Writer(database, "g", LATENESS).write(Batch(reads, {("news", 0): None}, {("news", 0): 7}))
    return database


def test_every_document_is_counted_once_and_where_it_belongs(settings: Settings, filled: Database) -> None:
    report = collect(settings, filled)
    assert {key: report[key] for key in ("documents", "scored", "unscored", "rejected", "late")} == {
        "documents": 5,
        "scored": 4,
        "unscored": 1,
        "rejected": 1,
        "late": 1,
    }
    assert report["models"] == {"en@1": 3, "zh@2": 1}
    assert report["alerts"] == {"open": 0, "acknowledged": 0, "resolved": 0}
    assert {"pending", "dead"} <= report["outbox"].keys()
    with filled.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM documents")).scalar() == report["documents"]


def test_status_works_without_kafka(settings: Settings, filled: Database) -> None:
    report = collect(settings, filled)
    assert report["lag"] is None
    assert any("kafka.bootstrap" in note for note in report["notes"])
    assert report["partitions"][0] | {"last_message_at": None} == {
        "group": "g",
        "topic": "news",
        "partition": 0,
        "next_offset": 7,
        "lag": None,
        "event_time_high": "2026-03-02T12:31:00Z",
        "last_message_at": None,
        "caught_up_at": None,
        "closed": False,
    }
    json.dumps(report)


def test_scheduler_is_seen_while_it_leads(settings: Settings, database: Database) -> None:
    assert collect(settings, database)["scheduler"] == {"leader": False}
    leadership = Leadership(Database(database.settings, database.schema))
    assert leadership.held()
    assert collect(settings, database)["scheduler"] == {"leader": True}
    leadership.resign()
    assert collect(settings, database)["scheduler"] == {"leader": False}


def test_models_are_not_counted_for_longer_than_allowed(filled: Database) -> None:
    other = Database(filled.settings, filled.schema)
    with other.transaction() as holding, filled.transaction() as connection:
        holding.execute(text("LOCK TABLE scores IN ACCESS EXCLUSIVE MODE"))
        assert queries.models(connection, seconds=0.05) is None
        # The transaction goes on, and without the time limit.
        assert connection.execute(text("SHOW statement_timeout")).scalar() == "0"
        assert queries.counts(connection).documents == 5
    other.close()


@pytest.mark.kafka
def test_lag_is_what_kafka_holds_beyond_what_is_stored(
    make_settings: Callable[..., Settings],
    database: Database,
    kafka_bootstrap: str,
    make_topic: Callable[..., str],
) -> None:
    from kafka import KafkaProducer

    topic = make_topic(2)
    producer = KafkaProducer(bootstrap_servers=kafka_bootstrap)
    for number in range(10):
        producer.send(topic, b"{}", partition=number % 2)
    producer.flush()
    producer.close()
    read = document(3)
    read = Read(Received(Origin(topic, 0, 2), read.received.content), read.understanding)
    Writer(database, "g", LATENESS).write(Batch([read], {(topic, 0): None}, {(topic, 0): 3}))
    settings = make_settings(kafka_bootstrap=kafka_bootstrap, kafka_topics=topic, database_schema=database.schema)
    report = collect(settings, database)
    assert report["lag"] == 2 + 5
    assert [row["lag"] for row in report["partitions"]] == [2]


def test_command_prints_one_screen_and_one_json_object(
    settings: Settings, filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELLWETHER_DATA_DIR", str(settings.data.dir))
    monkeypatch.setenv("BELLWETHER_DATABASE_SCHEMA", filled.schema)
    monkeypatch.setenv("BELLWETHER_KAFKA_BOOTSTRAP", settings.kafka.bootstrap)
    monkeypatch.setenv("BELLWETHER_KAFKA_TIMEOUT", "0.5")
    shown = CliRunner().invoke(status, [])
    assert shown.exit_code == 0, shown.output
    assert "5 (4 scored, 1 unscored, 1 late)" in shown.output
    assert "news[0]" in shown.output
    assert "none runs" in shown.output
    report = json.loads(CliRunner().invoke(status, ["--json"]).stdout)
    assert report["documents"] == 5


def test_status_of_a_replay_is_its_own(
    settings: Settings, schema: str, monkeypatch: pytest.MonkeyPatch, make_settings: Callable[..., Settings]
) -> None:
    replay = Database(settings, f"replay_{schema}")
    migrate.upgrade(replay)
    try:
        Writer(replay, "archive", LATENESS).write(Batch([document(0)], {("news", 0): None}, {("news", 0): 1}))
        monkeypatch.setenv("BELLWETHER_DATA_DIR", str(settings.data.dir))
        monkeypatch.setenv("BELLWETHER_KAFKA_TOPICS", "elsewhere")
        report = json.loads(CliRunner().invoke(status, ["--json", "--name", schema]).stdout)
        assert (report["documents"], report["lag"]) == (1, None)
        assert report["notes"] == ["lag: this replay was not read from Kafka"]
    finally:
        with replay.transaction() as connection:
            connection.execute(text(f"DROP SCHEMA {replay.schema} CASCADE"))
        replay.close()
