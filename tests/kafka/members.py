"""A member of a consumer group as the tests drive it: it remembers what it read and stores offsets as we do."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from types import TracebackType

from kafka import KafkaProducer

from monitor.settings import Settings, load
from monitor.sources.broker import Partition
from monitor.sources.kafka import KafkaSource, RawMessage


def kafka_settings(bootstrap: str, topic: str, group: str | None = None, **more: object) -> Settings:
    """Settings for a topic on a broker, with a group of their own; keyword arguments are keys of [kafka]."""
    values = {"bootstrap": bootstrap, "topics": topic, "group": group or f"group-{uuid.uuid4().hex[:8]}"} | more
    return load({}, {f"kafka.{key}": str(value) for key, value in values.items()}).settings


def send(bootstrap: str, topic: str, values: list[str], partition: int | None = None) -> None:
    """Write texts onto a topic and wait until the broker has them."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, delivery_timeout_ms=30_000)
    try:
        for value in values:
            producer.send(topic, value=value.encode(), partition=partition)
        producer.flush(timeout=30)
    finally:
        producer.close(timeout=5)


class Member:
    """Reads with a `KafkaSource`; `stored` may be shared by the members of a group."""

    def __init__(self, settings: Settings, stored: dict[Partition, int] | None = None, **options: bool) -> None:
        self.stored = {} if stored is None else stored
        self.messages: list[RawMessage] = []
        self.told: list[tuple[str, list[Partition]]] = []
        self.source = KafkaSource(settings, on_assigned=self._assigned, on_revoked=self._revoked, **options)

    def _assigned(self, partitions: list[Partition]) -> Mapping[Partition, int]:
        self.told.append(("assigned", partitions))
        return {partition: self.stored[partition] for partition in partitions if partition in self.stored}

    def _revoked(self, partitions: list[Partition]) -> None:
        self.told.append(("revoked", partitions))

    def poll(self, timeout: float = 0.2) -> list[RawMessage]:
        found = self.source.poll(timeout)
        self.messages += found
        for message in found:
            self.stored[message.topic, message.partition] = message.offset + 1
        return found

    @property
    def texts(self) -> list[str]:
        return [(message.value or b"").decode() for message in self.messages]

    def __enter__(self) -> Member:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.source.close()


def until(done: Callable[[], bool], *members: Member, seconds: float = 30.0) -> float:
    """Poll the members in turn until it is so; returns the seconds it took, fails when it takes too long."""
    started = time.monotonic()
    while not done():
        assert time.monotonic() - started < seconds, f"not within {seconds} s"
        for member in members:
            member.poll(0.1)
    return time.monotonic() - started
