"""What is old goes by whole partitions; what is young stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from monitor.settings import RetentionSettings
from monitor.store import retention
from monitor.store.database import Database
from monitor.store.writer import Writer
from tests.integration.test_writer import LATENESS, batch, count, read


def test_old_days_are_dropped_and_young_ones_kept(database: Database) -> None:
    now = datetime(2026, 6, 15, 12, tzinfo=UTC)
    ages = (0, 29, 31, 90)
    reads = [read(i, at=now - timedelta(days=days)) for i, days in enumerate(ages)]
    Writer(database, "g", LATENESS).write(batch(reads))
    dropped = retention.apply(database, RetentionSettings(documents_days=30), now)
    assert dropped == [
        "company_scores_20260317",
        "company_scores_20260515",
        "documents_20260317",
        "documents_20260515",
        "rollups_202603",
        "scores_20260317",
        "scores_20260515",
        "shadow_scores_20260317",
        "shadow_scores_20260515",
    ]
    assert count(database, "count(*) FROM documents") == 2
    assert count(database, "count(*) FROM identities") == 2
    # A message of a kept day may come again, one of a dropped day is new again.
    written = Writer(database, "g", LATENESS).write(
        batch(
            [read(4, id="1", at=reads[1].received.content.published_at), read(5, id="3", at=now - timedelta(days=90))],
            4,
        )  # type: ignore[union-attr]
    )
    assert (written.documents, written.repeated) == (1, 1)


def test_old_rejected_messages_go(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(
            text(
                'INSERT INTO rejected (received_at, reason, detail, raw, size, topic, "partition", "offset") '
                "SELECT now() - days * interval '1 day', 'empty', '', '', 0, 't', 0, days "
                "FROM unnest(ARRAY[1, 29, 31]) AS days"
            )
        )
    retention.apply(database, RetentionSettings())
    assert count(database, "count(*) FROM rejected") == 2
