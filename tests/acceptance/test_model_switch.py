"""A new champion takes over while a consumer runs, and goes again: nothing lost, nothing twice, no restart."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import groupby
from pathlib import Path

import pytest
from kafka import KafkaProducer
from sqlalchemy import text

from monitor.settings import load
from monitor.store.database import Database
from tests.acceptance.feeds import START
from tests.acceptance.processes import Process, environment, ok, until
from tests.unit.contestants import make_models, texts, write_exam
from training.registry.promoting import promote
from training.registry.registering import register


class Feed:
    """Writes one message after another, as long as it is asked to."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.sent = 0
        self._topic = topic
        self._producer = KafkaProducer(bootstrap_servers=bootstrap)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        words = texts(200)
        while not self._over.is_set():
            message = {
                "id": str(self.sent),
                "published_at": (START + timedelta(seconds=self.sent)).isoformat(),
                "text": f"{words[self.sent % 200]} {self.sent}",
                "lang": "en",
            }
            self._producer.send(self._topic, value=json.dumps(message).encode())
            self.sent += 1
            time.sleep(0.02)

    def end(self) -> int:
        """Stop; how many messages the broker has."""
        self._over.set()
        self._thread.join()
        self._producer.flush(timeout=30)
        self._producer.close(timeout=5)
        return self.sent


@pytest.mark.kafka
@pytest.mark.timeout(240)
def test_champion_changes_under_a_running_consumer(
    kafka_bootstrap: str, make_topic: Callable[..., str], tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    topic = make_topic(1)
    env = environment(
        tmp_path / "data",
        kafka_bootstrap=kafka_bootstrap,
        kafka_topics=topic,
        batch_documents="20",
        engine_device="cpu",
        engine_threads="1",
        engine_reload_every="300ms",
    )
    ok(["migrate"], env)
    bundles = make_models(tmp_path, ["1", "2"])
    exam = write_exam(tmp_path / "frozen.jsonl", bundles["2"], count=120)
    settings = load(env).settings
    database = Database(settings)
    for folder in bundles.values():
        register(database, settings, folder, "ann")
    promote(database, settings, "tiny@1", actor="ann", force=True, reason="the first one")

    def column(statement: str) -> list[str]:
        with database.transaction() as connection:
            return [str(row[0]) for row in connection.execute(text(statement))]

    def last_models(count: int) -> set[str]:
        """Who scored the latest documents, once there are so many."""
        rows = column(f"SELECT model FROM scores ORDER BY published_at DESC LIMIT {count}")
        return set(rows) if len(rows) == count else set()

    consumer = Process(["consume"], env)
    feed = Feed(kafka_bootstrap, topic)
    try:
        until(lambda: last_models(40) == {"tiny@1"}, seconds=90, what="documents by the first champion")
        # The model libraries are here already; the command itself would take seconds to load them once more.
        promoted = promote(database, settings, "tiny@2", actor="ann", exam=[exam])
        assert (promoted.promoted, promoted.forced, promoted.replaced) == (True, False, {"en": "tiny@1"})
        until(lambda: last_models(40) == {"tiny@2"}, seconds=60, what="documents by the new champion")
        ok(["models", "rollback", "--reason", "seen enough"], env)
        until(lambda: last_models(40) == {"tiny@1"}, seconds=60, what="documents by the old champion again")
        sent = feed.end()
        until(lambda: column("SELECT sum(next_offset) FROM positions") == [str(sent)], seconds=60, what="every offset")
        assert consumer.running, consumer.output[-2000:]
        assert consumer.stop() == 0
    finally:
        feed.end()
        consumer.end()
        print(consumer.output[-3000:])

    ids = column("SELECT id FROM documents ORDER BY published_at")
    models = column("SELECT model FROM documents JOIN scores USING (published_at, key) ORDER BY published_at")
    assert ids == [str(number) for number in range(sent)]
    assert column("SELECT count(*) FROM scores") == [str(sent)] and len(models) == sent
    # One partition is read in order: each model has its stretch and no other.
    assert [model for model, _ in groupby(models)] == ["tiny@1", "tiny@2", "tiny@1"]
    assert consumer.output.count("reads en from the next batch on") == 2
    events = column("SELECT action FROM model_events ORDER BY id")
    assert events == ["register", "register", "promote", "promote", "rollback"]
    database.close()
