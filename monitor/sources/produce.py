"""An archive onto Kafka, so that what is read from there is what a replay of the archive reads."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from monitor.documents import Document, Rejected
from monitor.errors import ArchiveError, BrokerError
from monitor.settings import Settings
from monitor.sources.archive import Entry, read_feeds
from monitor.sources.broker import connected
from monitor.sources.event_time import header
from monitor.sources.topics import ensure_topics

log = logging.getLogger(__name__)

IN_FLIGHT = 10_000
"""Messages that may wait for the broker's word: the library itself sets no bound to what it holds in memory."""

OVERHEAD = 200
"""Bytes that Kafka counts beside a message and its key: the batch's head, the record's, our header."""

PATIENCE = 60.0
"""Seconds the library tries to deliver a message before it gives up, a restart of the broker included."""


@dataclass(slots=True)
class Counts:
    """What was done with an archive.

    Attributes:
        documents: good messages handed to Kafka.
        broken: messages handed to Kafka that will be rejected when they are read.
        skipped: messages too large to be sent.
        acknowledged: messages that Kafka has confirmed to hold.
    """

    documents: int = 0
    broken: int = 0
    skipped: int = 0
    acknowledged: int = 0

    @property
    def sent(self) -> int:
        """Messages handed to Kafka."""
        return self.documents + self.broken


def produce(
    feeds: Sequence[Path],
    settings: Settings,
    *,
    topic: str | None = None,
    partitions: int | None = None,
    rate: float | None = None,
    limit: int | None = None,
    progress: Callable[[int, int, Counts], None] = lambda _position, _size, _counts: None,
) -> Counts:
    """Write archives, merged by event time, onto Kafka and wait until it holds all of it.

    JSON lines go out byte for byte, broken ones too; rows of other formats as JSON objects. A good message that names
    no source is given the archive's name, which it would get in a replay. Messages about one company (the first of
    `symbols`), or else of one author, share a key and so keep their order. Each carries the latest event time written
    so far (`event_time.EVENT_TIME_HIGH`). Retries neither lose nor repeat a message within one run; run again after a
    failure, it writes everything again, which changes nothing in the record.

    Args:
        topic: where to; by default news to the first of `kafka.topics` and comments to the last.
        partitions: make topics that are missing, with so many partitions.
        rate: messages a second at most.
        limit: messages at most.
        progress: told now and then of bytes read, bytes there are (0: not known) and the counts so far.

    Raises:
        ArchiveError: an archive cannot be opened or read; what came before is on Kafka.
        BrokerError: Kafka is not reached, lacks a topic, or took only some of it; the message says how many.
    """
    kafka = settings.kafka
    news, comments = (topic, topic) if topic else (kafka.topics[0], kafka.topics[-1])
    with read_feeds(feeds, settings.sources) as feed:
        sending = _Sending(settings, ensure_topics(kafka, [news, comments], partitions))
        try:
            started = time.monotonic()
            high: datetime | None = None
            for number, entry in enumerate(feed.entries()):
                if number == limit:
                    break
                content = entry.content
                if isinstance(content, Document):
                    high = content.published_at if high is None else max(high, content.published_at)
                to = comments if isinstance(content, Document) and content.kind == "comment" else news
                sending.send(to, entry, [header(high)] if high else [])
                if number % 500 == 0:
                    progress(feed.position, feed.size, sending.counts)
                if rate:
                    time.sleep(max(0.0, (number + 1) / rate - (time.monotonic() - started)))
            sending.finish()
            progress(feed.position, feed.size, sending.counts)
        except ArchiveError:
            sending.finish()
            raise
        finally:
            sending.close()
    return sending.counts


class _Sending:
    """The producer and the messages under way."""

    def __init__(self, settings: Settings, limits: Mapping[str, int]) -> None:
        self._limits = limits
        self._bootstrap = settings.kafka.bootstrap
        self._producer = connected(
            KafkaProducer,
            settings.kafka,
            acks="all",
            enable_idempotence=True,
            delivery_timeout_ms=round(PATIENCE * 1000),
            linger_ms=20,
            batch_size=min(64 * 1024, *limits.values()),
            max_request_size=max(limits.values()) + (1 << 20),
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
        self._under_way: deque[Any] = deque()
        self.counts = Counts()

    def send(self, topic: str, entry: Entry, headers: list[tuple[str, bytes]]) -> None:
        """Hand a message over; waits while too many are under way."""
        raw, key = entry.raw, key_of(entry.content)
        if isinstance(entry.content, Document):
            raw = with_source(raw, entry.content.source)
        size = entry.content.size if isinstance(entry.content, Rejected) else len(raw)
        # The broker's own refusal would come too late: to an idempotent producer it is fatal.
        if size > len(raw) or size + len(key or b"") + OVERHEAD > self._limits[topic]:
            if not self.counts.skipped:
                log.warning(
                    "not sent: a message of %d bytes is too large for topic %s; others are counted", size, topic
                )
            self.counts.skipped += 1
            return
        try:
            sent = self._producer.send(topic, value=raw, key=key, headers=headers)
        except KafkaError as error:
            raise self._failed(error) from None
        self._under_way.append(sent)
        if isinstance(entry.content, Document):
            self.counts.documents += 1
        else:
            self.counts.broken += 1
        while len(self._under_way) > IN_FLIGHT or (self._under_way and self._under_way[0].is_done):
            self._confirm(self._under_way.popleft())

    def finish(self) -> None:
        """Wait until Kafka has confirmed everything."""
        try:
            self._producer.flush(timeout=PATIENCE)
        except KafkaError as error:
            raise self._failed(error) from None
        while self._under_way:
            self._confirm(self._under_way.popleft())

    def _confirm(self, sent: Any) -> None:
        try:
            sent.get(timeout=PATIENCE)
        except KafkaError as error:
            raise self._failed(error) from None
        self.counts.acknowledged += 1

    def _failed(self, error: KafkaError) -> BrokerError:
        self.counts.acknowledged += sum(sent.succeeded() for sent in self._under_way)
        return BrokerError(
            f"Kafka at {self._bootstrap} confirmed {self.counts.acknowledged} of {self.counts.sent} messages, then "
            f"failed ({type(error).__name__}); see that it runs and start again: what is stored twice counts once"
        )

    def close(self) -> None:
        """Let go of the producer; what is not confirmed by now is given up."""
        if not all(sent.is_done for sent in self._under_way):
            # Its close() would first wait for all of it once more.
            self._producer._sender.force_close()
            self._producer._sender.join(2)
        with suppress(KafkaError):
            self._producer.close(timeout=2)


def key_of(content: Document | Rejected) -> bytes | None:
    """What decides the partition: the company, else the author, else the document; None for a broken message."""
    if isinstance(content, Rejected):
        return None
    if content.symbols:
        return content.symbols[0].encode()
    return f"{content.source}/{content.author or content.id}".encode()


def with_source(raw: bytes, source: str) -> bytes:
    """The message with its source named, if it names none; else the very same bytes."""
    fields = json.loads(raw) if b'"source"' in raw or b"\\u" in raw else {}
    if (fields.get("source") or "").strip():
        return raw
    return json.dumps(json.loads(raw) | {"source": source}, ensure_ascii=False).encode()
