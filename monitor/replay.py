"""An archive through the whole pipeline, into a schema of its own (or, as a backfill, into the live record).

The archive is one stream with one partition; its offset is stored like any other, so a replay that was
stopped goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from monitor.documents import Document, Received
from monitor.pipeline import read_all
from monitor.store import positions
from monitor.store.database import Database
from monitor.store.writer import Batch, Writer, Written
from monitor.understand.reader import Reader

GROUP = "archive"


class Replay:
    """Writes one stream of an archive, batch by batch.

    Args:
        database: the record to write to; its tables must be there.
        reader: the models.
        stream: the name the archive's offsets are stored under.
        size: documents a batch.
        pace: event seconds that pass in one second; None: as fast as it goes.
    """

    def __init__(
        self,
        database: Database,
        reader: Reader,
        writer: Writer,
        *,
        stream: str,
        size: int,
        pace: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = database
        self._reader = reader
        self._writer = writer
        self._partition = (stream, 0)
        self._size = size
        self._pace = pace
        self._sleep = sleep
        self._started: tuple[datetime, float] | None = None

    def stored(self) -> int | None:
        """The record number to go on at; None: nothing of this stream is stored."""
        with self._database.transaction() as connection:
            positions.register(connection, GROUP, [self._partition])
            return positions.offsets(connection, GROUP, [self._partition]).get(self._partition)

    def run(self, records: Iterable[Received], begin: int | None) -> Iterator[Written]:
        """Write the records (those from `begin` on), yielding after each committed batch."""
        for batch in self._batches(records):
            following = batch[-1].origin.offset + 1
            yield self._writer.write(
                Batch(read_all(batch, self._reader), {self._partition: begin}, {self._partition: following})
            )
            begin = following

    def close(self) -> None:
        """Note that the archive is at its end: every minute may be closed."""
        with self._database.transaction() as connection:
            positions.close(connection, GROUP, [self._partition])

    def _batches(self, records: Iterable[Received]) -> Iterator[list[Received]]:
        batch: list[Received] = []
        for record in records:
            delay = self._delay(record)
            if delay > 0:
                # What came before is shown before we wait: a paced replay is watched.
                if batch:
                    yield batch
                    batch = []
                self._sleep(delay)
            batch.append(record)
            if len(batch) >= self._size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _delay(self, record: Received) -> float:
        """Seconds to wait until a record is due."""
        if self._pace is None or not isinstance(record.content, Document):
            return 0.0
        at = record.content.published_at
        if self._started is None:
            self._started = at, time.monotonic()
        first, started = self._started
        return (at - first).total_seconds() / self._pace - (time.monotonic() - started)
