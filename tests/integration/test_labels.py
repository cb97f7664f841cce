"""Labels: given, taken back, settled, written to files and brought in again, on a real record."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from monitor.cli import bellwether
from monitor.documents import Document
from monitor.errors import InputError
from monitor.labelling.agreement import agreements, kappa
from monitor.labelling.majority import settle
from monitor.records import open_record
from monitor.settings import Settings
from monitor.store.database import Database
from monitor.store.queries import labels
from monitor.store.writer import Read
from monitor.understand.companies import Watchlist
from monitor.understand.novelty import fingerprint
from tests.browser import feed
from training.data.reading import read_examples

Run = Callable[..., Result]
NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
BOTH = "Tesla gains as Apple warns of weak sales"


def key(id: str, source: str = "wire") -> UUID:
    document = feed.document(id, NOW, "", source=source).received.content
    return document.key  # type: ignore[union-attr]


@pytest.fixture
def record(database: Database) -> Database:
    reads = [
        feed.document("both", NOW, BOTH, companies=["TSLA", "AAPL"]),
        feed.document(
            "zh", NOW + timedelta(minutes=1), "贵州茅台净利润同比下降", title="快讯", lang="zh", kind="comment"
        ),
        feed.document("one", NOW + timedelta(minutes=2), "Inflation cools, again; rates “unchanged”\nsaid the bank"),
    ]
    feed.write(database, [fingerprinted(read) for read in reads])
    return database


def fingerprinted(read: Read) -> Read:
    """The message with the fingerprint its text really has: imports find texts by it."""
    assert isinstance(read.received.content, Document) and read.understanding is not None
    mark = fingerprint(read.received.content.body)
    return replace(read, understanding=replace(read.understanding, fingerprint=mark))


@pytest.fixture
def run(record: Database, monkeypatch: pytest.MonkeyPatch, postgres_folder: Path) -> Run:
    monkeypatch.setenv("BELLWETHER_DATA_DIR", str(postgres_folder))
    monkeypatch.setenv("BELLWETHER_DATABASE_SCHEMA", record.schema)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(bellwether, ["labels", *arguments])

    return call


def test_label_is_given_once_changed_and_taken_back(record: Database) -> None:
    with record.transaction() as connection:
        labels.give(connection, key("one"), "Mei", sentiment="negative")
        labels.give(connection, key("one"), "Mei", topics=["macro"], note="rates")
        labels.give(connection, key("one"), "Mei", sentiment="positive")
        labels.give(connection, key("one"), "Jan", sentiment="neutral", topics=[])
        first, second = labels.of_document(connection, key("one"))
    assert (first.actor, first.sentiment, first.topics, first.note) == ("Mei", "positive", ("macro",), "rates")
    assert first.body.startswith("Inflation cools") and first.lang == "en"
    assert (second.sentiment, second.topics) == ("neutral", ())
    with record.transaction() as connection:
        assert labels.count(connection) == 1
        assert labels.withdraw(connection, key("one"), "Mei") == 1
        assert [one.actor for one in labels.of_document(connection, key("one"))] == ["Jan"]


def test_label_outlives_its_document(record: Database) -> None:
    with record.transaction() as connection:
        labels.give(connection, key("one"), "Mei", sentiment="negative")
        connection.execute(text("DELETE FROM documents"))
        connection.execute(text("DELETE FROM identities"))
        (kept,) = labels.listed(connection)
    assert kept.body.startswith("Inflation cools") and kept.published_at == NOW + timedelta(minutes=2)


def test_label_that_means_nothing_is_refused(record: Database) -> None:
    with record.transaction() as connection:
        for wrong in (
            {"sentiment": "bad"},
            {},
            {"company": "TSLA", "topics": ["macro"]},
            {"note": "x" * (labels.LONGEST_NOTE + 1)},
        ):
            with pytest.raises(InputError):
                labels.give(connection, key("one"), "Mei", **wrong)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="no longer in the record"):
            labels.give(connection, key("nothing"), "Mei", sentiment="neutral")


def test_majority_counts_and_ties_are_left_out(record: Database) -> None:
    with record.transaction() as connection:
        for actor, sentiment, topics in (
            ("Mei", "negative", ["macro"]),
            ("Jan", "negative", ["macro", "earnings"]),
            ("Ola", "positive", ["macro"]),
        ):
            labels.give(connection, key("one"), actor, sentiment=sentiment, topics=topics)  # type: ignore[arg-type]
        labels.give(connection, key("both"), "Mei", company="TSLA", sentiment="positive")
        labels.give(connection, key("both"), "Jan", company="TSLA", sentiment="neutral")
        labels.give(connection, key("both"), "Jan", company="AAPL", sentiment="negative", topics=None)
        one, both = settle(reversed(labels.listed(connection)))
    assert (one.sentiment, one.topics, one.ties) == ("negative", ("macro",), ())
    assert (both.sentiment, both.companies, both.ties) == (None, (("AAPL", "negative"),), ("TSLA",))


def test_agreement_is_cohens_kappa(record: Database) -> None:
    # Cohen's own way of counting, by hand: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: kappa 0.4.
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert kappa(pairs) == pytest.approx(0.4)
    assert kappa([("y", "y")] * 3) is None
    with record.transaction() as connection:
        for id in ("one", "both", "zh"):
            labels.give(connection, key(id), "Mei", sentiment="negative" if id == "zh" else "neutral", topics=["macro"])
            labels.give(connection, key(id), "Jan", sentiment="negative" if id == "zh" else "neutral", topics=[])
        sentiment, topics = agreements(labels.listed(connection))
    assert (sentiment.first, sentiment.second, sentiment.shared, sentiment.kappa) == ("Jan", "Mei", 3, 1.0)
    assert (topics.on, topics.same, topics.kappa) == ("topics", 0.0, 0.0)


def labelled(record: Database) -> None:
    with record.transaction() as connection:
        labels.give(connection, key("one"), "Mei", sentiment="neutral", topics=["macro"])
        labels.give(connection, key("zh"), "Mei", sentiment="negative", topics=[])
        labels.give(connection, key("zh"), "Jan", sentiment="positive")
        labels.give(connection, key("both"), "Mei", company="TSLA", sentiment="positive")
        labels.give(connection, key("both"), "Mei", company="AAPL", sentiment="negative")


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.parquet"])
def test_exported_file_is_read_as_what_the_labellers_said(
    run: Run, record: Database, tmp_path: Path, name: str
) -> None:
    labelled(record)
    done = run("export", str(tmp_path / name))
    assert done.exit_code == 0, done.output
    assert "sentiment 1" in done.output
    by_text = {example.text: example for example in read_examples(tmp_path / name)}
    assert len(by_text) == 3
    both, zh = by_text[BOTH], by_text["快讯\n贵州茅台净利润同比下降"]
    assert dict(both.entities) == {"Tesla": "positive", "Apple": "negative"} and both.at == NOW
    assert (zh.sentiment, zh.topics, zh.lang) == (None, (), "zh")
    assert (both.kind, zh.kind) == ("news", "comment")
    (other,) = (example for text, example in by_text.items() if text not in (BOTH, zh.text))
    assert (other.sentiment, other.entities) == ("neutral", ())


@pytest.mark.parametrize("format", ["label-studio", "argilla"])
def test_tools_get_everybodys_answers_and_what_they_export_comes_back(
    run: Run, record: Database, tmp_path: Path, format: str
) -> None:
    labelled(record)
    file = tmp_path / "tasks.json"
    assert run("export", str(file), "--format", format).exit_code == 0
    by_text = {example.text: example for example in read_examples(file)}
    assert dict(by_text[BOTH].entities) == {"Tesla": "positive", "Apple": "negative"}
    assert by_text[BOTH].kind == "news"
    assert next(example for text, example in by_text.items() if "Inflation" in text).topics == ("macro",)
    with record.transaction() as connection:
        for actor in ("Mei", "Jan"):
            for id in ("one", "zh", "both"):
                labels.withdraw(connection, key(id), actor)
    done = run("import", str(file))
    assert done.exit_code == 0 and "3 in the record, 0 kept" in done.output
    with record.transaction() as connection:
        found = {(one.key, one.company): one for one in labels.listed(connection)}
    assert found[key("both"), "AAPL"].sentiment == "negative"
    assert found[key("one"), ""].topics == ("macro",) and found[key("one"), ""].actor == "import:tasks.json"


def test_rows_find_their_documents_by_key_id_or_text_and_others_are_kept(
    run: Run, record: Database, tmp_path: Path
) -> None:
    rows = [
        {"text": "whatever it says", "key": str(key("zh")), "sentiment": "negative"},
        {"text": "something else", "source": "wire", "id": "both", "sentiment": "neutral"},
        {"text": "INFLATION cools again - rates unchanged said the bank https://x.example", "sentiment": "positive"},
        {"text": "Halvern Bank halts withdrawals", "sentiment": "negative", "topics": ["macro"], "lang": "en"}
        | {"kind": "comment"},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    for _ in range(2):
        done = run("import", str(file), "--actor", "desk")
        assert done.exit_code == 0 and "3 in the record, 1 kept" in done.output, done.output
    with record.transaction() as connection:
        found = {one.key: one for one in labels.listed(connection)}
    assert len(found) == 4 and {one.actor for one in found.values()} == {"desk"}
    assert found[key("zh")].text == "贵州茅台净利润同比下降"
    assert (found[key("both")].sentiment, found[key("one")].sentiment) == ("neutral", "positive")
    (kept,) = (one for one in found.values() if one.key not in {key("zh"), key("both"), key("one")})
    assert (kept.text, kept.topics, kept.lang) == ("Halvern Bank halts withdrawals", ("macro",), "en")
    assert (kept.published_at, kept.kind) == (labels.UNDATED, "comment")
    assert found[key("zh")].kind == "comment"


def test_number_that_label_studio_gave_a_task_names_no_document(run: Run, record: Database, tmp_path: Path) -> None:
    own = {"annotator": 1, "annotation_id": 7, "created_at": "x", "updated_at": "y", "lead_time": 2.5}
    row = own | {"id": "both", "source": "wire", "text": "A text of its own", "sentiment": "negative"}
    file = tmp_path / "min.json"
    file.write_text(json.dumps([row]), encoding="utf-8")
    done = run("import", str(file), "--actor", "desk")
    assert "0 in the record, 1 kept" in done.output, done.output
    with record.transaction() as connection:
        (found,) = labels.listed(connection)
    assert (found.text, found.key == key("both")) == ("A text of its own", False)


def test_import_with_a_label_that_means_nothing_stores_nothing(run: Run, record: Database, tmp_path: Path) -> None:
    file = tmp_path / "wrong.jsonl"
    good = {"text": "fine", "sentiment": "neutral"}
    for bad, said in (
        ({"text": "a", "sentiment": "Postive"}, "positive"),
        ({"text": "a", "topics": ["earnigns"]}, "did you mean earnings"),
    ):
        file.write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n", encoding="utf-8")
        done = run("import", str(file))
        assert isinstance(done.exception, InputError) and said in str(done.exception)
    with record.transaction() as connection:
        assert labels.count(connection) == 0


def test_companies_of_a_file_become_symbols(run: Run, record: Database, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "entity_sentiment"])
        writer.writerow([BOTH, json.dumps({"Tesla": "negative", "AAPL": "positive", "Nobody & Sons": "neutral"})])
    done = run("import", str(file))
    assert "Nobody & Sons" in done.output
    with record.transaction() as connection:
        found = {one.company: one.sentiment for one in labels.of_document(connection, key("both"))}
    assert found == {"TSLA": "negative", "AAPL": "positive"}


def test_status_and_list_tell_what_there_is(run: Run, record: Database) -> None:
    assert "no labels yet" in run("status").output
    labelled(record)
    report = json.loads(run("status", "--json").output)
    assert report["documents"] == 3 and report["ties"] == 1
    assert report["sentiment"] == {"neutral": 1} and report["toward"] == {"negative": 1, "positive": 1}
    assert report["actor"] == {"Mei": 4, "Jan": 1} and report["language"] == {"en": 2, "zh": 1}
    assert [(pair["on"], pair["kappa"]) for pair in report["agreement"]] == [("sentiment", 0.0)]
    assert "Jan and Mei on sentiment: kappa 0.00 (0 % the same of 1)" in run("status").output
    lines = run("list", "--actor", "Jan", "--json").output.splitlines()
    assert [json.loads(line)["sentiment"] for line in lines] == ["positive"]


@pytest.mark.parametrize("command", ["status", "list", "export", "import"])
def test_command_closes_its_connections(
    run: Run, record: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    labelled(record)
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"text": "Halvern Bank halts withdrawals", "sentiment": "negative"}), encoding="utf-8")
    opened: list[Database] = []

    def kept(settings: Settings, name: str | None) -> Database:
        # What nobody holds any more is closed by the garbage collector, which no long process may wait for.
        opened.append(open_record(settings, name))
        return opened[-1]

    def connections() -> int:
        with record.transaction() as connection:
            counted = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bellwether'")
            return int(connection.execute(counted).scalar_one())

    monkeypatch.setattr("training.labels.commands.open_record", kept)
    before = connections()
    done = run(command, *{"export": [str(tmp_path / "out.jsonl")], "import": [str(rows)]}.get(command, []))
    assert done.exit_code == 0, done.output
    assert len(opened) == 1
    until = time.monotonic() + 10  # the server notices a little later
    while connections() > before and time.monotonic() < until:
        time.sleep(0.05)
    assert connections() == before


def test_export_of_nothing_or_to_an_unknown_name_says_what_to_do(run: Run, record: Database, tmp_path: Path) -> None:
    assert "give some in the dashboard" in str(run("export", str(tmp_path / "a.jsonl")).exception)
    assert "--format" in str(run("export", str(tmp_path / "a.xyz")).exception)
    labelled(record)
    assert "cannot be written" in str(run("export", str(tmp_path / "no" / "a.jsonl")).exception)


def test_each_persons_labels_stand_apart_when_asked(run: Run, record: Database, tmp_path: Path) -> None:
    labelled(record)
    assert run("export", str(tmp_path / "each.jsonl"), "--each").exit_code == 0
    rows = [json.loads(line) for line in (tmp_path / "each.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted((row["actors"][0], row.get("sentiment", "")) for row in rows) == [
        ("Jan", "positive"),
        ("Mei", ""),
        ("Mei", "negative"),
        ("Mei", "neutral"),
    ]


def test_watch_list_that_ships_names_the_companies() -> None:
    assert {"TSLA", "AAPL"} <= set(Watchlist.load().match(BOTH))
