"""The middle of the way: raw messages to documents, documents to what they say."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from monitor.documents import Document, Origin, Received, ShadowScore
from monitor.settings import Settings
from monitor.sources.decode import decode
from monitor.sources.kafka import RawMessage
from monitor.store.writer import Read
from monitor.understand.reader import Reader


def understand(messages: Iterable[RawMessage], reader: Reader, settings: Settings) -> list[Read]:
    """Decode messages and understand those that can be used."""
    now = datetime.now(UTC)
    received = [
        Received(
            Origin(message.topic, message.partition, message.offset, message.event_time_high),
            decode(message.value, default_source=message.topic, settings=settings.sources, now=now),
        )
        for message in messages
    ]
    return read_all(received, reader)


def read_all(received: list[Received], reader: Reader) -> list[Read]:
    """Understand every usable message; the others pass through."""
    understood = iter(reader.read([item.content for item in received if isinstance(item.content, Document)]))
    return [Read(item, next(understood) if isinstance(item.content, Document) else None) for item in received]


def shadow(reads: list[Read], reader: Reader) -> list[ShadowScore]:
    """What the models in shadow mode say of the documents of a batch. Never raises."""
    good = [
        (read.received.content, read.understanding)
        for read in reads
        if isinstance(read.received.content, Document) and read.understanding is not None
    ]
    return reader.shadow([document for document, _ in good], [understanding for _, understanding in good])
