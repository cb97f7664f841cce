"""What keeps a candidate from serving beside wrong answers: exams that ask too little or were changed, and losses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.settings import Settings
from monitor.store.database import Database
from monitor.understand.encoders import sha256
from monitor.understand.lineup import shipped
from tests.unit.models import make_toward_bundle
from training.data.taught import hashes, read_taught, write_taught
from training.evaluation.pairs import PAIRS
from training.registry.folders import LINEAGE
from training.registry.promoting import Promotion, promote
from training.registry.registering import register

ENGLISH = next(seat for seat in shipped() if seat.languages == ("en",))
Take = Callable[..., Promotion]


@pytest.fixture
def settings(make_settings: Callable[..., Settings], schema: str, tmp_path: Path) -> Settings:
    return make_settings(
        database_schema=schema, engine_models=tmp_path / "registry", engine_device="cpu", engine_threads=1
    )


@pytest.fixture
def made(settings: Settings, database: Database, tmp_path: Path) -> Callable[..., str]:
    """Registers a version of a bundle that calls these exams' texts neutral and macro; `changes` are its manifest's."""

    def make(version: str, **changes: Any) -> str:
        folder = make_toward_bundle(tmp_path / f"{changes.get('name')}-{version}", version=version, **changes)
        return register(database, settings, folder, "ann").model

    return make


@pytest.fixture
def take(settings: Settings, database: Database) -> Take:
    def call(model: str, *exam: Path, force: bool = False, **other: Any) -> Promotion:
        return promote(database, settings, model, actor="ann", exam=exam, force=force, reason="test" * force, **other)

    return call


def write(
    path: Path, *, texts: int = 150, sentiment: int = 150, topics: int = 0, toward: int = 0, lang: str = "en"
) -> Path:
    """An exam: so many texts, and so many of them with a label of each task."""
    rows = []
    for number in range(texts):
        row: dict[str, Any] = {"text": f"Acme and Bolt meet, day {number}", "lang": lang}
        if number < sentiment:
            row["sentiment"] = "neutral"
        if number < topics:
            row["topics"] = ["macro"]
        if number < toward:
            row["entity_sentiment"] = {"Acme": "neutral"}
        rows.append(row)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def told(found: Promotion, *parts: str) -> bool:
    """Whether the objections are just these, each known by a part of it."""
    return len(found.objections) == len(parts) and all(
        part in said for part, said in zip(parts, found.objections, strict=True)
    )


def test_exam_without_labels_promotes_nobody(made: Callable[..., str], take: Take, tmp_path: Path) -> None:
    take(made("1"), force=True)
    found = take(made("2"), write(tmp_path / "bare.jsonl", sentiment=0))
    assert not found.promoted
    assert "0 labelled texts in en, 100 are needed to tell anything of sentiment" in found.objections[0]
    # Labels for topics alone tell nothing of sentiment.
    found = take("pointer@2", write(tmp_path / "topics.jsonl", sentiment=0, topics=150))
    assert told(found, "0 labelled texts in en, 100")


@pytest.mark.parametrize(
    ("topics", "toward", "said"),
    [
        (0, 0, []),
        (100, 100, []),
        (99, 100, ["99 labelled texts in en with topics"]),
        (0, 20, ["20 labelled companies in texts in en"]),
    ],
)
def test_what_an_exam_asks_it_must_ask_often_enough(
    made: Callable[..., str], take: Take, tmp_path: Path, topics: int, toward: int, said: Sequence[str]
) -> None:
    take(made("1"), force=True)
    found = take(made("2"), write(tmp_path / "exam.jsonl", topics=topics, toward=toward))
    assert found.promoted == (not said)
    assert told(found, *said)
    asked = {"topics": topics, "toward": toward}
    assert found.comparisons["en"]["not_asked"] == [task for task, count in asked.items() if not count]


def test_labels_of_what_the_champion_does_not_say_may_be_few(
    made: Callable[..., str], take: Take, tmp_path: Path
) -> None:
    take(made("1", toward=False), force=True)
    assert take(made("2", toward=False), write(tmp_path / "exam.jsonl", toward=5)).promoted


def test_candidate_that_would_take_something_out_of_service_is_refused(
    made: Callable[..., str], take: Take, tmp_path: Path
) -> None:
    take(made("1"), force=True)
    few = made("2", toward=False)
    exam = write(tmp_path / "exam.jsonl")
    found = take(few, exam)
    assert not found.promoted
    assert told(found, "pointer@2 does not tell sentiment toward each company, as pointer@1 does")
    found = take(few, exam, force=True)
    assert (found.promoted, found.forced) == (True, True)
    # The other way round nothing is lost.
    assert take("pointer@1", exam).objections == []


def test_candidate_that_lacks_topics_is_refused(made: Callable[..., str], take: Take, tmp_path: Path) -> None:
    found = take(made("1"), write(tmp_path / "exam.jsonl", topics=150))
    assert not found.promoted
    (lost,) = (said for said in found.objections if "lacks topics" in said)
    assert f"pointer@1 lacks topics of {ENGLISH.model}: analyst_update, " in lost and "others" in lost


def test_bias_that_leaves_its_bounds_is_told(made: Callable[..., str], take: Take, tmp_path: Path) -> None:
    def bias(company: float, gender: float, flips: float = 0.0) -> dict[str, Any]:
        numbers = {"company": company, "gender": gender}
        found = {f"{group}_en_mean_movement": moved for group, moved in numbers.items()}
        return {"bias": found | {f"{group}_en_flips": flips for group in numbers}}

    exam = write(tmp_path / "exam.jsonl")
    take(made("1", metrics=bias(0.01, 0.09)), force=True)
    found = take(made("2", metrics=bias(0.06, 0.10)), exam)
    assert not found.promoted
    assert told(found, "bias, company: the score of pointer@2 moves by 0.0600 on average (0.05 allowed)")
    found = take(made("3", metrics=bias(0.05, 0.05, flips=0.03)), exam)
    assert told(found, "bias, company: the score of pointer@3 moves by 0.0500 on average")
    assert take(made("4", metrics=bias(0.05, 0.99, flips=0.02)), exam).objections == []
    assert take(made("5"), exam).objections == []


def test_exam_that_was_changed_is_no_longer_the_exam(
    made: Callable[..., str], take: Take, settings: Settings, database: Database, tmp_path: Path
) -> None:
    exam = write(tmp_path / "exam.jsonl")
    take(made("1"), exam, force=True)
    write(exam, texts=120)
    changed = "exam.jsonl has changed since a promotion"
    assert told(take(made("2"), exam), changed)
    engine = settings.engine.model_copy(update={"exam": [exam]})
    found = promote(database, settings.model_copy(update={"engine": engine}), "pointer@2", actor="ann")
    assert not found.promoted and told(found, changed)
    # Once that is overruled this is what the file holds.
    found = take("pointer@2", exam, force=True)
    assert (found.promoted, found.forced) == (True, True) and told(found, changed)
    assert take(made("3"), exam).objections == []


def test_exam_of_the_last_promotion_is_that_of_the_language(
    made: Callable[..., str], take: Take, tmp_path: Path
) -> None:
    english, chinese = write(tmp_path / "en.jsonl"), write(tmp_path / "zh.jsonl", lang="zh")
    take(made("1"), english, force=True)
    take(made("1", name="zeiger", languages=["zh"]), chinese, force=True)
    found = take(made("2"))
    assert (found.promoted, [row["file"] for row in found.exam]) == (True, [str(english)])
    found = take(made("1", name="both", languages=["en", "zh"]))
    assert (found.promoted, sorted(row["file"] for row in found.exam)) == (True, [str(english), str(chinese)])


def test_exam_of_what_the_models_it_learned_from_were_taught_is_no_exam(
    settings: Settings, database: Database, take: Take, tmp_path: Path
) -> None:
    taught = read_taught(ENGLISH.folder)
    assert taught is not None
    lines = (PAIRS / "en.train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if np.isin(hashes([row["text"]]), taught).all()][:120]
    exam = tmp_path / "exam.jsonl"
    exam.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    teacher = {"model": "teacher@3", "taught": [{"file": "theirs.jsonl", "sha256": sha256(exam)}]}
    for version, lineage in (
        ("1", {"parent": ENGLISH.model}),
        ("2", {"parent": "somebody@9"}),
        ("3", {"parent": "pointer@1", "teachers": [teacher]}),
    ):
        folder = make_toward_bundle(tmp_path / version, version=version)
        (folder / LINEAGE).write_text(json.dumps(lineage), encoding="utf-8")
        write_taught(folder, ["a text of its own"])
        register(database, settings, folder, "ann")
    found = take("pointer@1", exam)
    assert any(f"{ENGLISH.model} was taught 120 of its texts" in said for said in found.objections)
    assert not found.notes
    found = take("pointer@2", exam)
    assert not any("was taught" in said for said in found.objections)
    assert len(found.notes) == 1 and "cannot be told: somebody@9, from which it learned," in found.notes[0]
    found = take("pointer@3", exam)
    assert any(f"{exam} is theirs.jsonl, which pointer@3 was taught" in said for said in found.objections)
    assert any(f"{ENGLISH.model} was taught 120 of its texts" in said for said in found.objections)
    assert len(found.notes) == 1 and "teacher@3" in found.notes[0]
    # Where the candidate's own hashes hold what its teacher was taught, nothing is left to be told.
    folder = make_toward_bundle(tmp_path / "4", version="4")
    own = {"parent": "pointer@1", "teachers": [teacher], "taught_of": ["teacher@3"]}
    (folder / LINEAGE).write_text(json.dumps(own), encoding="utf-8")
    write_taught(folder, ["a text of its own"])
    register(database, settings, folder, "ann")
    assert take("pointer@4", exam).notes == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be somebody else")
def test_user_without_a_name_is_told_by_number() -> None:
    code = "import os, pwd; from training.registry.commands import this_user; os.setuid(54321); print(this_user())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "uid 54321\n", done.stderr
