"""What to label next: chosen from a real record, for each reason."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from monitor.cli import bellwether
from monitor.documents import Document, Sentiment, TopicScore
from monitor.errors import InputError
from monitor.labelling.drifting import since_before
from monitor.labelling.selection import REASONS, Selection, select
from monitor.store.database import Database
from monitor.store.queries import labels
from monitor.store.queries.candidates import sample
from monitor.store.writer import Read
from monitor.understand.novelty import WITHIN, distance, fingerprint
from tests.browser import feed

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
Run = Callable[..., Result]


def read(id: str, at: datetime, words: str, scores: tuple[float, float, float] | None = None, **more: object) -> Read:
    """A message with its real fingerprint and, if given, other probabilities than the usual."""
    made = feed.document(id, at, words, **more)  # type: ignore[arg-type]
    assert isinstance(made.received.content, Document) and made.understanding is not None
    found = replace(made.understanding, fingerprint=fingerprint(made.received.content.body))
    return replace(made, understanding=replace(found, sentiment=Sentiment(*scores)) if scores else found)


def everyday(count: int, start: datetime, end: datetime, *, seed: int = 1, prefix: str = "day") -> list[Read]:
    chance = random.Random(seed)
    subjects = ["river bank", "harbour works", "copper mill", "grain trader", "toll road", "glass maker"]
    verbs = ["reports", "expects", "confirms", "reviews", "delays", "expands"]
    objects = ["loan growth", "a second shift", "winter output", "its dividend", "export orders", "staff numbers"]
    return [
        read(
            f"{prefix}-{i}",
            start + (end - start) * i / count,
            f"{chance.choice(subjects)} {chance.choice(verbs)} {chance.choice(objects)} in the {i}th of "
            f"{chance.choice(subjects)} notes number {i * 7919 % 1009}",
            topics=[chance.choice(["macro", "earnings", "dividend"])],
            label=chance.choice(["negative", "neutral", "positive"]),
            source=chance.choice(["wire", "courier"]),
        )
        for i in range(count)
    ]


def keys(found: Selection) -> list[str]:
    return [one.candidate.id for one in found.chosen]


def test_uncertain_ones_come_first_by_the_smallest_margin(database: Database) -> None:
    near = read("near", NOW, "Copper prices swing between gains and losses all morning", (0.41, 0.40, 0.19))
    tied = read("topic", NOW, "Ports reopen after the long strike in the northern towns")
    assert tied.understanding is not None
    tied = replace(tied, understanding=replace(tied.understanding, topics=(TopicScore("macro", 0.7025),)))
    feed.write(database, [*everyday(40, NOW - timedelta(days=1), NOW), near, tied])
    with database.transaction() as connection:
        found = select(connection, 5, ["uncertain"], thresholds={"en-small@1": {"macro": 0.7}})
    assert keys(found)[:2] == ["topic", "near"]
    assert found.chosen[1].why == "negative 0.41, neutral 0.40"
    assert "macro 0.70" in found.chosen[0].why


def test_labelled_documents_and_near_duplicates_are_left_out(database: Database) -> None:
    text = "Granite bridge tolls doubled overnight by the new operator of the northern crossing"
    copies = [
        read(f"copy-{i}", NOW - timedelta(minutes=i), f"RT @desk{i}: {text} https://x.example/{i}", (0.40, 0.40, 0.20))
        for i in range(4)
    ]
    other = read("other", NOW, "Salt mine workers vote on a wage offer after weeks of talks", (0.41, 0.40, 0.19))
    feed.write(database, [*everyday(20, NOW - timedelta(days=1), NOW), *copies, other])
    with database.transaction() as connection:
        before = select(connection, 10, ["uncertain"])
        assert len([id for id in keys(before) if id.startswith("copy")]) == 1
        labels.give(connection, copies[2].received.content.key, "Mei", sentiment="negative")  # type: ignore[union-attr]
        labels.give(connection, other.received.content.key, "Mei", sentiment="negative")  # type: ignore[union-attr]
        after = select(connection, 30)
    assert not [id for id in keys(after) if id.startswith("copy") or id == "other"]
    marks = [one.candidate.fingerprint for one in after.chosen]
    assert all(distance(a, b) > WITHIN for i, a in enumerate(marks) for b in marks[:i])


def test_diverse_ones_cover_what_labels_do_not(database: Database) -> None:
    rare = [
        read("zh", NOW, "央行维持利率不变并表示将继续观察通胀走势", lang="zh", topics=["macro"]),
        read("mna", NOW, "Harbour works agrees to buy the copper mill", topics=["mergers"], source="forum"),
    ]
    usual = everyday(60, NOW - timedelta(days=1), NOW)
    feed.write(database, [*usual, *rare])
    with database.transaction() as connection:
        for one in usual[:50]:
            assert isinstance(one.received.content, Document) and one.understanding and one.understanding.sentiment
            labels.give(
                connection,
                one.received.content.key,
                "Mei",
                sentiment=one.understanding.sentiment.label,
                topics=[topic.id for topic in one.understanding.topics],
            )
        found = select(connection, 6, ["diverse"])
    assert {"zh", "mna"} <= set(keys(found)[:3])
    strengths = [one.strength for one in found.chosen]
    assert strengths == sorted(strengths, reverse=True)


def test_drifting_ones_stand_for_what_is_new(database: Database) -> None:
    start = NOW - timedelta(days=20)
    quiet = everyday(150, start, NOW - timedelta(days=8))
    recent = everyday(60, NOW - timedelta(days=6), NOW, seed=2, prefix="recent")
    places = ["north", "south", "east", "west", "centre", "coast", "valley", "plain"]
    new = [
        read(
            f"new-{i}",
            NOW - timedelta(hours=i),
            f"Quantum tariff on {place} chips number {i * 31} hits makers",
            topics=["politics"],
        )
        for i, place in enumerate(places)
    ]
    feed.write(database, [*quiet, *recent, *new])
    with database.transaction() as connection:
        found = select(connection, 6, ["drifting"])
    assert all(id.startswith("new-") for id in keys(found))
    assert found.drift is not None and found.drift.against == "before"
    assert "tariff" in found.chosen[0].why or "quantum" in found.chosen[0].why
    shift = found.drift.shifts[0]
    assert shift.what == "politics" and shift.before == 0 and shift.index > 0.1


def test_nothing_drifts_when_nothing_changed(database: Database) -> None:
    feed.write(database, everyday(200, NOW - timedelta(days=20), NOW))
    with database.transaction() as connection:
        pool = sample(connection, NOW - timedelta(days=21), NOW + timedelta(minutes=1), most=1000)
    drift = since_before(pool[::2], pool[1::2])
    assert max((shift.index for shift in drift.shifts), default=0.0) < 0.05


def test_impact_follows_the_alerts_their_largest_stories_first(database: Database) -> None:
    told = [
        read(
            f"fire-{i}",
            NOW - timedelta(minutes=20 + i),
            "Tesla halts two lines after a battery fire in the plant",
            label="negative",
            companies=["TSLA"],
        )
        for i in range(3)
    ]
    once = read(
        "sued",
        NOW - timedelta(minutes=5),
        "Investors sue the car maker over brakes and recalls",
        label="negative",
        companies=["TSLA"],
    )
    fine = read(
        "fine",
        NOW - timedelta(minutes=5),
        "Car maker opens a second plant by the river in spring",
        label="positive",
        companies=["TSLA"],
    )
    feed.write(database, [*everyday(30, NOW - timedelta(days=1), NOW), *told, once, fine])
    feed.raise_alert(database, NOW)
    with database.transaction() as connection:
        found = select(connection, 5, ["impact"])
        assert select(connection, 5, ["impact"], lang="zh").chosen == ()
    assert [id.split("-")[0] for id in keys(found)] == ["fire", "sued"]
    assert found.chosen[0].why == "3 of 4 negative documents behind the critical alert */TSLA/en"


def test_mixed_takes_turns_and_is_the_same_every_time(database: Database) -> None:
    tariffs = [
        read(f"new-{i}", NOW - timedelta(hours=i), f"Quantum tariff hits makers of {thing} {i * 31} times over")
        for i, thing in enumerate(["chips", "ships", "glass", "grain", "copper", "bridges"])
    ]
    feed.write(database, [*everyday(150, NOW - timedelta(days=20), NOW), *tariffs])
    feed.write(database, [read("fire", NOW, "Tesla halts a line after a fire", label="negative", companies=["TSLA"])])
    feed.raise_alert(database, NOW + timedelta(minutes=1))
    with database.transaction() as connection:
        first, second = select(connection, 12), select(connection, 12)
    assert keys(first) == keys(second) and len(first.chosen) == 12
    assert [one.reason for one in first.chosen[:4]] == list(REASONS)
    assert len(set(keys(first))) == 12


def test_sample_of_many_is_fair_and_stays_the_same(database: Database) -> None:
    feed.write(database, everyday(400, NOW - timedelta(days=2), NOW))
    with database.transaction() as connection:
        some = sample(connection, NOW - timedelta(days=3), NOW + timedelta(days=1), most=100)
        again = sample(connection, NOW - timedelta(days=3), NOW + timedelta(days=1), most=100)
    assert some == again and 60 < len(some) < 150
    early = sum(one.published_at < NOW - timedelta(days=1) for one in some)
    assert 0.3 < early / len(some) < 0.7


@pytest.fixture
def run(database: Database, monkeypatch: pytest.MonkeyPatch, postgres_folder: Path) -> Run:
    monkeypatch.setenv("BELLWETHER_DATA_DIR", str(postgres_folder))
    monkeypatch.setenv("BELLWETHER_DATABASE_SCHEMA", database.schema)
    return lambda *arguments: CliRunner().invoke(bellwether, ["labels", *arguments])


def test_chosen_documents_go_to_a_file_and_come_back_labelled(run: Run, database: Database, tmp_path: Path) -> None:
    assert isinstance((empty := run("next")).exception, InputError) and "no scored documents" in str(empty.exception)
    feed.write(database, everyday(40, NOW - timedelta(days=1), NOW))
    shown = run("next", "--count", "4")
    assert shown.exit_code == 0 and "uncertain" in shown.output, shown.output
    for name, format in (("a.csv", None), ("a.jsonl", None), ("b.json", "label-studio"), ("c.json", "argilla")):
        done = run("next", "--count", "6", "--out", str(tmp_path / name), *(["--format", format] if format else []))
        assert done.exit_code == 0 and "6 documents are in" in done.output
    tasks = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))
    assert tasks[0]["predictions"][0]["model_version"] == "en-small@1"
    lines = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("sentiment,topics,key,text") and len(lines) == 7
    filled = [lines[0], *(f"negative,macro;earnings{line[1:]}" for line in lines[1:])]
    (tmp_path / "filled.csv").write_text("\n".join(filled), encoding="utf-8")
    assert "6 in the record" in run("import", str(tmp_path / "filled.csv")).output
    report = json.loads(run("next", "--count", "100", "--json").output)
    asked = {line.split(",")[2] for line in lines[1:]}
    assert len(report["documents"]) == 34 and not asked & {one["key"] for one in report["documents"]}
