"""What a model in shadow mode says toward companies is kept beside its other answers and can be compared."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from monitor.documents import Document, Origin, Received
from monitor.pipeline import read_all, shadow
from monitor.settings import Settings
from monitor.store.database import Database
from monitor.store.queries import shadows
from monitor.store.queries.shadows import Cell
from monitor.store.writer import Batch, Writer
from monitor.understand.lineup import Lineup, Seat
from monitor.understand.reader import Reader
from tests.unit.models import make_toward_bundle

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TEXTS = (
    "Tesla falls while Apple rises on the same news",
    "Apple falls, Tesla rises",
    "Tesla falls",
)


def seat(folder: Path) -> Seat:
    return Seat(folder, f"{folder.name}@1", ("en",), "registry")


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    able = make_toward_bundle(tmp_path / "able", name="able")
    return {"able": able, "unable": make_toward_bundle(tmp_path / "unable", name="unable", toward=False)}


def write(settings: Settings, database: Database, serving: Path, beside: Path) -> None:
    reader = Reader(settings.engine, Lineup((seat(serving),), (seat(beside),)))
    received = [
        Received(Origin("news", 0, n), Document(str(n), "wire", "news", NOON + timedelta(seconds=n), "", words, "en"))
        for n, words in enumerate(TEXTS)
    ]
    reads = read_all(received, reader)
    batch = Batch(reads, {("news", 0): None}, {("news", 0): len(reads)}, shadow(reads, reader))
    Writer(database, "g", timedelta(minutes=5)).write(batch)


def test_sentiment_toward_companies_is_shadowed_and_compared(
    make_settings: Callable[..., Settings], database: Database, folders: dict[str, Path]
) -> None:
    write(make_settings(engine_device="cpu"), database, folders["unable"], folders["able"])
    with database.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM company_scores")).scalar() == 0
        stored = connection.execute(
            text(
                "SELECT id, s.companies, company_labels, company_scores "
                "FROM shadow_scores s JOIN documents USING (published_at, key) ORDER BY id"
            )
        ).all()
        since = NOON - timedelta(days=1)
        found = shadows.toward_cells(connection, "able@1", None, since)
        turned = shadows.toward_cells(connection, "unable@1", "able@1", since)
        nothing = shadows.toward_cells(connection, "able@1", None, NOON + timedelta(days=1))
    assert [(row[0], row[1], row[2]) for row in stored] == [
        ("0", ["TSLA", "AAPL"], ["negative", "positive"]),
        ("1", ["AAPL", "TSLA"], ["negative", "positive"]),
        ("2", [], []),
    ]
    assert all(abs(score) > 0.9 for row in stored for score in row[3])
    # The model that serves told the two apart nowhere: its answer for the whole text stands for both.
    assert [(cell.label, cell.other_label, cell.documents) for cell in found] == [
        ("negative", "neutral", 2),
        ("positive", "neutral", 2),
    ]
    assert found[0].moved == pytest.approx(-found[0].distance) and found[1].moved == pytest.approx(found[1].distance)
    assert [(cell.label, cell.other_label, cell.documents) for cell in turned] == [
        ("neutral", "negative", 2),
        ("neutral", "positive", 2),
    ]
    assert nothing == []


def test_shadow_that_is_not_taught_so_is_compared_by_its_whole_text(
    make_settings: Callable[..., Settings], database: Database, folders: dict[str, Path]
) -> None:
    write(make_settings(engine_device="cpu"), database, folders["able"], folders["unable"])
    with database.transaction() as connection:
        assert connection.execute(text("SELECT max(cardinality(companies)) FROM shadow_scores")).scalar() == 0
        found = shadows.toward_cells(connection, "unable@1", None, NOON - timedelta(days=1))
    assert [(cell.label, cell.other_label, cell.documents) for cell in found] == [
        ("neutral", "negative", 2),
        ("neutral", "positive", 2),
    ]


def test_two_that_both_tell_companies_apart_are_compared_one_by_one(
    make_settings: Callable[..., Settings], database: Database, folders: dict[str, Path], tmp_path: Path
) -> None:
    other = make_toward_bundle(tmp_path / "other", name="other")
    write(make_settings(engine_device="cpu"), database, folders["able"], other)
    with database.transaction() as connection:
        found = shadows.toward_cells(connection, "other@1", "able@1", NOON - timedelta(days=1))
    assert found == [Cell("negative", "negative", 2, 0.0, 0.0, 0), Cell("positive", "positive", 2, 0.0, 0.0, 0)]
