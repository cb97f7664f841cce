"""Nothing lost, nothing twice: consumers, the broker and Postgres are killed while a feed is read."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from sqlalchemy import text

from monitor.settings import load
from monitor.store.database import Database
from monitor.understand.bundle import SHIPPED
from tests.acceptance.feeds import steady, with_rivals
from tests.acceptance.processes import Process, environment, ok, until, write_feed
from tests.broken import BROKEN
from tests.broker import Broker
from tests.kafka.fixtures import create_topic

GOOD, REPEATED, RIVALS = 1_800, 60, 360


def telling_companies_apart(folder: Path) -> Path:
    """The English bundle that ships, asked about each company of a text whether it was taught so or not."""
    shutil.copytree(SHIPPED[0], folder)
    manifest = folder / "bundle.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_bytes()) | {"toward": True}), encoding="utf-8")
    return folder


@pytest.mark.kafka
@pytest.mark.timeout(420)
def test_whatever_is_killed_documents_rollups_and_rejected_add_up(private_broker: Broker, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    topic = create_topic(private_broker.bootstrap, 4)
    env = environment(
        tmp_path / "data",
        kafka_bootstrap=private_broker.bootstrap,
        kafka_topics=topic,
        kafka_session_timeout="6",
        batch_documents="40",
        engine_bundles=str(telling_companies_apart(tmp_path / "bundle")),
    )
    good = with_rivals(steady(GOOD, days=3), every=GOOD // RIVALS)
    broken = [
        raw.replace(b"\n", b" ") for _, raw, _ in BROKEN if b"\n" not in raw.strip() and 0 < len(raw.strip()) < 10_000
    ]
    parts = [[*good[:400], *broken, *good[400:600]], good[600:1200], [*good[1200:], *good[100 : 100 + REPEATED]]]
    feeds = [write_feed(tmp_path / f"feed{i}.jsonl", part) for i, part in enumerate(parts)]
    ok(["migrate"], env)
    database = Database(load(env).settings)

    def produce(part: int) -> None:
        ok(["produce", "--topic", topic, str(feeds[part])], env)

    def count(what: str) -> int:
        def ask() -> int:
            with database.transaction() as connection:
                return int(connection.execute(text(f"SELECT {what}")).scalar() or 0)

        return int(database.persist(ask, what="the test"))

    def stored(at_least: int, when: str) -> None:
        until(lambda: count("count(*) FROM documents") >= at_least, seconds=120, what=f"{at_least} documents {when}")

    produce(0)
    consumers = [Process(["consume"], env), Process(["consume"], env)]
    try:
        stored(100, "at the start")
        consumers[0].kill()
        consumers[0] = Process(["consume"], env)
        until(lambda: "reading" in consumers[0].output, seconds=60, what="the restarted consumer in the group")
        produce(1)
        stored(700, "after a consumer was killed")
        private_broker.kill()
        private_broker.restart()
        produce(2)
        stored(1_300, "after the broker was killed")
        os.kill(int((tmp_path / "data" / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        stored(GOOD, "after Postgres was killed")
        sent = len(good) + len(broken) + REPEATED
        read = "sum(next_offset) FROM positions"
        until(lambda: count(read) == sent, seconds=60, what=f"every offset ({sent})")
        assert all(consumer.running for consumer in consumers), "\n".join(c.output[-1500:] for c in consumers)
        assert [consumer.stop() for consumer in consumers] == [0, 0]
    finally:
        for consumer in consumers:
            consumer.end()
        print("\n".join(consumer.output[-3000:] for consumer in consumers))

    assert count("count(*) FROM documents") == count("count(DISTINCT id) FROM documents") == GOOD
    assert count("count(*) FROM scores") == GOOD
    assert count("count(*) FROM company_scores") == 2 * RIVALS
    assert count("count(*) FROM company_scores c JOIN scores s USING (key) WHERE c.negative <> s.negative") > RIVALS
    assert count("count(*) FROM rejected") == len(broken)
    assert count("sum(total) FROM rollups WHERE topic = '' AND company = ''") == GOOD
    with database.transaction() as connection:
        differing = connection.execute(text(RECOUNT)).all()
    assert differing == []
    database.close()


# Every roll-up counted again from the documents, their scores, and those toward single companies.
RECOUNT = """
WITH told AS (
    SELECT published_at, key, d.lang, d.kind, d.late, s.model, s.label, s.negative, s.positive, d.companies,
           '' || unnest(array_prepend('', coalesce(s.topics, '{}'))) AS topic
    FROM documents d LEFT JOIN scores s USING (published_at, key)
), named AS (
    SELECT told.*, unnest(array_prepend('', companies)) AS company FROM told
), cells AS (
    SELECT date_trunc('minute', published_at) AS minute, topic, company, lang, kind, late,
           coalesce(c.label, named.label) AS label,
           coalesce(c.positive::numeric - c.negative::numeric, named.positive::numeric - named.negative::numeric, 0)
               AS score
    FROM named LEFT JOIN company_scores c USING (published_at, key, company, model)
), counted AS (
    SELECT minute, topic, company, lang, kind, late, count(*)::int AS total,
           (count(*) FILTER (WHERE label = 'negative'))::int AS negative,
           (count(*) FILTER (WHERE label = 'neutral'))::int AS neutral,
           (count(*) FILTER (WHERE label = 'positive'))::int AS positive,
           sum(round(10000 * score))::bigint AS score_sum
    FROM cells GROUP BY 1, 2, 3, 4, 5, 6
), kept AS (
    SELECT minute, topic, company, lang, kind, late, total, negative, neutral, positive, score_sum FROM rollups
)
(TABLE counted EXCEPT TABLE kept) UNION ALL (TABLE kept EXCEPT TABLE counted)
"""
