"""From Kafka into the record: one member of the consumer group.

Three threads. The one that owns the Kafka client polls and fills a buffer; it never does slow work, so the
member keeps its place in the group however long a batch takes, and when the buffer is full it pauses its
partitions and goes on polling. The second takes batches from the buffer through decoding and understanding,
the third through the batch transaction, so that the models work while Postgres does. Postgres decides where
each partition is read from: on assignment the stored offsets are sought, and a batch whose offsets were moved
by somebody else is dropped and read again from there.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from monitor.documents import Origin, ShadowScore
from monitor.errors import DatabaseUnavailable, PartitionLost
from monitor.pipeline import shadow, understand
from monitor.settings import Settings
from monitor.sources.kafka import KafkaSource, RawMessage
from monitor.store import positions
from monitor.store.database import Database
from monitor.store.positions import Partition
from monitor.store.writer import Batch, Read, Writer, Written
from monitor.understand.reader import Reader

log = logging.getLogger(__name__)
POLL = 0.2  # seconds one poll waits at most: also the longest a signal waits to be heard
REPORT = 2.0  # seconds between notes that partitions were read to their end, and commits for lag tools


class Consumer:
    """Reads documents from Kafka, scores and stores them, until it is stopped or everything is read.

    Args:
        settings: the tree.
        database: the record to write to; its tables must be there.
        newest: gives the reader for the next batch; it is asked before each one.
        until_end: read what is there now, close the partitions and return, instead of waiting for more.
        on_batch: called after each committed batch, from the working thread.
        on_commit: called after that with the seconds from the poll that brought a message to the commit that stored
            it, for each message of the batch.

    Attributes:
        total: what was written so far.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        newest: Callable[[], Reader],
        *,
        until_end: bool = False,
        on_batch: Callable[[Written], None] = lambda _: None,
        on_commit: Callable[[Sequence[float]], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._newest = newest
        self._group = settings.kafka.group
        self._until_end = until_end
        self._on_batch = on_batch
        self._on_commit = on_commit
        self._writer = Writer(database, self._group, settings.detection.lateness)
        self._stop = threading.Event()
        self._written_off = threading.Event()  # nobody takes understood batches any more
        self._understood: queue.Queue[Batch | None] = queue.Queue(maxsize=1)
        # What the threads share, guarded by the condition.
        self._changed = threading.Condition()
        self._buffer: deque[RawMessage] = deque()
        self._in_hand: list[set[Partition]] = []  # of each batch between the buffer and the record
        self._polled: deque[list[float]] = deque()  # when the messages of each of these came
        self._committed: dict[Partition, int | None] = {}  # what the record holds
        self._taken: dict[Partition, int | None] = {}  # where the next batch begins
        self._resync: set[Partition] = set()
        self._failure: BaseException | None = None
        # What only the polling thread touches.
        self._paused = False
        self._registered: set[Partition] = set()
        self.total = Written()

    @property
    def waiting(self) -> int:
        """Messages read ahead that no batch has taken yet."""
        return len(self._buffer)

    def stop(self) -> None:
        """Ask to finish the batch in hand and leave. May be called from a signal handler."""
        self._stop.set()

    def run(self) -> Written:
        """Consume; returns what was written.

        Raises:
            BrokerError: Kafka cannot be reached at the start.
            DatabaseUnavailable: Postgres cannot be reached at the start.
        """
        source = KafkaSource(self._settings, on_assigned=self._assigned, on_revoked=self._revoked)
        try:
            threads = [
                threading.Thread(target=self._guarded, args=(work,), name=work.__name__.strip("_"), daemon=True)
                for work in (self._understand, self._write)
            ]
            for thread in threads:
                thread.start()
            try:
                self._poll(source)
            finally:
                self._stop.set()
                with self._changed:
                    self._changed.notify_all()
                for thread in threads:
                    thread.join()
                self._commit(source)
        finally:
            source.close()
        if self._failure is not None:
            raise self._failure
        return self.total

    # --- the polling thread ---

    def _poll(self, source: KafkaSource) -> None:
        full = self._settings.batch.documents * self._settings.batch.ahead
        reported = 0.0
        while not self._stop.is_set() and self._failure is None:
            messages = source.poll(POLL, limit=self._settings.batch.documents)
            with self._changed:
                self._buffer.extend(message for message in messages if partition_of(message) not in self._resync)
                waiting = len(self._buffer)
                self._changed.notify_all()
            if not self._paused and waiting >= full:
                source.pause()
                self._paused = True
            elif self._paused and waiting < full // 2 + 1:
                source.resume()
                self._paused = False
            self._seek_again(source)
            if time.monotonic() - reported >= REPORT:
                reported = time.monotonic()
                self._commit(source)
                try:
                    self._report(source)
                except DatabaseUnavailable as error:
                    log.debug("not noted: %s", error)

    def _assigned(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Where to read newly assigned partitions from: Postgres is the truth."""
        partitions = list(partitions)
        stored = self._stored(partitions)
        with self._changed:
            for partition in partitions:
                self._begin_at(partition, stored.get(partition))
                self._resync.discard(partition)
        log.info(
            "reading %s",
            ", ".join(f"{t}[{p}] from {stored.get((t, p), 0)}" for t, p in sorted(partitions)) or "nothing",
        )
        return stored

    def _revoked(self, partitions: Iterable[Partition]) -> None:
        """Forget what was read ahead; wait, within reason, for the batch in hand so that it is not wasted."""
        gone = set(partitions)
        deadline = time.monotonic() + self._settings.kafka.session_timeout / 3
        with self._changed:
            self._drop(gone)
            while any(hand & gone for hand in self._in_hand) and time.monotonic() < deadline:
                self._changed.wait(timeout=0.1)
            for partition in gone:
                self._forget(partition)
                self._resync.discard(partition)

    def _seek_again(self, source: KafkaSource) -> None:
        """Go back to the stored offsets where a batch was dropped."""
        with self._changed:
            again = set(self._resync)
        if not again:
            return
        stored = self._stored(again)
        owned = again & set(source.assignment())
        for partition in owned:
            source.seek(partition, stored.get(partition, 0))
        with self._changed:
            self._drop(again)
            for partition in again:
                if partition in owned:
                    self._begin_at(partition, stored.get(partition))
                else:
                    self._forget(partition)
            self._resync -= again

    def _begin_at(self, partition: Partition, offset: int | None) -> None:
        self._committed[partition] = self._taken[partition] = offset

    def _forget(self, partition: Partition) -> None:
        self._committed.pop(partition, None)
        self._taken.pop(partition, None)

    def _stored(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        def look() -> dict[Partition, int]:
            with self._database.transaction() as connection:
                return positions.offsets(connection, self._group, partitions)

        return self._database.persist(look, what="the consumer", stopping=self._stop.is_set)

    def _commit(self, source: KafkaSource) -> None:
        """Tell Kafka how far we are. Nothing depends on it but the tools that show lag."""
        with self._changed:
            offsets = {partition: offset for partition, offset in self._committed.items() if offset is not None}
        source.commit(offsets)

    def _report(self, source: KafkaSource) -> None:
        """Note which partitions were read to their end, and leave when that was all we came for."""
        caught_up = source.caught_up()
        with self._changed:
            busy = {partition_of(message) for message in self._buffer}.union(self._resync, *self._in_hand)
            # Nothing read ahead and nothing in hand: what stood before the end is in the record.
            standing = {
                partition: self._committed[partition]
                for partition, there in caught_up.items()
                if there and partition in self._committed and partition not in busy
            }
        there_are = set(source.partitions())
        with self._database.transaction() as connection:
            if there_are - self._registered:
                positions.register(connection, self._group, there_are)
            positions.mark_caught_up(connection, self._group, standing)
            self._registered = there_are
            if not self._until_end:
                return
            positions.close(connection, self._group, standing)
            topics = set(self._settings.kafka.topics)
            every = [row for row in positions.read(connection, self._group) if row.topic in topics]
        if every and all(row.closed for row in every):
            self._stop.set()

    # --- the threads that work ---

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except DatabaseUnavailable:
            log.warning("stopped while Postgres was away; what was not stored will be read again")
        except BaseException as error:
            self._failure = error
            log.critical("the consumer stops: %s", error, exc_info=True)
        finally:
            self._stop.set()

    def _understand(self) -> None:
        """Batches from the buffer to the writing thread; None tells it that there are no more."""
        try:
            while (taken := self._take()) is not None:
                messages, begin = taken
                # One reader for the whole batch: a new one takes over between two.
                reader = self._newest()
                reads = understand(messages, reader, self._settings)
                self._hand_over(_batch(reads, begin, shadow(reads, reader)))
        finally:
            self._hand_over(None)

    def _hand_over(self, batch: Batch | None) -> None:
        while not self._written_off.is_set():
            with suppress(queue.Full):
                self._understood.put(batch, timeout=0.5)
                return

    def _write(self) -> None:
        try:
            while (batch := self._understood.get()) is not None:
                self._store(batch)
                now = time.monotonic()
                with self._changed:
                    self._in_hand.pop(0)
                    polled = self._polled.popleft()
                    self._changed.notify_all()
                self._on_commit([now - came for came in polled])
        finally:
            self._written_off.set()

    def _take(self) -> tuple[list[RawMessage], dict[Partition, int | None]] | None:
        """The next batch, whatever is there up to `batch.documents`, and the stored offsets it begins at.

        It waits for no more: in a trickle each message is written at once, and while a batch is computed the next one
        gathers, the larger the busier it is, so that there is nothing to tune.

        None when it is time to leave. The offsets are taken down here, not when the batch is written: a partition
        that goes and comes back in between has others. They are those the batch before it will leave behind; should
        that one be lost, the comparison of offsets in the record refuses this one, too.
        """
        size = self._settings.batch.documents
        with self._changed:
            while not self._buffer:
                if self._stop.is_set():
                    return None
                self._changed.wait(timeout=0.5)
            if self._stop.is_set():
                return None
            messages = [self._buffer.popleft() for _ in range(min(size, len(self._buffer)))]
            following = {partition_of(message): message.offset + 1 for message in messages}
            begin = {partition: self._taken[partition] for partition in following}
            self._taken.update(following)
            self._in_hand.append(set(following))
            self._polled.append([message.polled for message in messages])
            return messages, begin

    def _store(self, batch: Batch) -> None:
        """Write a batch, without the partitions that turn out to be another consumer's."""
        while batch.reads:
            try:
                written = self._database.persist(
                    lambda batch=batch: self._writer.write(batch),  # type: ignore[misc]
                    what="the consumer",
                    stopping=self._stop.is_set,
                )
            except PartitionLost as error:
                log.info("%s", error)
                lost = set(error.lost)
                with self._changed:
                    self._resync |= lost & self._committed.keys()
                    self._drop(lost)
                kept = [read for read in batch.reads if _partition(read.received.origin) not in lost]
                batch = _batch(kept, batch.begin, batch.shadows)
                continue
            with self._changed:
                for partition, offset in batch.next.items():
                    if partition in self._committed:
                        self._committed[partition] = offset
            self.total += written
            self._on_batch(written)
            return

    def _drop(self, partitions: set[Partition]) -> None:
        self._buffer = deque(message for message in self._buffer if partition_of(message) not in partitions)


def partition_of(message: RawMessage) -> Partition:
    """The partition a message came from."""
    return message.topic, message.partition


def _batch(reads: list[Read], begin: Mapping[Partition, int | None], shadows: Sequence[ShadowScore]) -> Batch:
    following: dict[Partition, int] = {}
    for read in reads:
        following[_partition(read.received.origin)] = read.received.origin.offset + 1
    return Batch(reads, {partition: begin[partition] for partition in following}, following, shadows)


def _partition(origin: Origin) -> Partition:
    return origin.topic, origin.partition
