"""Two consumers of `bellwether up` tell Prometheus what they did: together, just what the record holds."""

from __future__ import annotations

import json
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.feeds import steady
from tests.acceptance.processes import Process, environment, ok, run, until, write_feed


@pytest.fixture
def port() -> int:
    """A free port whose next one is free as well."""
    for _ in range(100):
        with socket.create_server(("127.0.0.1", 0)) as first:
            number: int = first.getsockname()[1]
            try:
                with socket.create_server(("127.0.0.1", number + 1)):
                    return number
            except OSError:
                continue
    raise AssertionError("no two ports in a row are free")


@pytest.fixture
def env(port: int, kafka_bootstrap: str, make_topic: Callable[..., str], tmp_path: Path) -> dict[str, str]:
    tmp_path.chmod(0o755)
    return environment(
        tmp_path / "data",
        kafka_bootstrap=kafka_bootstrap,
        kafka_topics=make_topic(4),
        batch_documents="20",
        engine_model="fast",
        metrics_port=str(port),
    )


@pytest.fixture
def up(env: dict[str, str]) -> Iterator[Process]:
    process = Process(["up", "--consumers", "2", "--no-dashboard"], env)
    yield process
    print(process.output[-4000:])
    process.end()


def told(port: int) -> Counter[str]:
    """Name and outcome → value, summed over the rest of the labels."""
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(httpx.get(f"http://127.0.0.1:{port}/metrics").text):
        for sample in family.samples:
            found[f"{sample.name} {sample.labels.get('outcome', '')}".strip()] += sample.value
    return found


def both(port: int) -> Counter[str]:
    return told(port) + told(port + 1)


@pytest.mark.kafka
@pytest.mark.timeout(300)
def test_figures_of_all_consumers_are_what_the_record_holds(
    up: Process, env: dict[str, str], port: int, tmp_path: Path
) -> None:
    def listening() -> bool:
        try:
            return bool(told(port) and told(port + 1))
        except httpx.TransportError:
            return False

    until(listening, seconds=90, what="figures of both consumers")
    messages = steady(300, days=1)
    copies = [{**message, "id": f"copy of {message['id']}"} for message in messages[:100]]
    feed = write_feed(tmp_path / "feed.jsonl", [*messages, *copies, *messages[:30], b"no JSON", b"{}"])
    ok(["produce", "--topic", env["BELLWETHER_KAFKA_TOPICS"], str(feed)], env)

    def arrived() -> Counter[str] | None:
        now = both(port)
        return now if now["bellwether_commit_delay_seconds_count"] >= 432 else None

    found = until(arrived, seconds=90, what="all messages in the record")
    status = json.loads(ok(["status", "--json"], env))
    assert found["bellwether_messages_total scored"] == status["scored"]
    assert found["bellwether_messages_total unscored"] == status["unscored"]
    assert found["bellwether_messages_total repeated"] == 30
    assert found["bellwether_messages_total rejected"] == status["rejected"] == 2
    assert status["documents"] == 400
    # Every one of the stored texts was looked for, and of four plain ones that come again and again some were there.
    assert found["bellwether_score_cache_requests_total"] >= 400
    assert 100 < found["bellwether_score_cache_hits_total"] < found["bellwether_score_cache_requests_total"]

    third = run(["consume", "--metrics-port", str(port)], env)
    assert third.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in third.stderr.decode().splitlines()[-1]
    assert up.stop() == 0, up.output
    # What each says at its end adds up to the same.
    ended = re.findall(r"ended: (\d+) documents .*, (\d+) repeated, (\d+) rejected", up.output)
    assert len(ended) == 2
    assert [sum(map(int, each)) for each in zip(*ended, strict=True)] == [400, 30, 2]
