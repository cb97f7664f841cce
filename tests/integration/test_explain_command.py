"""`bellwether explain`, and the process the dashboard asks."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dashboard.explaining import Explaining, Question
from monitor.cli import bellwether
from monitor.errors import InputError
from monitor.store.database import Database
from tests.browser import feed
from tests.unit.models import make_toward_bundle

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    folder = make_toward_bundle(tmp_path / "bundle", languages=("en", "zh"))
    monkeypatch.setenv("BELLWETHER_ENGINE_BUNDLES", str(folder))
    return lambda *arguments, **more: CliRunner().invoke(bellwether, ["explain", *arguments], **more)


def test_text_is_shown_with_its_strongest_words(run: Run) -> None:
    done = run("After lunch [this company] falls at the market", "--lang", "en")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("After lunch [this company] falls at the market\n")
    first = next(line for line in done.output.splitlines() if "█" in line)
    assert first.split()[0] in {"this", "company", "falls"}
    assert "negative" in done.output and "pointer@1 (en)" in done.output and "exact" in done.output


def test_sentiment_toward_a_company_is_explained_on_the_text_marked_for_it(run: Run) -> None:
    text = "Tesla falls while Apple rises"
    for name, label in (("Tesla", "negative"), ("AAPL", "positive")):
        found = json.loads(run(text, "--lang", "en", "--toward", name, "--json").output)
        assert found["label"] == label and "[this company]" in found["text"]
    assert "no company of the watch list" in str(run(text, "--lang", "en", "--toward", "Nobody & Sons").exception)


def test_text_comes_from_standard_input_and_other_labels_can_be_asked_for(run: Run) -> None:
    found = json.loads(run("-", "--json", "--lang", "zh", "--label", "positive", input="［本公司］下跌").output)
    assert (found["label"], found["lang"]) == ("positive", "zh")
    assert sum(word["weight"] for word in found["words"]) == pytest.approx(found["value"] - found["baseline"], abs=1e-3)
    assert found["value"] < 0
    topic = json.loads(run("-", "--json", "--lang", "en", "--topic", "macro", input="bank").output)
    assert (topic["about"], topic["label"]) == ("macro", "macro")


def test_stored_document_is_explained_by_its_key(
    run: Run, database: Database, monkeypatch: pytest.MonkeyPatch, postgres_folder: Path
) -> None:
    monkeypatch.setenv("BELLWETHER_DATA_DIR", str(postgres_folder))
    monkeypatch.setenv("BELLWETHER_DATABASE_SCHEMA", database.schema)
    read = feed.document("a", NOW, "[this company] rises again", title="Late trade")
    feed.write(database, [read])
    found = json.loads(run("--key", str(read.received.content.key), "--json").output)  # type: ignore[union-attr]
    assert found["label"] == "positive" and found["text"] == "Late trade [this company] rises again"
    assert "there is no document" in str(run("--key", "00000000-0000-0000-0000-000000000000").exception)
    assert "is no key of a document" in str(run("--key", "abc").exception)


def test_question_that_cannot_be_answered_says_why(run: Run) -> None:
    for arguments, said in (
        ((), "give a text"),
        (("text", "--key", "x"), "give a text"),
        (("  ",), "no text to explain"),
        (("text", "--lang", "pl"), "no model reads 'pl'"),
        (("text", "--lang", "en", "--topic", "weather"), "knows no topic 'weather'"),
        (("text", "--topic", "macro", "--label", "negative"), "--topic stands by itself"),
    ):
        error = run(*arguments).exception
        assert isinstance(error, InputError) and said in str(error)


def test_dashboards_questions_are_answered_by_a_process_and_remembered(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    explaining = Explaining()
    question = Question("--json [this company] falls; --help", "en", ("TSLA",))
    answer = explaining.ask(question)
    assert answer is not None and answer["label"] == "negative" and answer["text"].startswith("--json")
    with pytest.raises(InputError, match="knows no topic '--help'"):
        explaining.ask(Question("text", "en", topic="--help"))
    # No process could answer now.
    monkeypatch.setattr("sys.executable", "/nothing/here")
    assert explaining.ask(question) is answer


def test_process_that_takes_too_long_is_ended(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.explaining.SECONDS", 0.05)
    with pytest.raises(InputError, match="took longer"):
        Explaining().ask(Question("text", "en"))
