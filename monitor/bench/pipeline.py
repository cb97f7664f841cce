"""From Kafka to committed rows, beside the engine alone on the same texts, in one run.

Both sides score the same documents in batches of the same size with the same models, turn by turn, so a
machine that speeds up or slows down does it to both. The pipeline's clock runs from its first committed batch
to its last: joining the group and loading the models are start-up, not speed.
"""

from __future__ import annotations

import statistics
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from monitor.bench.memory import peak_megabytes
from monitor.consumer import Consumer
from monitor.documents import Document
from monitor.errors import InputError
from monitor.records import PREFIX, drop
from monitor.settings import Settings
from monitor.sources.archive import read_feeds
from monitor.sources.produce import produce
from monitor.store import migrate
from monitor.store.database import Database
from monitor.store.writer import Written
from monitor.understand.reader import Reader


@dataclass(frozen=True)
class Result:
    """Rates are documents per second; one entry a round."""

    documents: int
    rounds: int
    batch: int
    engine: list[float]
    pipeline: list[float]
    share: float
    peak_memory_mb: float

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def measure(settings: Settings, feed: Path, *, documents: int, rounds: int) -> Result:
    """Run the comparison. Needs a broker at `kafka.bootstrap`; makes and drops a record of its own.

    Raises:
        InputError: the feed holds too few documents that can be used.
        BrokerError, DatabaseUnavailable, BundleError: as the parts do.
    """
    with read_feeds((feed,), settings.sources) as records:
        found = [record.content for record in records if isinstance(record.content, Document)][:documents]
    size = settings.batch.documents
    if len(found) < 3 * size:
        raise InputError(f"{feed} holds {len(found)} usable documents; {3 * size} are needed at batch.documents={size}")
    reader = Reader(settings.engine)
    reader.read(found[:size])  # the first batch pays for warming up
    engine: list[float] = []
    pipeline: list[float] = []
    for _ in range(rounds):
        engine.append(_engine_alone(reader, found, size))
        pipeline.append(_pipeline(settings, reader, feed, len(found)))
    return Result(
        documents=len(found),
        rounds=rounds,
        batch=size,
        engine=engine,
        pipeline=pipeline,
        share=statistics.median(p / e for p, e in zip(pipeline, engine, strict=True)),
        peak_memory_mb=peak_megabytes(),
    )


def _engine_alone(reader: Reader, found: list[Document], size: int) -> float:
    asked = reader.asked(found)
    started = time.perf_counter()
    for start in range(0, len(asked), size):
        part = asked[start : start + size]
        reader.engine.score([one.body for one in part], [one.lang for one in part], [one.aimed for one in part])
    return len(asked) / (time.perf_counter() - started)


def _pipeline(settings: Settings, reader: Reader, feed: Path, documents: int) -> float:
    tag = uuid.uuid4().hex[:8]
    topic = f"bench-{tag}"
    kafka = settings.kafka.model_copy(update={"topics": [topic], "group": topic})
    own = settings.model_copy(update={"kafka": kafka})
    database = Database(settings, f"{PREFIX}bench_{tag}")
    migrate.upgrade(database)
    try:
        produce((feed,), own, topic=topic, partitions=2, limit=documents)
        marks: list[tuple[float, int]] = []

        def note(written: Written) -> None:
            marks.append((time.perf_counter(), written.documents + written.repeated + written.rejected))

        Consumer(own, database, lambda: reader, until_end=True, on_batch=note).run()
        first = marks[0][0]
        return sum(count for _, count in marks[1:]) / (marks[-1][0] - first)
    finally:
        drop(database)
        database.close()
