"""The same documents give the same alerts: at any batch size, in one process or through Kafka with two consumers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.feeds import with_crisis
from tests.acceptance.processes import Process, environment, ok, write_feed


@pytest.mark.kafka
@pytest.mark.timeout(400)
def test_batch_size_and_consumers_do_not_change_an_alert(
    kafka_bootstrap: str, make_topic: Callable[..., str], tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    messages = with_crisis(900, days=5, crisis=60)
    # Some stragglers, too: a few within the lateness that is allowed, a few far beyond it.
    for i in range(40, len(messages), 90):
        messages[i], messages[i - 2] = messages[i - 2], messages[i]
    messages.insert(500, messages.pop(300))
    feed = write_feed(tmp_path / "feed.jsonl", messages)
    topic = make_topic(3)
    env = environment(tmp_path / "data", kafka_bootstrap=kafka_bootstrap, kafka_topics=topic)
    results = {}
    for size in ("1000", "37"):
        out = tmp_path / f"alerts-{size}.jsonl"
        ok(
            ["replay", str(feed), "--name", f"by{size}", "--alerts", str(out)],
            env | {"BELLWETHER_BATCH_DOCUMENTS": size},
        )
        results[size] = out.read_bytes()

    ok(["produce", "--topic", topic, str(feed)], env)
    consumers = [Process(["consume", "--name", "kafka", "--until-end"], env) for _ in range(2)]
    try:
        assert [consumer.wait(200) for consumer in consumers] == [0, 0], "\n".join(c.output[-2000:] for c in consumers)
    finally:
        for consumer in consumers:
            consumer.end()
    ok(["schedule", "--once", "--name", "kafka"], env)
    ok(["alerts", "--name", "kafka", "--out", str(tmp_path / "kafka.jsonl")], env)
    results["kafka"] = (tmp_path / "kafka.jsonl").read_bytes()

    alerts = [json.loads(line) for line in results["1000"].splitlines()]
    assert any("/BA/" in alert["series"] for alert in alerts), "the crisis raised no alert"
    assert all(alert["resolved_at"] for alert in alerts)
    assert results["37"] == results["1000"]
    assert results["kafka"] == results["1000"]
