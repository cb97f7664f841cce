"""Sentiment toward a company in what is read back: drivers, searches, details, exports and alerts."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from dashboard.server import create_app
from monitor.alerts.rules import negative_stories
from monitor.alerts.watch import Watch
from monitor.documents import Document, Sentiment, Series
from monitor.pipeline import read_all
from monitor.settings import EngineSettings, Settings
from monitor.store.database import Database
from monitor.store.queries import alerts, documents, drivers
from monitor.store.queries.documents import CompanyScore, Filter
from monitor.store.writer import Read
from monitor.understand.reader import Reader
from tests.acceptance.test_effectively_once import RECOUNT
from tests.integration import staged
from tests.integration.test_watch import record
from tests.unit.models import make_toward_bundle
from tests.unit.test_toward import WATCHED

GOOD, BAD, PLAIN = Sentiment(0.05, 0.15, 0.8), Sentiment(0.9, 0.05, 0.05), Sentiment(0.1, 0.8, 0.1)


def read(
    number: int, companies: Sequence[str], whole: Sentiment, toward: Mapping[str, Sentiment] | None = None
) -> Read:
    made = staged.read(number, staged.START + timedelta(minutes=number), companies[0], f"Text {number}", negative=True)
    assert made.understanding is not None
    understanding = replace(
        made.understanding, companies=tuple(sorted(companies)), sentiment=whole, toward=tuple((toward or {}).items())
    )
    return Read(made.received, understanding)


@pytest.fixture
def told(database: Database) -> Database:
    """1: bad for BLT, good for ACM; 2: as a whole negative, no more is known; 3: plain, bad for BLT."""
    staged.write(
        database,
        [
            read(1, ("ACM", "BLT"), PLAIN, {"BLT": BAD, "ACM": GOOD}),
            read(2, ("ACM", "BLT"), BAD),
            read(3, ("BLT", "CRN"), PLAIN, {"BLT": BAD, "CRN": PLAIN}),
        ],
    )
    return database


def ids(database: Database, wanted: Filter) -> list[str]:
    with database.transaction() as connection:
        found = [document.id for document in documents.page(connection, wanted, limit=10)]
        assert documents.count(connection, wanted, at_most=10) == len(found)
        return sorted(found)


def test_documents_behind_a_companys_count_are_those_negative_toward_it(told: Database) -> None:
    end = staged.START + timedelta(hours=1)
    with told.transaction() as connection:

        def negatives(company: str) -> list[tuple[str, float]]:
            found = drivers.of_series(connection, Series("", company, "en"), staged.START, end)
            return [(driver.text, round(driver.negative, 4)) for driver in found]

        for company in ("", "ACM", "BLT", "CRN"):
            counted = connection.execute(
                text("SELECT coalesce(sum(negative), 0) FROM rollups WHERE topic = '' AND company = :company"),
                {"company": company},
            ).scalar()
            assert len(negatives(company)) == counted
        assert negatives("") == [("Text 2", 0.9)]
        assert negatives("ACM") == [("Text 2", 0.9)]
        assert negatives("BLT") == [("Text 1", 0.9), ("Text 2", 0.9), ("Text 3", 0.9)]
        assert negatives("CRN") == []
        assert [
            len(story.documents) for story in negative_stories(connection, Series("", "BLT", "en"), staged.START, end)
        ]
        everything = drivers.of_series(connection, Series("", "ACM", "en"), staged.START, end, label=None)
        assert [round(driver.negative, 4) for driver in everything] == [0.05, 0.9]


def test_document_scored_again_drives_as_it_was_first_scored(told: Database) -> None:
    again = "published_at, key, {}'en@2', 'positive', 0, 0, 1"
    with told.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO scores (published_at, key, model, label, negative, neutral, positive, topics, "
                f"topic_probabilities, scored_at) SELECT {again.format('')}, topics, topic_probabilities, "
                "scored_at + interval '1 hour' FROM scores"
            )
        )
        connection.execute(
            text(
                "INSERT INTO company_scores (published_at, key, company, model, label, negative, neutral, positive) "
                f"SELECT {again.format('company, ')} FROM company_scores"
            )
        )
        end = staged.START + timedelta(hours=1)
        assert len(drivers.of_series(connection, Series("", "BLT", "en"), staged.START, end)) == 3
    assert ids(told, Filter(company="BLT", label="negative")) == []
    assert ids(told, Filter(company="BLT", label="positive")) == ["1", "2", "3"]


def test_search_for_a_company_and_a_label_means_the_sentiment_toward_it(told: Database) -> None:
    assert ids(told, Filter(company="BLT", label="negative")) == ["1", "2", "3"]
    assert ids(told, Filter(company="ACM", label="negative")) == ["2"]
    assert ids(told, Filter(company="ACM", label="positive")) == ["1"]
    assert ids(told, Filter(company="CRN", label="neutral")) == ["3"]
    assert ids(told, Filter(label="negative")) == ["2"]
    assert ids(told, Filter(company="ACM")) == ["1", "2"]
    assert ids(told, Filter(company="ACM", label="unscored")) == []


def test_details_and_lists_hold_the_sentiment_toward_each_company(told: Database) -> None:
    with told.transaction() as connection:
        listed = {found.id: found for found in documents.page(connection, Filter(), limit=10)}
        details = documents.details(connection, listed["1"].key)
    expected = (
        CompanyScore("ACM", "positive", *map(pytest.approx, (0.05, 0.15, 0.8))),
        CompanyScore("BLT", "negative", *map(pytest.approx, (0.9, 0.05, 0.05))),
    )
    assert details is not None and details.scores[0].toward == listed["1"].toward == expected
    assert listed["2"].toward == ()


def test_export_has_a_column_of_it(told: Database, settings: Settings) -> None:
    client = create_app(settings, told, host="127.0.0.1").server.test_client()
    found = csv.DictReader(io.StringIO(client.get("/export.csv").data.decode("utf-8-sig")))
    assert {row["id"]: (row["label"], row["companies_sentiment"]) for row in found} == {
        "1": ("neutral", "ACM positive 0.80; BLT negative 0.90"),
        "2": ("negative", ""),
        "3": ("neutral", "BLT negative 0.90; CRN neutral 0.80"),
    }


def test_burst_that_is_bad_for_one_company_raises_no_alert_for_the_other_it_names(
    database: Database, settings: Settings
) -> None:
    # The texts as a whole are plain, so that only what is said of each company can raise anything.
    def aimed(item: Read) -> Read:
        content, understanding = item.received.content, item.understanding
        assert isinstance(content, Document) and understanding is not None
        if "withdraw funding" not in content.text:
            return item
        toward = (("HLVN", BAD), ("CANG", GOOD))
        return Read(item.received, replace(understanding, companies=("CANG", "HLVN"), sentiment=PLAIN, toward=toward))

    feed = [aimed(item) for item in staged.feed()]
    staged.write(database, feed)
    staged.close(database)
    Watch(database, settings, staged.GROUP).tick()
    with database.transaction() as connection:
        raised = alerts.in_order(connection)
        assert connection.execute(text(RECOUNT)).all() == []
    (alert,) = [alert for alert in raised if alert.series.company and not alert.series.topic]
    assert alert.series.company == "HLVN"
    assert all("withdraw funding" in story["headline"] for story in alert.evidence["stories"][:3])
    assert alert.evidence["documents"] == alert.observed


def test_batches_change_nothing(settings: Settings, schema: str, tmp_path: Path) -> None:
    (tmp_path / "watchlist.toml").write_text(WATCHED, encoding="utf-8")
    bundle = make_toward_bundle(tmp_path / "bundle")
    reader = Reader(EngineSettings(bundles=[bundle], watchlist=tmp_path / "watchlist.toml", device="cpu"))
    names = ("Acme Tools", "Bolt Freight", "Crane Foods")
    chance = random.Random(5)
    made = [
        staged.read(i, staged.START + timedelta(seconds=20 * i), "-", _news(chance, names), negative=False)
        for i in range(90)
    ]
    received = [item.received for item in made]
    records = []
    for size in (1, 7, 90):
        with record(settings, f"{schema}_{size}") as other:
            for begin in range(0, 90, size):
                staged.write(other, read_all(received[begin : begin + size], reader))
            with other.transaction() as connection:
                assert connection.execute(text(RECOUNT)).all() == []
                tables = [
                    connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5, 6")).all()
                    for table in ("company_scores", "rollups")
                ]
            records.append(tables)
    assert records[0] == records[1] == records[2]
    told = {row.label for row in records[0][0]}
    assert len(records[0][0]) > 60 and told == {"negative", "neutral", "positive"}


def _news(chance: random.Random, names: Sequence[str]) -> str:
    verbs = ("falls", "rises", "waits")
    return ", ".join(f"{name} {chance.choice(verbs)}" for name in chance.sample(names, chance.randint(1, 3)))
