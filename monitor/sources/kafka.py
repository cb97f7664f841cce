"""Reads messages from Kafka as a member of a consumer group whose offsets are kept by somebody else.

kafka-python runs heartbeats and rebalancing on a thread of its own and calls its listener there. Nothing of ours runs
on that thread but noting what happened: a newly assigned partition is paused on the spot, and the caller's thread,
in its next `poll`, asks for the stored offset, seeks and lets it run. So the caller's callbacks may take their time,
and no message is ever handed out from a place nobody chose.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import CorruptRecordError, IllegalStateError, KafkaError, RetriableError

from monitor.errors import BrokerError
from monitor.settings import Settings
from monitor.sources.broker import Partition, broker_errors, connected, log_bounds, refused, start, translated
from monitor.sources.event_time import HeaderReader
from monitor.sources.reachability import Reachability
from monitor.sources.rejoin import keep_joins

log = logging.getLogger(__name__)

_LOOKUP_SECONDS = 5.0
_RETRY_SECONDS = 2.0
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class RawMessage:
    """One message as Kafka holds it; `value` is None for a tombstone, `polled` when we got it (monotonic seconds)."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    event_time_high: datetime | None = None
    polled: float = 0.0


class KafkaSource:
    """A member of a consumer group, from construction to `close()`. Not thread-safe.

    Args:
        settings: sections kafka and sources are used.
        group: name of the group; `kafka.group` by default.
        on_assigned: given partitions that became ours; returns their stored offsets (those it has none for left out:
            they are read from the first message the log still holds). It is called from `poll`; what it raises comes
            out of `poll`, and it is asked again in the next one.
        on_revoked: given partitions that are no longer ours, some of whose messages may still be in work. Called from
            `poll` and `close`, always after `on_assigned` told of them.
        require_topics: refuse to start while one of the topics does not exist, instead of waiting for it.

    Raises:
        BrokerError: Kafka is not reached within `kafka.timeout`, refuses us, or lacks a required topic.
        SettingsError: the settings cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        group: str | None = None,
        on_assigned: Callable[[list[Partition]], Mapping[Partition, int]],
        on_revoked: Callable[[list[Partition]], None],
        require_topics: bool = False,
    ) -> None:
        self._settings = settings.kafka
        self._group = group or settings.kafka.group
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._header = HeaderReader(settings.sources)
        self._events: deque[tuple[bool, list[TopicPartition]]] = deque()
        self._held: set[TopicPartition] = set()  # assigned, not yet sought
        self._owned: dict[TopicPartition, int] = {}  # being read, with the end of the log when reading began
        self._paused = False
        self._committing: dict[TopicPartition, OffsetAndMetadata] = {}
        self._reachability = Reachability(settings.kafka.bootstrap)
        self._missing: set[str] = set()
        self._retry_at = 0.0
        self._consumer: KafkaConsumer | None = self._joined()
        if require_topics and self._missing:
            self.close()
            raise BrokerError(
                f"Kafka at {self._settings.bootstrap} has no topic {', '.join(sorted(self._missing))}; "
                "create it or change kafka.topics (BELLWETHER_KAFKA_TOPICS)"
            )

    # --- reading -----------------------------------------------------------------------------------------------------

    def poll(self, timeout: float, limit: int = 500) -> list[RawMessage]:
        """Messages of our partitions, in order within each; call it often, also while paused.

        It keeps the membership alive (at least one call in five minutes) and runs the callbacks. While the broker is
        away it returns nothing and goes on by itself when it is back.

        Args:
            timeout: seconds to wait for the first message; a lookup at the broker may add a few.
            limit: messages at most.

        Raises:
            BrokerError: the broker refuses us, or a record of the log is damaged.
        """
        consumer = self._consumer or self._rejoined(timeout)
        if consumer is None:
            return []
        self._watch(consumer)
        self._handle_events()
        if self._held:
            asked = sorted(self._held)
            found = self._attempt(lambda: log_bounds(consumer, asked, _LOOKUP_SECONDS))
            if found is None:
                return []
            self._settle(consumer, found)
        records = self._attempt(lambda: consumer.poll(timeout_ms=round(timeout * 1000), max_records=limit)) or {}
        # What was revoked while polling is another member's now: it will read these messages too.
        self._handle_events()
        now = time.monotonic()
        return [
            RawMessage(at.topic, at.partition, record.offset, record.value, self._header.read(record.headers), now)
            for at, found in records.items()
            if at in self._owned
            for record in found
        ]

    def _attempt(self, work: Callable[[], Answer]) -> Answer | None:
        """Ask the library for something; None if that cannot be had now."""
        try:
            return work()
        except RetriableError as error:
            log.debug("will be tried again: %s", error)
            time.sleep(0.05)
        except CorruptRecordError as error:
            raise BrokerError(f"Kafka at {self._settings.bootstrap} holds a damaged record: {error}") from None
        except Exception as error:  # whatever it is: no code but the library's runs here
            if refused(error):
                raise translated(error, self._settings) from None
            self._leave_behind(error)
        return None

    def pause(self) -> None:
        """Fetch no more, for back-pressure, also of partitions yet to be assigned; go on calling `poll`."""
        self._paused = True
        self._apply(KafkaConsumer.pause, self._owned)

    def resume(self) -> None:
        """Fetch again."""
        self._paused = False
        self._apply(KafkaConsumer.resume, self._owned)

    def seek(self, partition: Partition, offset: int | None) -> None:
        """Read a partition of ours from `offset` on (None: from its first message); one not ours is left alone."""
        at = TopicPartition(*partition)
        if self._consumer is not None and at in self._owned:
            with suppress(ValueError, KeyError):
                if offset is None:
                    self._consumer.seek_to_beginning(at)
                else:
                    self._consumer.seek(at, offset)

    @property
    def lost(self) -> bool:
        """Whether no broker is reached at this moment."""
        return self._reachability.lost

    def assignment(self) -> list[Partition]:
        """The partitions being read by this member."""
        return sorted(_pair(at) for at in self._owned)

    def partitions(self) -> list[Partition]:
        """All partitions of the topics, whoever reads them, as last heard (at most some seconds ago)."""
        if self._consumer is None:
            return []
        return [(topic, number) for topic in self._settings.topics for number in sorted(self._numbers(topic))]

    def caught_up(self) -> dict[Partition, bool]:
        """For each partition being read: has everything the broker had at the last fetch been handed out?

        Costs nothing. While paused, or while the broker is lost, nobody knows: it is False.
        """
        return {_pair(at): self._at_end(at, end) for at, end in self._owned.items()}

    def _at_end(self, at: TopicPartition, end: int) -> bool:
        if self._consumer is None or self._paused or self.lost:
            return False
        with suppress(KeyError, AttributeError, IllegalStateError):  # it was revoked this very moment
            high = self._consumer.highwater(at)
            # The public position() would wait for the broker when another partition has no position yet.
            reached = self._consumer._subscription.position(at).offset
            return bool(reached >= (end if high is None else high))
        return False

    def end_offsets(self) -> dict[Partition, int]:
        """The offset the next message of each partition will get, asked of the broker now.

        Raises:
            BrokerError: the broker does not answer within seconds.
        """
        if self._consumer is None:
            raise BrokerError(f"Kafka at {self._settings.bootstrap} is not reachable")
        wanted = [TopicPartition(*partition) for partition in self.partitions()]
        with broker_errors(self._settings):
            found = self._consumer.end_offsets(wanted, timeout_ms=_LOOKUP_SECONDS * 1000) if wanted else {}
        return {_pair(at): int(end) for at, end in found.items()}

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Tell Kafka how far we are. Nothing relies on it: it neither waits nor fails."""
        ours = {TopicPartition(*partition): OffsetAndMetadata(offset) for partition, offset in offsets.items()}
        ours = {at: offset for at, offset in ours.items() if at in self._owned}
        if self._consumer is None or not ours:
            return
        self._committing |= ours
        try:
            self._consumer.commit_async(ours, callback=_committed)
        except (KafkaError, RuntimeError) as error:
            log.debug("offsets were not committed to Kafka: %s", error)

    def close(self) -> None:
        """Leave the group, so that the others take over at once."""
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            return
        if self._committing and not self.lost:
            with suppress(KafkaError, RuntimeError):
                consumer.commit(self._committing, timeout_ms=2_000)
        _closed(consumer)
        self._revoke(list(self._owned))
        self._events.clear()
        self._held.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # --- membership --------------------------------------------------------------------------------------------------

    def _joined(self) -> KafkaConsumer:
        session = round(self._settings.session_timeout * 1000)
        consumer = connected(
            KafkaConsumer,
            self._settings,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            partition_assignment_strategy=[CooperativeStickyAssignor],
            session_timeout_ms=session,
            heartbeat_interval_ms=min(3_000, session // 3),
            allow_auto_create_topics=False,
            metadata_max_age_ms=5_000,  # new topics and partitions are found this soon
            fetch_max_bytes=16 * 1024 * 1024,
            metrics_enabled=False,
        )
        keep_joins(consumer)
        try:
            with broker_errors(self._settings):
                missing = set(self._settings.topics) - consumer.topics()
                consumer.subscribe(self._settings.topics, listener=_Listener(consumer, self._events))
        except Exception:
            _closed(consumer)
            raise
        self._note_missing(missing)
        return consumer

    def _rejoined(self, timeout: float) -> KafkaConsumer | None:
        """A new client after the old one broke, tried with pauses."""
        wait = self._retry_at - time.monotonic()
        if wait > 0:
            time.sleep(min(wait, timeout))
            return None
        try:
            self._consumer = self._joined()
        except BrokerError as error:
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            log.debug("Kafka client not up again: %s", error)
            return None
        log.info("Kafka client is up again")
        return self._consumer

    def _leave_behind(self, error: Exception) -> None:
        """Give up a client that broke in a way it does not recover from; the next `poll` makes another."""
        log.error("the Kafka client failed and is started anew: %s: %s", type(error).__name__, error)
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            _closed(consumer)
        self._events.clear()
        self._held.clear()
        self._revoke(list(self._owned))

    def _handle_events(self) -> None:
        while self._events:
            assigned, partitions = self._events.popleft()
            if assigned:
                self._held |= set(partitions)
            else:
                self._held -= set(partitions)
                self._revoke(partitions)

    def _revoke(self, partitions: Iterable[TopicPartition]) -> None:
        gone = [at for at in partitions if self._owned.pop(at, None) is not None]
        for at in gone:
            self._committing.pop(at, None)
        if gone:
            log.info("no longer reading %s", _names(gone))
            self._on_revoked(sorted(_pair(at) for at in gone))

    def _settle(self, consumer: KafkaConsumer, new: Mapping[TopicPartition, tuple[int, int]]) -> None:
        """Take newly assigned partitions up at their stored offsets."""
        stored = self._on_assigned([_pair(at) for at in new])
        for at, (first, end) in new.items():
            self._held.discard(at)
            self._owned[at] = end
            with suppress(ValueError, KeyError):  # it was revoked at once: the event is on its way
                consumer.seek(at, _start(at, stored.get(_pair(at)), first, end))
                if not self._paused:
                    consumer.resume(at)
        log.info("reading %s", _names(new))

    def _apply(self, action: Callable[..., None], partitions: Collection[TopicPartition]) -> None:
        for at in partitions:
            if self._consumer is not None:
                with suppress(KeyError):
                    action(self._consumer, at)

    def _watch(self, consumer: KafkaConsumer) -> None:
        self._reachability.observe(any(link.connected for link in list(consumer._manager._conns.values())))
        if self._missing:
            self._note_missing({topic for topic in self._missing if not self._numbers(topic)})

    def _numbers(self, topic: str) -> Collection[int]:
        """Partition numbers in the library's copy of the metadata; its public method would wait for the broker."""
        return (self._consumer._cluster.partitions_for_topic(topic) if self._consumer else None) or ()

    def _note_missing(self, missing: set[str]) -> None:
        if missing - self._missing:
            log.warning("waiting for topic %s, which does not exist yet", ", ".join(sorted(missing)))
        self._missing = missing


class _Listener(ConsumerRebalanceListener):
    """Runs on the library's thread: stops new partitions at once and leaves the rest to `poll`."""

    def __init__(self, consumer: KafkaConsumer, events: deque[tuple[bool, list[TopicPartition]]]) -> None:
        self._consumer = consumer
        self._events = events

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._consumer.pause(*assigned)
        self._events.append((True, list(assigned)))

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._events.append((False, list(revoked)))


def _start(at: TopicPartition, stored: int | None, first: int, end: int) -> int:
    if stored is not None and stored < first:
        log.warning("%s: %d messages were deleted by retention before they were read", _names([at]), first - stored)
    elif stored is not None and stored > end:
        log.warning(
            "%s ends at %d, before the stored offset %d: it was made anew, reading it whole", _names([at]), end, stored
        )
    return start(stored, first, end)


def _committed(_: Any, response: Any) -> None:
    if isinstance(response, Exception):
        log.debug("offsets were not committed to Kafka: %s", response)


def _closed(consumer: KafkaConsumer) -> None:
    with suppress(KafkaError, RuntimeError, OSError):
        consumer.close(autocommit=False, timeout_ms=3_000)


def _pair(at: TopicPartition) -> Partition:
    return at.topic, at.partition


def _names(partitions: Iterable[TopicPartition]) -> str:
    return ", ".join(f"{at.topic}[{at.partition}]" for at in sorted(partitions))
