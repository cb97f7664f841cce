"""A consumer that is told to stop ends within seconds, also while Postgres is away."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.store.embedded import EmbeddedPostgres
from tests.acceptance.feeds import steady
from tests.acceptance.processes import Process, environment, ok, until, write_feed


@pytest.mark.kafka
def test_consumer_stops_while_postgres_is_away(
    kafka_bootstrap: str, make_topic: Callable[..., str], tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    # A server that is only an address to the consumer: it will not start it again.
    url = EmbeddedPostgres(tmp_path / "server").url()
    topic = make_topic(2)
    env = environment(
        tmp_path / "data", kafka_bootstrap=kafka_bootstrap, kafka_topics=topic, database_url=url, batch_documents="20"
    )
    ok(["migrate"], env)
    feed = write_feed(tmp_path / "feed.jsonl", steady(400, days=1))
    consumer = Process(["consume"], env)
    try:
        until(lambda: "reading" in consumer.output, seconds=60, what="the consumer in the group")
        os.kill(int((tmp_path / "server" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        # More than the buffer and every hand between it and the record can hold.
        ok(["produce", "--topic", topic, str(feed)], env)
        until(lambda: "waits and tries again" in consumer.output, seconds=60, what="the word that Postgres is away")
        assert consumer.running
        assert consumer.stop(timeout=30) == 0, consumer.output
    finally:
        consumer.end()
