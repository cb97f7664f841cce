"""How fast several consumers of one group are together, each a `bellwether consume` of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sqlalchemy import text

from monitor.errors import BrokerError
from monitor.settings import Settings, variable
from monitor.sources.produce import produce
from monitor.store.database import Database

WARM = 50
"""Messages that go before the clock runs, to see that all are at work."""
_PATIENCE = 180.0
_SILENCE = 5.0
"""Seconds without a commit after which no more come: the feed names some documents twice."""
_CHANGE = re.compile(r"monitor\.sources\.kafka: (no longer )?reading (.*)")


def measure(
    settings: Settings, database: Database, feed: Path, *, name: str, documents: int, partitions: int, count: int
) -> float:
    """Documents per second of `count` consumers, each new: it makes its kernels as it goes.

    Args:
        settings: whose `kafka.topics` is one topic alone, which is made here, with so many `partitions`.
        database: the record of the replay `name`, empty.
        documents: of the feed, so many.

    Raises:
        BrokerError: a consumer ended, or the messages did not arrive; with its last words.
    """
    (topic,) = settings.kafka.topics
    produce((feed,), settings, topic=topic, partitions=partitions, limit=WARM)
    with ExitStack() as stack:
        members = [stack.enter_context(_member(topic, name)) for _ in range(count)]
        _until(lambda: _shared(members, partitions) and _stored(database) > 0, members)
        warmed = _settled(database)
        # The clock runs from when all is on Kafka: until then writing takes its share of the cores.
        sent = produce((feed,), settings, topic=topic, limit=documents).documents
        _until(lambda: _stored(database) > warmed, members)
        begun, first = time.perf_counter(), _stored(database)
        ended, last = begun, first
        while last < sent and time.perf_counter() - ended < _SILENCE:
            time.sleep(0.02)
            if (now := _stored(database)) > last:
                ended, last = time.perf_counter(), now
    if last == first:
        raise BrokerError(f"{documents} documents are too few to measure {count} consumers with")
    return (last - first) / (ended - begun)


@contextmanager
def _member(topic: str, name: str) -> Iterator[_Member]:
    with tempfile.TemporaryFile() as log:
        # They cannot all listen on one port.
        own = {variable("kafka.topics"): topic, variable("engine.cache"): "0", variable("metrics.port"): "0"}
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and command
            [sys.executable, "-m", "monitor.cli", "consume", "--name", name],
            env=os.environ | own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        try:
            yield _Member(process, log)
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True)
class _Member:
    process: subprocess.Popen[bytes]
    log: IO[bytes]

    @property
    def words(self) -> str:
        """What it has said."""
        return os.pread(self.log.fileno(), 1 << 20, 0).decode("utf-8", "replace")

    @property
    def last_words(self) -> str:
        """The end of it, on one line."""
        return " ".join(self.words[-300:].split())


def _shared(members: Sequence[_Member], partitions: int) -> bool:
    """Whether the partitions are shared out evenly, by what the members have said."""
    return all(len(held(member.words)) == partitions // len(members) for member in members)


def held(words: str) -> set[str]:
    """The partitions that a consumer reads, by its log: each line names only those that came or went."""
    now: set[str] = set()
    for gone, names in _CHANGE.findall(words):
        change = set(names.split(", "))
        now = now - change if gone else now | change
    return now


def _settled(database: Database) -> int:
    """Documents that are there once no more come."""
    seen, since = _stored(database), time.monotonic()
    while time.monotonic() - since < 2:
        time.sleep(0.1)
        if (now := _stored(database)) != seen:
            seen, since = now, time.monotonic()
    return seen


def _stored(database: Database) -> int:
    with database.transaction() as connection:
        return int(connection.execute(text("SELECT count(*) FROM documents")).scalar_one())


def _until(reached: Callable[[], bool], members: Sequence[_Member]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not reached():
        for member in members:
            if (status := member.process.poll()) is not None:
                raise BrokerError(f"a consumer ended with status {status}: {member.last_words}")
        if time.monotonic() > deadline:
            said = " | ".join(member.last_words for member in members)
            raise BrokerError(f"{len(members)} consumers did not get through in {_PATIENCE:.0f} s; they said: {said}")
        time.sleep(0.05)
