"""From Kafka to committed rows, beside the engine alone on the same texts, in one run.

Both sides score the same documents in batches of the same size with the same models, turn by turn, so a
machine that speeds up or slows down does it to both. The pipeline's clock runs from its first committed batch
to its last: joining the group and loading the models are start-up, not speed.
"""

from __future__ import annotations

import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from monitor.bench import members
from monitor.bench.memory import peak_megabytes
from monitor.consumer import Consumer
from monitor.documents import Document
from monitor.errors import BrokerError, InputError
from monitor.records import PREFIX, drop
from monitor.settings import Settings
from monitor.sources.archive import read_feeds
from monitor.sources.produce import produce
from monitor.store import migrate
from monitor.store.database import Database
from monitor.store.writer import Written
from monitor.understand.reader import Reader

WARM = 20
"""Messages that go before a trickle is measured."""


@dataclass(frozen=True)
class Result:
    """Rates are documents per second; one entry a round.

    Attributes:
        share: median over the rounds of the pipeline's rate over the engine's.
        cached: the pipeline's rate with `engine.cache`, empty at first; the two above are without it.
        remembered: share of its texts whose scores were remembered.
        members: consumer processes → their rate together.
        trickle: `rate` (messages a second), `messages`, and seconds from poll to commit: `median`, `p99`, `most`.
    """

    documents: int
    rounds: int
    batch: int
    engine: list[float]
    pipeline: list[float]
    share: float
    cached: list[float]
    remembered: float
    members: dict[int, float]
    trickle: dict[str, float] | None
    peak_memory_mb: float

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def measure(
    settings: Settings,
    feed: Path,
    *,
    documents: int,
    rounds: int,
    rate: float = 0.0,
    seconds: float = 30.0,
    consumers: int = 1,
) -> Result:
    """Run the comparison. Needs a broker at `kafka.bootstrap`; makes and drops records of its own.

    Args:
        rate: messages a second of a trickle that is measured at the end, for so many `seconds`; 0: none.
        consumers: with more than one, one and so many processes of `bellwether consume` are compared as well.

    Raises:
        InputError: the feed holds too few documents that can be used.
        BrokerError, DatabaseUnavailable, BundleError: as the parts do.
    """
    with read_feeds((feed,), settings.sources) as records:
        found = [record.content for record in records if isinstance(record.content, Document)][:documents]
    size = settings.batch.documents
    if len(found) < 3 * size:
        raise InputError(f"{feed} holds {len(found)} usable documents; {3 * size} are needed at batch.documents={size}")
    # What is remembered would make the second round another one than the first.
    plain = settings.model_copy(update={"engine": settings.engine.model_copy(update={"cache": 0})})
    reader = Reader(plain.engine)
    reader.read(found[:size])  # the first batch pays for warming up
    engine: list[float] = []
    pipeline: list[float] = []
    cached: list[float] = []
    for _ in range(rounds):
        engine.append(_engine_alone(reader, found, size))
        pipeline.append(_pipeline(plain, reader, feed, len(found)))
        remembering = _warmed(settings, found[: 2 * size])
        before = remembering.engine.remembered
        cached.append(_pipeline(settings, remembering, feed, len(found)))
        asked, remembered = (now - then for now, then in zip(remembering.engine.remembered, before, strict=True))
    return Result(
        documents=len(found),
        rounds=rounds,
        batch=size,
        engine=engine,
        pipeline=pipeline,
        share=statistics.median(p / e for p, e in zip(pipeline, engine, strict=True)),
        cached=cached,
        remembered=remembered / max(1, asked),
        members=_members(plain, feed, len(found), consumers) if consumers > 1 else {},
        trickle=_trickle(plain, reader, feed, rate, seconds) if rate else None,
        peak_memory_mb=peak_megabytes(),
    )


def _engine_alone(reader: Reader, found: list[Document], size: int) -> float:
    asked = reader.asked(found)
    started = time.perf_counter()
    for start in range(0, len(asked), size):
        part = asked[start : start + size]
        reader.engine.score([one.body for one in part], [one.lang for one in part], [one.aimed for one in part])
    return len(asked) / (time.perf_counter() - started)


def _warmed(settings: Settings, some: Sequence[Document]) -> Reader:
    """A reader whose kernels are made, by texts with their words backwards: it remembers none of the feed."""
    reader = Reader(settings.engine)
    asked = reader.asked(some)
    reader.engine.score([" ".join(reversed(one.body.split())) for one in asked], [one.lang for one in asked])
    return reader


@contextmanager
def _of_its_own(settings: Settings) -> Iterator[tuple[Settings, str, Database]]:
    """A topic, a group and a record that nobody else uses."""
    tag = uuid.uuid4().hex[:8]
    topic = f"bench-{tag}"
    kafka = settings.kafka.model_copy(update={"topics": [topic], "group": topic})
    database = Database(settings, f"{PREFIX}bench_{tag}")
    migrate.upgrade(database)
    try:
        yield settings.model_copy(update={"kafka": kafka}), topic, database
    finally:
        drop(database)
        database.close()


def _pipeline(settings: Settings, reader: Reader, feed: Path, documents: int) -> float:
    with _of_its_own(settings) as (own, topic, database):
        produce((feed,), own, topic=topic, partitions=2, limit=documents)
        marks: list[tuple[float, int]] = []

        def note(written: Written) -> None:
            marks.append((time.perf_counter(), written.documents + written.repeated + written.rejected))

        Consumer(own, database, lambda: reader, until_end=True, on_batch=note).run()
        first = marks[0][0]
        return sum(count for _, count in marks[1:]) / (marks[-1][0] - first)


def _members(settings: Settings, feed: Path, documents: int, consumers: int) -> dict[int, float]:
    """What one process writes and what several do, each reading from a topic of as many partitions."""
    rates = {}
    for count in (1, consumers):
        with _of_its_own(settings) as (own, _, database):
            name = database.schema.removeprefix(PREFIX)
            rates[count] = members.measure(
                own, database, feed, name=name, documents=documents, partitions=consumers, count=count
            )
    return rates


def _trickle(settings: Settings, reader: Reader, feed: Path, rate: float, seconds: float) -> dict[str, float]:
    """Seconds from poll to commit when messages come one by one."""
    count = round(rate * seconds)
    with _of_its_own(settings) as (own, topic, database):
        produce((feed,), own, topic=topic, partitions=2, limit=WARM)
        delays: list[float] = []
        consumer = Consumer(own, database, lambda: reader, on_commit=delays.extend)
        thread = threading.Thread(target=consumer.run)
        thread.start()
        try:
            _until(lambda: len(delays) >= WARM)
            # The same messages come again: they are new to nobody, so take another stretch of the feed.
            produce((feed,), own, topic=topic, rate=rate, limit=WARM + count)
            _until(lambda: len(delays) >= 2 * WARM + count)
            ordered = sorted(delays[-count:])
        finally:
            consumer.stop()
            thread.join()
    return {
        "rate": rate,
        "messages": count,
        "median": ordered[count // 2],
        "p99": ordered[-1 - count // 100],
        "most": ordered[-1],
    }


def _until(reached: Callable[[], bool], patience: float = 120.0) -> None:
    deadline = time.monotonic() + patience
    while not reached():
        if time.monotonic() > deadline:
            raise BrokerError("the messages of the trickle did not arrive")
        time.sleep(0.05)
