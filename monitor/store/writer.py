"""The batch transaction: where "effectively once" is kept, to be read in one sitting.

One batch is one transaction. In it, in this order,

1. the clock's row is locked for sharing, so the watermark cannot pass while late documents are told apart;
2. the offset of every partition in the batch is locked and compared with the one the batch began at; where
   they differ another consumer has written these messages, and nothing of the batch is kept (`PartitionLost`);
3. documents go through a staging table (`COPY`); `identities` decides which of them are new;
4. the new ones, their scores (of the text and toward its companies), and the roll-ups computed from just these
   rows are inserted;
5. rejected messages are inserted; 6. the offsets are moved.

A process killed at any moment has either committed all of it or none, and the offset says which. A message
that comes again finds its identity taken and changes nothing. Rows are locked in one order everywhere
(clock, positions, identities by key, roll-ups by key), so consumers cannot deadlock.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from monitor.documents import Document, Origin, Received, Rejected, Sentiment, ShadowScore, Understanding
from monitor.errors import PartitionLost
from monitor.store import positions
from monitor.store.database import Database
from monitor.store.partitions import Partitions
from monitor.store.positions import Partition, Position
from monitor.store.shadow import insert_shadow_scores

MINUTE = timedelta(minutes=1)
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """A message that went through decoding and, if it could be used, understanding."""

    received: Received
    understanding: Understanding | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction takes.

    `begin` and `next` give, for each partition, the offset the batch began at and the one after its last
    message (offsets may have gaps, so neither can be told from the messages alone). `begin` None: the
    partition was never read before. `shadows` are kept for the documents that are new.
    """

    reads: Sequence[Read]
    begin: Mapping[Partition, int | None]
    next: Mapping[Partition, int]
    shadows: Sequence[ShadowScore] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """What a batch added: new documents, how many of them scored and late, repeats, and rejected messages.

    `cut` are scored documents with a text longer than the model reads.
    """

    documents: int = 0
    scored: int = 0
    late: int = 0
    repeated: int = 0
    rejected: int = 0
    cut: int = 0

    def __add__(self, other: Written) -> Written:
        return Written(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


class Writer:
    """Writes batches into one record for one consumer group."""

    def __init__(self, database: Database, group: str, lateness: timedelta) -> None:
        self._database = database
        self._group = group
        self._lateness = lateness
        self._partitions = Partitions(database)

    def write(self, batch: Batch) -> Written:
        """Write a batch.

        Raises:
            PartitionLost: another consumer moved an offset; nothing was kept.
            DatabaseUnavailable: nothing was kept, or all of it if the server went away during the commit. Writing
                the same batch again is right in both cases: a batch that was kept comes back as PartitionLost.
        """
        self._partitions.ensure(
            read.received.content.published_at for read in batch.reads if isinstance(read.received.content, Document)
        )
        with self._database.transaction() as connection:
            watermark = connection.execute(text("SELECT watermark FROM clock FOR SHARE")).scalar()
            held = self._hold(connection, batch)
            highs = {partition: position.event_time_high for partition, position in held.items()}
            rows = self._rows(batch.reads, watermark, highs)
            new = _insert_documents(connection, rows)
            _insert_company_scores(connection, (rows[key] for key in new))
            insert_shadow_scores(connection, batch.shadows, new)
            _insert_rollups(connection, rollup(rows[key] for key in new))
            refused = _insert_rejected(connection, batch.reads)
            self._move(connection, batch, highs)
        added = [rows[key] for key in new]
        good = sum(isinstance(read.received.content, Document) for read in batch.reads)
        return Written(
            documents=len(added),
            scored=sum(row.understanding.sentiment is not None for row in added),
            late=sum(row.late for row in added),
            repeated=good - len(added),
            rejected=refused,
            cut=sum(row.understanding.cut for row in added),
        )

    def _hold(self, connection: Connection, batch: Batch) -> dict[Partition, Position]:
        """Lock the positions of the batch and compare them with where it began."""
        positions.register(connection, self._group, batch.next)
        stored = positions.hold(connection, self._group, batch.next)
        lost = [partition for partition in batch.next if stored[partition].next_offset != batch.begin[partition]]
        if lost:
            raise PartitionLost(sorted(lost))
        return stored

    def _rows(
        self, reads: Sequence[Read], watermark: datetime | None, highs: dict[Partition, datetime | None]
    ) -> dict[UUID, _Row]:
        """The documents of the batch by key, each the first of its identity, told whether it is late.

        Late is what lies in a minute that is closed: before its own partition's watermark as of this message, or
        before the service's. The first depends on the messages alone, so it is the same at any batch size and with
        any number of consumers; the second can only be ahead of it where a partition had been idle.
        `highs` is moved along.
        """
        rows: dict[UUID, _Row] = {}
        for read in reads:
            content, origin = read.received.content, read.received.origin
            if not isinstance(content, Document) or read.understanding is None:
                continue
            partition = (origin.topic, origin.partition)
            high = _latest(highs[partition], content.published_at, origin)
            highs[partition] = high
            bound = high - self._lateness if watermark is None else max(watermark, high - self._lateness)
            minute = content.published_at.replace(second=0, microsecond=0)
            if content.key not in rows:
                rows[content.key] = _Row(content, read.understanding, minute, late=minute + MINUTE <= bound)
        return rows

    def _move(self, connection: Connection, batch: Batch, highs: Mapping[Partition, datetime | None]) -> None:
        for (topic, partition), offset in sorted(batch.next.items()):
            connection.execute(
                text(
                    "UPDATE positions SET next_offset = :offset, event_time_high = :high, last_message_at = now() "
                    'WHERE consumer_group = :group AND topic = :topic AND "partition" = :partition'
                ),
                {
                    "group": self._group,
                    "topic": topic,
                    "partition": partition,
                    "offset": offset,
                    "high": highs[topic, partition],
                },
            )


def _latest(high: datetime | None, published_at: datetime, origin: Origin) -> datetime:
    return max(time for time in (high, published_at, origin.event_time_high) if time is not None)


@dataclass(frozen=True, slots=True)
class _Row:
    document: Document
    understanding: Understanding
    minute: datetime
    late: bool


def rollup(rows: Iterable[_Row]) -> dict[Row, list[int]]:
    """Counts per (minute, topic, company, lang, kind, late): total, negative, neutral, positive, score sum.

    A document counts once in each of its series: everything, each topic, each company, each pair of the two. In those
    of a company it counts with the sentiment toward that company, in the others with the whole text's.
    The score sum is kept in ten-thousandths, a whole number, so that the order of adding cannot matter.
    """
    counts: dict[Row, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for row in rows:
        understanding = row.understanding
        whole = _counted(understanding.sentiment)
        toward = {symbol: _counted(sentiment) for symbol, sentiment in understanding.toward}
        for topic in ("", *(topic.id for topic in understanding.topics)):
            for company in ("", *understanding.companies):
                cell = counts[row.minute, topic, company, understanding.lang, row.document.kind, row.late]
                for i, value in enumerate(toward.get(company, whole)):
                    cell[i] += value
    return counts


def _counted(sentiment: Sentiment | None) -> tuple[int, ...]:
    """What one document adds to a cell: total, negative, neutral, positive, score sum."""
    if sentiment is None:
        return 1, 0, 0, 0, 0
    label = sentiment.label
    return 1, label == "negative", label == "neutral", label == "positive", round(sentiment.score * 10_000)


_STAGED = (
    "published_at timestamptz, key uuid, id text, source text, kind text, title text, text text, lang text, "
    "symbols text[], companies text[], fingerprint bigint, url text, author text, extra jsonb, late boolean, "
    "model text, label text, negative real, neutral real, positive real, topics text[], topic_probabilities real[], "
    "cut boolean"
)
_DOCUMENT = (
    "published_at, key, id, source, kind, title, text, lang, symbols, companies, fingerprint, url, author, extra, late"
)
_SCORE = "published_at, key, model, label, negative, neutral, positive, topics, topic_probabilities, cut"
_COMPANY_SCORE = "published_at, key, company, model, label, negative, neutral, positive"


def _insert_documents(connection: Connection, rows: Mapping[UUID, _Row]) -> list[UUID]:
    """Insert the documents whose identity is new, and their scores; return their keys, in order."""
    if not rows:
        return []
    connection.execute(text(f"CREATE TEMP TABLE IF NOT EXISTS staged ({_STAGED}) ON COMMIT DELETE ROWS"))
    _copy(connection, "staged", (_staged(rows[key]) for key in sorted(rows)))
    new = connection.execute(
        text(
            "WITH new AS (INSERT INTO identities (key, published_at) SELECT key, published_at FROM staged ORDER BY key "
            "ON CONFLICT DO NOTHING RETURNING key), "
            "repeated AS (DELETE FROM staged WHERE NOT EXISTS (SELECT FROM new WHERE new.key = staged.key)) "
            "SELECT key FROM new"
        )
    )
    keys = sorted(UUID(str(row[0])) for row in new)
    connection.execute(text(f"INSERT INTO documents ({_DOCUMENT}) SELECT {_DOCUMENT} FROM staged"))
    connection.execute(text(f"INSERT INTO scores ({_SCORE}) SELECT {_SCORE} FROM staged WHERE model IS NOT NULL"))
    return keys


def _staged(row: _Row) -> Row:
    document, understanding = row.document, row.understanding
    sentiment = understanding.sentiment
    score: Row = (None,) * 7
    if sentiment is not None:
        score = (
            understanding.model,
            sentiment.label,
            sentiment.negative,
            sentiment.neutral,
            sentiment.positive,
            [topic.id for topic in understanding.topics],
            [topic.probability for topic in understanding.topics],
        )
    return (
        document.published_at,
        document.key,
        document.id,
        document.source,
        document.kind,
        document.title,
        document.text,
        understanding.lang,
        list(document.symbols),
        list(understanding.companies),
        understanding.fingerprint,
        document.url,
        document.author,
        json.dumps(document.extra, ensure_ascii=False),
        row.late,
        *score,
        understanding.cut,
    )


def _insert_company_scores(connection: Connection, rows: Iterable[_Row]) -> None:
    """Insert the sentiments toward single companies of documents that are new."""
    scores = (
        (
            row.document.published_at,
            row.document.key,
            company,
            row.understanding.model,
            sentiment.label,
            sentiment.negative,
            sentiment.neutral,
            sentiment.positive,
        )
        for row in rows
        for company, sentiment in row.understanding.toward
    )
    _copy(connection, f"company_scores ({_COMPANY_SCORE})", scores)


def _insert_rollups(connection: Connection, counts: Mapping[Row, list[int]]) -> None:
    if not counts:
        return
    connection.execute(
        text("CREATE TEMP TABLE IF NOT EXISTS staged_rollups (LIKE rollups INCLUDING DEFAULTS) ON COMMIT DELETE ROWS")
    )
    _copy(connection, "staged_rollups", ((*key, *counts[key]) for key in sorted(counts)))
    columns = "minute, topic, company, lang, kind, late, total, negative, neutral, positive, score_sum"
    added = ", ".join(
        f"{name} = rollups.{name} + excluded.{name}"
        for name in ("total", "negative", "neutral", "positive", "score_sum")
    )
    connection.execute(
        text(
            f"INSERT INTO rollups ({columns}) SELECT {columns} FROM staged_rollups "
            "ORDER BY minute, topic, company, lang, kind, late "
            f"ON CONFLICT (minute, topic, company, lang, kind, late) DO UPDATE SET {added}"
        )
    )


def _insert_rejected(connection: Connection, reads: Sequence[Read]) -> int:
    rows = [
        (
            content.reason,
            content.detail,
            content.raw,
            content.size,
            read.received.origin.topic,
            read.received.origin.partition,
            read.received.origin.offset,
        )
        for read in reads
        if isinstance(content := read.received.content, Rejected)
    ]
    _copy(connection, 'rejected (reason, detail, raw, size, topic, "partition", "offset")', rows)
    return len(rows)


def _copy(connection: Connection, target: str, rows: Iterable[Row]) -> None:
    """Send rows with COPY, in its text format."""
    buffer = io.StringIO()
    for row in rows:
        buffer.write("\t".join(map(_field, row)))
        buffer.write("\n")
    if buffer.tell() == 0:
        return
    buffer.seek(0)
    driver = connection.connection.dbapi_connection
    if driver is None:
        raise RuntimeError("the connection is closed")
    cursor = driver.cursor()
    try:
        cursor.copy_expert(f"COPY {target} FROM STDIN", buffer)
    finally:
        cursor.close()


_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_QUOTES = str.maketrans({"\\": r"\\", '"': r"\""})


def _field(value: Any) -> str:
    """A value in COPY's text format.

    >>> _field(None), _field("a\\tb"), _field(["x", 'y"']), _field(b"\\x00")
    ('\\\\N', 'a\\\\tb', '{"x","y\\\\\\\\""}', '\\\\\\\\x00')
    """
    if value is None:
        return r"\N"
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bytes):
        return r"\\x" + value.hex()
    if isinstance(value, list):
        items = (f'"{item.translate(_QUOTES)}"' if isinstance(item, str) else str(item) for item in value)
        return ("{" + ",".join(items) + "}").translate(_ESCAPES)
    return str(value)
