"""A text longer than the model reads is counted, stored as such, and shown as such wherever its score is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from dashboard import names
from dashboard.context import View
from dashboard.explaining import Question
from dashboard.pages.document import panel
from dashboard.pages.why import _shown
from dashboard.words import translator
from monitor.cli import bellwether
from monitor.commands.consume import Progress
from monitor.commands.status import collect
from monitor.documents import Document, Origin, Received
from monitor.pipeline import read_all
from monitor.settings import Settings
from monitor.store.database import Database
from monitor.store.queries import documents
from monitor.store.writer import Batch, Writer, Written
from monitor.understand.reader import Reader
from monitor.understand.runtimes.ngrams import MAX_CHARS
from tests.broker import free_port
from tests.unit.models import make_toward_bundle

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SHORT = "After lunch [this company] falls"
LONG = SHORT + "".join(f", {number}" for number in range(MAX_CHARS))


@pytest.fixture
def settings(make_settings: Callable[..., Settings], tmp_path: Path) -> Settings:
    return make_settings(
        engine_bundles=str(make_toward_bundle(tmp_path / "bundle")),
        engine_device="cpu",
        kafka_bootstrap=f"127.0.0.1:{free_port()}",
        kafka_timeout=0.5,
    )


@pytest.fixture
def written(settings: Settings, database: Database) -> Written:
    received = [
        Received(Origin("news", 0, number), Document(str(number), "wire", "news", NOON, "", words, lang))
        for number, (words, lang) in enumerate([(SHORT, "en"), (LONG, "en"), (LONG, "de")])
    ]
    reads = read_all(received, Reader(settings.engine))
    return Writer(database, "g", timedelta(minutes=5)).write(Batch(reads, {("news", 0): None}, {("news", 0): 3}))


def test_cut_texts_are_counted_stored_and_reported(settings: Settings, database: Database, written: Written) -> None:
    assert written == Written(documents=3, scored=2, cut=1)
    total = Written(documents=1, scored=1)
    progress = Progress(lambda: total)
    assert "cut" not in progress.summary()
    total += written
    assert progress.summary().startswith("4 documents (3 scored, 1 of them cut, 0 late)")
    with database.transaction() as connection:
        stored = connection.execute(
            text("SELECT id, cut FROM scores JOIN documents USING (published_at, key) ORDER BY id")
        ).all()
    assert [tuple(row) for row in stored] == [("0", False), ("1", True)]
    assert collect(settings, database)["cut"] == 1


def test_document_page_says_that_only_the_beginning_was_read(
    settings: Settings, database: Database, written: Written
) -> None:
    view = View("en", translator("en"), names.load(settings))
    with database.transaction() as connection:
        keys = dict(connection.execute(text("SELECT id, key FROM documents")).all())
        shown = {id: str(panel(view, documents.details(connection, key), "")) for id, key in keys.items()}
    assert [view.t("cut_hint") in shown[id] for id in "012"] == [False, True, False]


def test_explanation_says_how_much_was_read(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER_ENGINE_BUNDLES", str(settings.engine.bundles[0]))
    arguments = ["explain", "-", "--lang", "en"]
    said = f"read: the first {MAX_CHARS:,} of {len(LONG):,} characters"
    assert said in CliRunner().invoke(bellwether, arguments, input=LONG).output
    assert "read: the first" not in CliRunner().invoke(bellwether, arguments, input=SHORT).output
    view = View("en", translator("en"), names.load(settings))
    for words, told in ((LONG, True), (SHORT, False)):
        answer = json.loads(CliRunner().invoke(bellwether, [*arguments, "--json"], input=words).output)
        told_there = f"Read: the first {MAX_CHARS:,} of {len(LONG):,} characters." in str(
            _shown(view, answer, Question(words, "en"))
        )
        assert told_there == told
