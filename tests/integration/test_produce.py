"""An archive onto the real Kafka: what is read from there is what is read from the archive."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient

from monitor.documents import Document, Rejected
from monitor.errors import ArchiveError, BrokerError
from monitor.settings import Settings
from monitor.sources.archive import open_archive
from monitor.sources.broker import bounds
from monitor.sources.decode import decode
from monitor.sources.kafka import RawMessage
from monitor.sources.produce import Counts, produce
from tests.broken import BROKEN
from tests.broker import Broker, free_port
from tests.kafka.fixtures import create_topic
from tests.kafka.members import Member, kafka_settings, until

pytestmark = pytest.mark.kafka


def row(number: int, **more: Any) -> dict[str, Any]:
    minute = f"2024-07-01T{number // 60 % 24:02}:{number % 60:02}:00Z"
    return {"id": f"n{number}", "published_at": minute, "text": f"Shares fell {number}"} | more


def saved(path: Path, rows: list[dict[str, Any] | bytes]) -> Path:
    path.write_bytes(
        b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in rows)
    )
    return path


def consumed(settings: Settings, count: int) -> list[RawMessage]:
    with Member(settings) as member:
        until(lambda: len(member.messages) >= count, member)
        until(lambda: all(member.source.caught_up().values()), member)
        assert len(member.messages) == count
        return member.messages


def decoded(message: RawMessage, settings: Settings) -> Document | Rejected:
    now = datetime.now(UTC)
    return decode(message.value, default_source=message.topic, settings=settings.sources, now=now)


def test_what_is_read_from_kafka_is_what_is_read_from_the_archive(
    kafka_bootstrap: str, make_topic: Callable[..., str], tmp_path: Path
):
    settings = kafka_settings(kafka_bootstrap, make_topic(3))
    broken = [raw for _, raw, reason in BROKEN if reason not in ("empty", "too-large") and b"\n" not in raw]
    rows: list[dict[str, Any] | bytes] = [row(number, symbols=[f"S{number % 7}"]) for number in range(300)]
    rows += [row(number, id=None, source=None) for number in range(300, 320)]
    rows += [row(320, source="wire", note="原文"), row(321, source=" ", kind="comment"), *broken]
    path = saved(tmp_path / "wire-2024.jsonl", rows)
    seen: list[tuple[int, int, int]] = []
    counts = produce(
        [path], settings, progress=lambda position, size, so_far: seen.append((position, size, so_far.sent))
    )
    assert counts == Counts(documents=322, broken=len(broken), acknowledged=322 + len(broken))
    assert seen[-1] == (path.stat().st_size, path.stat().st_size, 322 + len(broken))

    messages = consumed(settings, len(rows))
    from_kafka = [decoded(message, settings) for message in messages]
    with open_archive(path, settings.sources) as archive:
        from_archive = [received.content for received in archive]
    documents = {item.key: item for item in from_archive if isinstance(item, Document)}
    assert {item.key: item for item in from_kafka if isinstance(item, Document)} == documents
    assert len(documents) == 322
    reasons = [
        sorted(item.reason for item in side if isinstance(item, Rejected)) for side in (from_kafka, from_archive)
    ]
    assert reasons[0] == reasons[1]
    # Byte for byte, but for the source of messages that name none.
    assert set(broken) <= {message.value for message in messages}
    assert json.dumps(rows[320]).encode() in {message.value for message in messages}


def test_messages_of_one_company_keep_their_order_and_say_how_far_the_feed_has_come(
    kafka_bootstrap: str, make_topic: Callable[..., str], tmp_path: Path
):
    settings = kafka_settings(kafka_bootstrap, make_topic(4))
    rows: list[dict[str, Any] | bytes] = [row(number, symbols=[f"S{number % 11}", "X"]) for number in range(1_000)]
    # Times go back now and then: the header is the latest so far, not this message's.
    rows += [row(5, id=f"late{number}", author=f"a{number % 3}") for number in range(60)]
    produce([saved(tmp_path / "a.jsonl", rows)], settings)
    messages = consumed(settings, len(rows))
    partitions: dict[str, set[int]] = defaultdict(set)
    order: dict[str, list[int]] = defaultdict(list)
    for message in messages:
        document = decoded(message, settings)
        assert isinstance(document, Document)
        key = document.symbols[0] if document.symbols else document.author or ""
        partitions[key].add(message.partition)
        order[key].append(int(document.id.removeprefix("n").removeprefix("late")))
        if document.id.startswith("n"):
            assert message.event_time_high == document.published_at
        else:
            assert message.event_time_high == datetime(2024, 7, 1, 16, 39, tzinfo=UTC)
    assert len(order) == 14
    assert all(len(found) == 1 for found in partitions.values())
    assert len(set.union(*partitions.values())) > 1
    assert all(numbers == sorted(numbers) for numbers in order.values())


def test_comments_go_to_the_last_topic_unless_one_is_named(
    kafka_bootstrap: str, make_topic: Callable[..., str], tmp_path: Path
):
    news, comments, other = make_topic(), make_topic(), make_topic()
    settings = kafka_settings(kafka_bootstrap, f"{news},{comments},{other}")
    two = kafka_settings(kafka_bootstrap, f"{news},{comments}")
    rows: list[dict[str, Any] | bytes] = [row(1), row(2, kind="comment"), row(3, kind="comment"), b"broken"]
    path = saved(tmp_path / "a.jsonl", rows)
    produce([path], two)
    produce([path], two, topic=other, limit=3)
    assert {topic: end for (topic, _), (_, end) in bounds(settings.kafka).items()} == {news: 2, comments: 2, other: 3}


def test_missing_topic_is_named_or_made(kafka_bootstrap: str, tmp_path: Path):
    topic = f"made-{time.time_ns()}"
    settings = kafka_settings(kafka_bootstrap, topic)
    path = saved(tmp_path / "a.jsonl", [row(number) for number in range(10)])
    with pytest.raises(BrokerError, match=f"has no topic {topic}; create it, let --partitions N create it"):
        produce([path], settings)
    assert produce([path], settings, partitions=3).acknowledged == 10
    assert sorted(bounds(settings.kafka)) == [(topic, 0), (topic, 1), (topic, 2)]
    # Topics that are there are left as they are.
    assert produce([path], settings, partitions=9).acknowledged == 10
    assert len(bounds(settings.kafka)) == 3


def test_message_too_large_for_us_or_for_the_topic_is_left_out_and_counted(
    kafka_bootstrap: str, make_topic: Callable[..., str], tmp_path: Path
):
    settings = kafka_settings(kafka_bootstrap, make_topic(1, **{"max.message.bytes": "50000"}))
    rows: list[dict[str, Any] | bytes] = [row(1), row(2, text="x" * 2_000_000), row(3, text="x" * 100_000), row(4)]
    counts = produce([saved(tmp_path / "a.jsonl", rows)], settings)
    assert counts == Counts(documents=2, broken=0, skipped=2, acknowledged=2)
    assert [json.loads(message.value or b"")["id"] for message in consumed(settings, 2)] == ["n1", "n4"]


def test_rate_is_kept(kafka_bootstrap: str, make_topic: Callable[..., str], tmp_path: Path):
    settings = kafka_settings(kafka_bootstrap, make_topic())
    path = saved(tmp_path / "a.jsonl", [row(number) for number in range(50)])
    started = time.monotonic()
    produce([path], settings, rate=40)
    assert time.monotonic() - started >= 50 / 40


def test_archive_cut_off_leaves_what_came_before_on_kafka(
    kafka_bootstrap: str, make_topic: Callable[..., str], tmp_path: Path
):
    import gzip
    import random

    settings = kafka_settings(kafka_bootstrap, make_topic())
    maker = random.Random(1)
    rows: list[dict[str, Any] | bytes] = [row(number, text=str(maker.getrandbits(999))) for number in range(500)]
    whole = gzip.compress(saved(tmp_path / "a.jsonl", rows).read_bytes())
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArchiveError, match=r"cut off \(after \d+ records\)") as caught:
        produce([path], settings)
    ((_, end),) = bounds(settings.kafka).values()
    assert end > 100
    assert f"(after {end} records)" in str(caught.value)


def test_broker_killed_in_the_middle_gets_every_message_once_when_it_is_back(private_broker: Broker, tmp_path: Path):
    settings = kafka_settings(private_broker.bootstrap, create_topic(private_broker.bootstrap, 3))
    rows: list[dict[str, Any] | bytes] = [row(number, symbols=[f"S{number % 5}"]) for number in range(6_000)]
    path = saved(tmp_path / "a.jsonl", rows)
    killed = threading.Event()

    def kill(_position: int, _size: int, counts: Counts) -> None:
        if counts.sent >= 2_000 and not killed.is_set():
            killed.set()
            private_broker.kill()
            threading.Timer(1.0, private_broker.start).start()

    counts = produce([path], settings, progress=kill)
    assert killed.is_set()
    assert counts == Counts(documents=6_000, acknowledged=6_000)
    ids = [json.loads(message.value or b"")["id"] for message in consumed(settings, 6_000)]
    assert sorted(ids) == sorted(f"n{number}" for number in range(6_000))


def test_broker_that_stays_away_ends_it_with_the_number_that_arrived(
    private_broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("monitor.sources.produce.PATIENCE", 11.0)
    settings = kafka_settings(private_broker.bootstrap, create_topic(private_broker.bootstrap))
    path = saved(tmp_path / "a.jsonl", [row(number) for number in range(3_000)])

    def kill(_position: int, _size: int, counts: Counts) -> None:
        if counts.sent >= 1_000:
            private_broker.kill()

    with pytest.raises(BrokerError, match=r"confirmed \d+ of \d+ messages, then failed") as caught:
        produce([path], settings, rate=2_000, progress=kill)
    assert "what is stored twice counts once" in str(caught.value)


def run(*arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "monitor.cli", *arguments],
        input=stdin,
        capture_output=True,
        timeout=60,
        env=os.environ | environment,
        check=False,
    )


def test_command_reads_standard_input_and_says_what_it_did(kafka_bootstrap: str, make_topic: Callable[..., str]):
    topic = make_topic()
    lines = io.BytesIO(b"".join(json.dumps(row(number)).encode() + b"\n" for number in range(100)) + b"broken\n")
    done = run("produce", "--topic", topic, "-", stdin=lines.getvalue(), BELLWETHER_KAFKA_BOOTSTRAP=kafka_bootstrap)
    assert done.returncode == 0, done.stderr
    assert b"101 messages are on Kafka: 100 good, 1 broken" in done.stderr
    settings = kafka_settings(kafka_bootstrap, topic)
    assert list(bounds(settings.kafka).values()) == [(0, 101)]


@pytest.mark.parametrize("what", ["broker", "file", "topic"])
def test_command_fails_in_one_line(what: str, kafka_bootstrap: str, tmp_path: Path):
    path = saved(tmp_path / "a.jsonl", [row(1)])
    bootstrap = f"127.0.0.1:{free_port()}" if what == "broker" else kafka_bootstrap
    feed = str(tmp_path / "none.jsonl") if what == "file" else str(path)
    done = run(
        "produce",
        "--topic",
        "no-such-topic",
        feed,
        BELLWETHER_KAFKA_BOOTSTRAP=bootstrap,
        BELLWETHER_KAFKA_TIMEOUT="2",
    )
    assert done.returncode == 1
    lines = [line for line in done.stderr.decode().splitlines() if line.startswith("bellwether: ")]
    words = {"broker": "did not answer within 2 s", "file": "there is no such file", "topic": "has no topic"}
    assert len(lines) == 1
    assert words[what] in lines[0]
    assert b"Traceback" not in done.stderr


def test_nothing_is_left_behind_in_the_group(kafka_bootstrap: str, make_topic: Callable[..., str], tmp_path: Path):
    # Producing joins no group and commits nothing: a service's offsets are its own.
    settings = kafka_settings(kafka_bootstrap, make_topic())
    produce([saved(tmp_path / "a.jsonl", [row(1)])], settings)
    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    groups = {group["group_id"] for group in admin.list_groups()}
    admin.close()
    assert settings.kafka.group not in groups
