"""Two hundred kinds of broken input through the real Kafka: each is kept with its reason, the good ones go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaProducer
from sqlalchemy import text

from monitor.records import schema_of
from monitor.settings import load
from monitor.store.database import Database
from tests.acceptance.feeds import steady
from tests.acceptance.processes import Process, environment
from tests.broken import BROKEN


@pytest.mark.kafka
def test_broken_messages_are_kept_with_a_reason_and_the_good_ones_scored(
    kafka_bootstrap: str, make_topic: Callable[..., str], tmp_path: Path
) -> None:
    import json

    assert len(BROKEN) >= 200
    tmp_path.chmod(0o755)
    topic = make_topic(2, **{"max.message.bytes": str(8 * 1024 * 1024)})
    good = [json.dumps(message).encode() for message in steady(len(BROKEN), days=1)]
    producer = KafkaProducer(bootstrap_servers=kafka_bootstrap, max_request_size=8 * 1024 * 1024)
    for (_, raw, _), message in zip(BROKEN, good, strict=True):
        producer.send(topic, raw)
        producer.send(topic, message)
    producer.flush()
    producer.close()

    env = environment(tmp_path / "data", kafka_bootstrap=kafka_bootstrap, kafka_topics=topic)
    consumer = Process(["consume", "--name", "broken", "--until-end"], env)
    try:
        assert consumer.wait(200) == 0, consumer.output[-3000:]
    finally:
        consumer.end()
    database = Database(load(env).settings, schema_of("broken"))
    with database.transaction() as connection:
        reasons = Counter(connection.execute(text("SELECT reason FROM rejected")).scalars())
        wordless = connection.execute(text("SELECT count(*) FROM rejected WHERE detail = ''")).scalar()
        largest = connection.execute(text("SELECT max(length(raw)) FROM rejected")).scalar()
        scored = connection.execute(text("SELECT count(*) FROM scores")).scalar()
    database.close()
    assert reasons == Counter(reason for _, _, reason in BROKEN)
    assert wordless == 0
    assert largest <= 4_096
    assert scored == len(good)
