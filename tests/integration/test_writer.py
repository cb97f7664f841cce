"""The batch transaction on a real Postgres."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from monitor.documents import Document, Origin, Received, Rejected, Sentiment, TopicScore, Understanding
from monitor.errors import PartitionLost
from monitor.store import clock, positions
from monitor.store.database import Database
from monitor.store.writer import Batch, Read, Writer, Written

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LATENESS = timedelta(minutes=5)


def read(
    offset: int,
    *,
    at: datetime = NOON,
    id: str | None = None,
    words: str = "Shares fall",
    topics: Sequence[str] = ("markets",),
    companies: Sequence[str] = ("HLVN",),
    partition: int = 0,
    high: datetime | None = None,
    scored: bool = True,
    toward: Mapping[str, Sentiment] | None = None,
) -> Read:
    document = Document(id or str(offset), "wire", "news", at, "", words, symbols=tuple(companies), extra={"n": offset})
    understanding = Understanding(
        "en",
        tuple(companies),
        offset,
        "en@1" if scored else None,
        Sentiment(0.7, 0.2, 0.1) if scored else None,
        tuple(TopicScore(topic, 0.9) for topic in topics) if scored else (),
        tuple((toward or {}).items()),
    )
    return Read(Received(Origin("news", partition, offset, high), document), understanding)


def batch(reads: Sequence[Read], begin: int | None = None) -> Batch:
    last: dict[positions.Partition, int] = {}
    for item in reads:
        origin = item.received.origin
        last[origin.topic, origin.partition] = origin.offset + 1
    return Batch(reads, dict.fromkeys(last, begin), last)


def count(database: Database, what: str) -> int:
    with database.transaction() as connection:
        return int(connection.execute(text(f"SELECT {what}")).scalar() or 0)


def test_batch_lands_whole(database: Database) -> None:
    odd = 'tab\t"quote" \\back\\ new\nline 沧澜 \U0001f4c9 {brace}'
    written = Writer(database, "g", LATENESS).write(batch([read(0), read(1, words=odd, companies=("A\\B", 'C"D'))]))
    assert written == Written(documents=2, scored=2)
    with database.transaction() as connection:
        row = connection.execute(
            text("SELECT text, companies, extra, published_at FROM documents WHERE id = '1'")
        ).one()
        assert tuple(row) == (odd, ["A\\B", 'C"D'], {"n": 1}, NOON)
        score = connection.execute(text("SELECT label, negative, topics, topic_probabilities FROM scores")).first()
        assert score is not None and tuple(score) == ("negative", pytest.approx(0.7), ["markets"], [pytest.approx(0.9)])
        assert positions.offsets(connection, "g", [("news", 0)]) == {("news", 0): 2}


def test_document_counts_once_in_each_of_its_series(database: Database) -> None:
    Writer(database, "g", LATENESS).write(batch([read(0, topics=("macro", "energy"), companies=("A", "B", "C"))]))
    assert count(database, "count(*) FROM rollups") == (1 + 2) * (1 + 3)
    assert count(database, "sum(total) FROM rollups WHERE topic = '' AND company = ''") == 1
    assert count(database, "score_sum FROM rollups WHERE topic = '' AND company = ''") == -6000


GOOD_FOR, BAD_FOR = Sentiment(0.1, 0.1, 0.8), Sentiment(0.9, 0.1, 0.0)


def test_series_of_a_company_count_the_sentiment_toward_it(database: Database) -> None:
    told = {"A": GOOD_FOR, "B": BAD_FOR}
    reads = [read(0, companies=("A", "B"), toward=told), read(1, companies=("A", "B")), read(2, companies=("A",))]
    Writer(database, "g", LATENESS).write(batch(reads))
    with database.transaction() as connection:
        rows = connection.execute(
            text("SELECT company, topic, total, negative, neutral, positive, score_sum FROM rollups ORDER BY 1, 2 DESC")
        ).all()
        kept = connection.execute(text("SELECT company, model, label, positive FROM company_scores ORDER BY 1")).all()
    counts = {
        "": (3, 3, 0, 0, -18_000),
        "A": (3, 2, 0, 1, 7_000 - 12_000),
        "B": (2, 2, 0, 0, -9_000 - 6_000),
    }
    assert [tuple(row) for row in rows] == [
        (company, topic, *counts[company]) for company in ("", "A", "B") for topic in ("markets", "")
    ]
    assert [tuple(row) for row in kept] == [("A", "en@1", "positive", pytest.approx(0.8)), ("B", "en@1", "negative", 0)]


def test_repeated_message_leaves_sentiments_toward_companies_as_they_were(database: Database) -> None:
    writer = Writer(database, "g", LATENESS)
    writer.write(batch([read(0, companies=("A", "B"), toward={"A": GOOD_FOR, "B": BAD_FOR})]))
    again = read(1, id="0", companies=("A", "B"), toward={"A": BAD_FOR, "B": BAD_FOR})
    assert writer.write(batch([again], begin=1)) == Written(repeated=1)
    assert count(database, "count(*) FROM company_scores WHERE label = 'negative'") == 1
    assert count(database, "positive FROM rollups WHERE topic = '' AND company = 'A'") == 1


def test_repeated_message_changes_nothing(database: Database) -> None:
    writer = Writer(database, "g", LATENESS)
    writer.write(batch([read(0), read(1)]))
    written = writer.write(batch([read(2, id="0"), read(3, id="1"), read(4, id="new"), read(5, id="new")], begin=2))
    assert written == Written(documents=1, scored=1, repeated=3)
    assert count(database, "count(*) FROM documents") == 3
    assert count(database, "total FROM rollups WHERE topic = '' AND company = ''") == 3


def test_batch_of_a_lost_partition_leaves_no_trace(database: Database) -> None:
    writer = Writer(database, "g", LATENESS)
    writer.write(batch([read(0)]))
    with pytest.raises(PartitionLost) as caught:
        writer.write(
            Batch(
                [read(0, id="x"), read(7, partition=1)],
                {("news", 0): None, ("news", 1): None},
                {("news", 0): 1, ("news", 1): 8},
            )
        )
    assert caught.value.lost == [("news", 0)]
    assert count(database, "count(*) FROM documents") == 1
    assert count(database, "count(*) FROM positions WHERE partition = 1 AND next_offset IS NOT NULL") == 0


def test_rejected_message_is_kept_with_its_bytes(database: Database) -> None:
    raw = bytes(range(256))
    refused = Read(Received(Origin("news", 0, 9), Rejected("not-json", "line 1", raw, 256)), None)
    written = Writer(database, "g", LATENESS).write(Batch([refused], {("news", 0): None}, {("news", 0): 10}))
    assert written == Written(rejected=1)
    with database.transaction() as connection:
        row = connection.execute(text('SELECT reason, raw, size, "offset" FROM rejected')).one()
        assert (row.reason, bytes(row.raw), row.size, row.offset) == ("not-json", raw, 256, 9)


def test_unscored_document_is_stored_and_counted(database: Database) -> None:
    written = Writer(database, "g", LATENESS).write(batch([read(0, scored=False)]))
    assert written == Written(documents=1, scored=0)
    assert (
        count(database, "sum(total - negative - neutral - positive) FROM rollups WHERE topic = '' AND company = ''")
        == 1
    )


def test_lateness_does_not_depend_on_batches(database: Database, schema: str) -> None:
    times = [0, 3, 9, 2, 4, 20, 14, 15, 16, 60, 1]
    reads = [read(i, at=NOON + timedelta(minutes=m)) for i, m in enumerate(times)]
    late = {}
    for size in (1, 3, 100):
        other = Database(database.settings, f"{schema}_{size}")
        from monitor.store import migrate

        migrate.upgrade(other)
        writer = Writer(other, "g", LATENESS)
        for i in range(0, len(reads), size):
            writer.write(batch(reads[i : i + size], begin=i or None))
        with other.transaction() as connection:
            late[size] = [
                row[0] for row in connection.execute(text("SELECT id::int FROM documents WHERE late ORDER BY 1"))
            ]
            connection.execute(text(f"DROP SCHEMA {other.schema} CASCADE"))
    # 12:09 closes 12:03, 12:20 closes 12:14, 13:00 closes everything before 12:55.
    assert late == {key: [3, 6, 10] for key in (1, 3, 100)}


def test_producers_event_time_closes_a_thin_partition(database: Database) -> None:
    reads = [read(0, at=NOON, high=NOON + timedelta(hours=1)), read(1, at=NOON + timedelta(minutes=30))]
    assert Writer(database, "g", LATENESS).write(batch(reads)).late == 2


def test_document_behind_the_service_watermark_is_late(database: Database) -> None:
    writer = Writer(database, "g", LATENESS)
    writer.write(batch([read(0, at=NOON)]))
    with database.transaction() as connection:
        positions.close(connection, "g", [("news", 0)])
        assert clock.advance(connection, "g", LATENESS, timedelta(minutes=1)).watermark == positions.END_OF_TIME
    assert writer.write(batch([read(1, at=NOON + timedelta(days=1))], begin=1)).late == 1
    assert count(database, "count(*) FROM rollups WHERE late") == 4


def test_unread_partition_holds_the_watermark_back(database: Database) -> None:
    with database.transaction() as connection:
        positions.register(connection, "g", [("news", 0), ("news", 1)])
    Writer(database, "g", LATENESS).write(batch([read(0)]))
    with database.transaction() as connection:
        assert clock.advance(connection, "g", LATENESS, timedelta(minutes=1)).watermark is None
        positions.mark_caught_up(connection, "g", {("news", 1): None})
        assert clock.advance(connection, "g", LATENESS, timedelta(minutes=1)).watermark == NOON - LATENESS


def test_standing_at_the_end_with_uncommitted_messages_is_not_idle(database: Database) -> None:
    Writer(database, "g", LATENESS).write(batch([read(0)]))
    with database.transaction() as connection:
        positions.mark_caught_up(connection, "g", {("news", 0): 5})
    assert count(database, "count(caught_up_at) FROM positions") == 0


def test_two_consumers_with_the_same_documents_neither_deadlock_nor_count_twice(database: Database) -> None:
    total, failures = 40, []

    def consume(partition: int) -> None:
        writer = Writer(Database(database.settings, database.schema), "g", LATENESS)
        order = range(total) if partition else reversed(range(total))
        try:
            for begin in range(10):
                ids = list(order) if not begin else list(range(begin * total, (begin + 1) * total))
                reads = [
                    read(begin * total + i, id=str(n), at=NOON + timedelta(minutes=n % 7), partition=partition)
                    for i, n in enumerate(ids)
                ]
                writer.write(batch(reads, begin=begin * total or None))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=consume, args=(partition,)) for partition in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert count(database, "count(*) FROM documents") == total * 10
    assert count(database, "sum(total) FROM rollups WHERE topic = '' AND company = ''") == total * 10


def test_consumers_of_other_partitions_do_not_wait_for_each_other(database: Database) -> None:
    writer = Writer(Database(database.settings, database.schema), "g", LATENESS)
    writer.write(batch([read(0), read(0, id="p1", partition=1)]))
    written: list[Written] = []
    other = threading.Thread(target=lambda: written.append(writer.write(batch([read(1, partition=1)], begin=1))))
    with database.transaction() as connection:
        positions.hold(connection, "g", [("news", 0)])
        other.start()
        other.join(10)
        assert written == [Written(documents=1, scored=1)]
    other.join()
