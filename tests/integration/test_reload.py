"""Consumers follow the registry: new champions are loaded beside the old, bad ones refused, shadows kept apart."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from monitor import champions
from monitor.documents import Document, Origin, Received
from monitor.pipeline import read_all, shadow
from monitor.reload import Reloader
from monitor.settings import Settings
from monitor.store.database import Database
from monitor.store.writer import Batch, Writer
from monitor.understand.bundle import Bundle
from monitor.understand.reader import Reader
from tests.unit.contestants import make_models, texts
from tests.unit.models import make_bundle
from training.registry.comparing import beside
from training.registry.promoting import promote, rollback
from training.registry.registering import register
from training.registry.stages import set_shadow

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_models(tmp_path_factory.mktemp("models"), ["1", "2", "3"])


@pytest.fixture
def settings(
    make_settings: Callable[..., Settings], schema: str, tmp_path: Path, bundles: dict[str, Path], database: Database
) -> Settings:
    found = make_settings(
        database_schema=schema, engine_models=tmp_path / "registry", engine_device="cpu", engine_threads=1
    )
    for folder in bundles.values():
        register(database, found, folder, "ann")
    crown(found, database, "tiny@1")
    return found


def crown(settings: Settings, database: Database, model: str) -> None:
    assert promote(database, settings, model, actor="ann", force=True, reason="test").promoted


@pytest.fixture
def reloader(settings: Settings, database: Database) -> Reloader:
    active = champions.ask(settings, database)
    lineup = champions.lineup_of(settings, active)
    return Reloader(settings, database, Reader(settings.engine, lineup), active)


def received(count: int, first: int = 0) -> list[Received]:
    return [
        Received(
            Origin("news", 0, first + number),
            Document(str(first + number), "wire", "news", NOON + timedelta(seconds=number), "", words, "en"),
        )
        for number, words in enumerate(texts(count, seed=first))
    ]


def written(database: Database, reader: Reader, count: int, first: int = 0) -> None:
    reads = read_all(received(count, first), reader)
    begin = {("news", 0): first or None}
    Writer(database, "g", timedelta(minutes=5)).write(
        Batch(reads, begin, {("news", 0): first + count}, shadow(reads, reader))
    )


def count(database: Database, what: str) -> int:
    with database.transaction() as connection:
        return int(connection.execute(text(f"SELECT {what}")).scalar() or 0)


def test_new_champion_reads_the_next_batch_and_what_stays_is_not_loaded_again(
    settings: Settings, database: Database, reloader: Reloader
) -> None:
    first = reloader.newest()
    assert not reloader.look()
    crown(settings, database, "tiny@2")
    assert reloader.newest() is first  # whoever holds a reader keeps it for the batch in hand
    assert reloader.look()
    assert [read.model for read in first.read([received(1)[0].content])] == ["tiny@1"]  # type: ignore[list-item]
    second = reloader.newest()
    assert [read.model for read in second.read([received(1)[0].content])] == ["tiny@2"]  # type: ignore[list-item]
    chinese = {seat.languages: bundle for seat, bundle in first.engine.seats}[("zh",)]
    assert {seat.languages: bundle for seat, bundle in second.engine.seats}[("zh",)] is chinese
    rollback(database, settings, None, actor="ann")
    assert reloader.look() and reloader.newest().engine.models["en"] == "tiny@1"
    assert not reloader.look()


def test_bundle_that_cannot_be_loaded_is_refused_and_the_old_one_goes_on(
    settings: Settings, database: Database, reloader: Reloader, caplog: pytest.LogCaptureFixture
) -> None:
    crown(settings, database, "tiny@2")
    weights = champions.registry_folder(settings) / "tiny" / "2" / "weights.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-100])
    with caplog.at_level(logging.WARNING):
        reloader.look()
        reloader._again_at = 0.0  # as if the pause were over
        reloader.look()
    told = [record for record in caplog.records if record.name == "monitor.reload"]
    assert len(told) == 1 and "model tiny@2 is refused" in told[0].message and "weights.safetensors" in told[0].message
    assert reloader.newest().engine.models == {"en": "tiny@1", "zh": reloader.newest().engine.models["zh"]}
    assert [read.model for read in reloader.newest().read([received(1)[0].content])] == ["tiny@1"]  # type: ignore[list-item]
    # Put back, it takes over at the next attempt.
    weights.write_bytes(good)
    assert not reloader.look()
    reloader._again_at = 0.0
    assert reloader.look() and reloader.newest().engine.models["en"] == "tiny@2"


def test_topics_the_taxonomy_lacks_are_refused_too(
    settings: Settings,
    database: Database,
    reloader: Reloader,
    bundles: dict[str, Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    topics = tmp_path / "topics.toml"
    topics.write_text('[macro]\nen = "Macro"\nzh = "宏观"\n')
    engine = settings.engine.model_copy(update={"topics": topics})
    reloader._settings = settings.model_copy(update={"engine": engine})
    crown(settings, database, "tiny@2")
    reloader.look()
    assert "model tiny@2 is refused" in caplog.text and reloader.newest().engine.models["en"] == "tiny@1"


def test_shadow_scores_are_kept_apart_and_compared(settings: Settings, database: Database, reloader: Reloader) -> None:
    set_shadow(database, settings, "tiny@2", True, actor="ann")
    reloader.look()
    written(database, reloader.newest(), 60)
    assert count(database, "count(*) FROM scores WHERE model = 'tiny@1'") == 60
    assert count(database, "count(*) FROM scores") == 60
    assert count(database, "count(*) FROM shadow_scores WHERE model = 'tiny@2'") == 60
    # What came before adds nothing: its shadow score is dropped with it.
    reads = read_all(received(5), reloader.newest())
    again = Batch(reads, {("news", 0): 60}, {("news", 0): 65}, shadow(reads, reloader.newest()))
    assert Writer(database, "g", timedelta(minutes=5)).write(again).repeated == 5
    assert count(database, "count(*) FROM shadow_scores") == 60

    with database.transaction() as connection:
        pairs = connection.execute(
            text(
                "SELECT s.label, w.label, s.positive - s.negative - w.positive + w.negative, key "
                "FROM shadow_scores s JOIN scores w USING (published_at, key) ORDER BY key"
            )
        ).all()
        # Analysts side with the shadow wherever the two differ.
        for mine, theirs, _, key in pairs:
            if mine != theirs:
                connection.execute(
                    text(
                        "INSERT INTO labels (key, actor, sentiment, title, text, lang, published_at) "
                        "VALUES (:key, 'ann', :label, '', '', 'en', :at)"
                    ),
                    {"key": key, "label": mine, "at": NOON},
                )
        found = beside(connection, "tiny@2", None, since=NOON - timedelta(days=1), limit=3)
        named = beside(connection, "tiny@2", "tiny@1", since=NOON - timedelta(days=1), limit=3)
        turned = beside(connection, "tiny@1", "tiny@2", since=NOON - timedelta(days=1), limit=3)
        later = beside(connection, "tiny@2", None, since=NOON + timedelta(days=1))
    differing = sum(mine != theirs for mine, theirs, _, _ in pairs)
    assert 0 < differing < 60
    assert (found.documents, found.others, found.agreement) == (60, {"tiny@1": 60}, 1 - differing / 60)
    assert found.moved == pytest.approx(np.mean([moved for _, _, moved, _ in pairs]), abs=1e-6)
    assert sum(sum(row.values()) for row in found.confusion.values()) == 60
    largest = sorted((abs(moved) for _, _, moved, _ in pairs), reverse=True)[:3]
    assert [abs(row.score - row.other_score) for row in found.furthest] == pytest.approx(largest, abs=1e-6)
    assert found.labels is not None and (found.labels.model, found.labels.other) == (1.0, 0.0)
    assert found.labels.p == pytest.approx(min(1.0, 2 * 0.5**differing))
    assert named == found
    assert turned.moved == pytest.approx(-(found.moved or 0)) and turned.others == {"tiny@2": 60}
    assert (later.documents, later.agreement, later.labels) == (0, None, None)


def test_shadow_that_fails_harms_nothing(
    settings: Settings,
    database: Database,
    reloader: Reloader,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    set_shadow(database, settings, "tiny@2", True, actor="ann")
    reloader.look()
    reader = reloader.newest()
    (_, bundle), *_ = reader.shadows.seats
    honest = Bundle.probabilities

    def fails(self: Bundle, asked: list[str]) -> object:
        if self is bundle:
            raise RuntimeError("out of memory")
        return honest(self, asked)

    with monkeypatch.context() as patch:
        patch.setattr(Bundle, "probabilities", fails)
        for batch in range(5):
            written(database, reader, 4, first=4 * batch)
    assert count(database, "count(*) FROM scores") == 20 and count(database, "count(*) FROM shadow_scores") == 0
    assert caplog.text.count("tiny@2 failed in shadow mode") == 3
    # Scores that the table refuses are dropped, the batch is not.
    database_rule = "ALTER TABLE shadow_scores ADD CONSTRAINT none CHECK (label = 'never')"
    with database.transaction() as connection:
        connection.execute(text(database_rule))
    reader.shadows._failed.clear()
    written(database, reader, 4, first=20)
    assert count(database, "count(*) FROM scores") == 24 and count(database, "count(*) FROM shadow_scores") == 0
    assert "not kept" in caplog.text


def test_shadow_that_cannot_be_loaded_is_left_out(
    settings: Settings, database: Database, reloader: Reloader, bundles: dict[str, Path], tmp_path: Path
) -> None:
    set_shadow(database, settings, "tiny@2", True, actor="ann")
    (champions.registry_folder(settings) / "tiny" / "2" / "weights.safetensors").unlink()
    reloader.look()
    assert reloader.newest().shadows.seats == () and reloader.newest().engine.models["en"] == "tiny@1"
    both = make_bundle(
        tmp_path / "both", bundles["1"].parent / "encoder", name="both", version="1", languages=["en", "de"]
    )
    register(database, settings, both, "ann")
    set_shadow(database, settings, "both", True, actor="ann")
    reloader.look()
    assert [(seat.model, seat.languages) for seat, _ in reloader.newest().shadows.seats] == [("both@1", ("en", "de"))]
