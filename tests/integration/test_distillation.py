"""A student that learns from teachers alone, and from texts nobody labelled."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import numpy as np
import pytest

from monitor.errors import InputError
from monitor.understand.encoders import sha256
from monitor.understand.topics import load_taxonomy
from tests.integration.test_training import write_labels, write_recipe
from tests.unit.models import make_encoder
from training.corpus import Corpus
from training.crossvalidation import cross_validate
from training.data.examples import Example
from training.data.taught import hashes, read_taught
from training.distillation import advice_of
from training.recipe import Distillation, Recipe, read_recipe
from training.run import run, unlabelled_of

SMALL = (
    'max_tokens = 64\n[tuning]\nmethod = "full"\n[schedule]\nepochs = 6\nbatch = 16\nrate = 3e-3\nhead_rate = 1e-2\n'
    'held_out = 0.2\nprecision = "fp32"\n'
)


def recipe_in(folder: Path, name: str, more: str = "") -> Recipe:
    plan = f'kind = "encoder"\n[encoder]\nname = "{folder / "encoder"}"\n{SMALL}{more}'
    path = write_recipe(folder, plan)
    return read_recipe(str(path), {"name": name})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_encoder(tmp_path / "encoder")
    write_labels(tmp_path / "train.jsonl", count=500, seed=1)
    write_labels(tmp_path / "test.jsonl", count=100, seed=2)
    return tmp_path


def test_student_learns_what_the_teacher_says_of_unlabelled_texts(data: Path) -> None:
    teacher = run(recipe_in(data, "teacher"), data=data, out=data / "teacher", taxonomy=load_taxonomy())
    assert teacher.manifest.metrics["test.jsonl"]["sentiment_accuracy"] > 0.85
    # The student's own labels are few; the texts it is told about are many.
    rows = [json.loads(line) for line in (data / "train.jsonl").read_text().splitlines()]
    (data / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows[:40]))
    (data / "feed.jsonl").write_text("\n".join(json.dumps({"text": row["text"]}) for row in rows[40:]))
    alone = run(recipe_in(data, "alone"), data=data, out=data / "alone", taxonomy=load_taxonomy())
    taught = recipe_in(
        data,
        "student",
        f'[distil]\nteachers = ["{data / "teacher"}"]\nweight = 0.8\n'
        '[[unlabelled]]\nfile = "feed.jsonl"\norigin = "made by the test"\nlicence = "none"\n',
    )
    student = run(taught, data=data, out=data / "student", taxonomy=load_taxonomy())
    apart = student.manifest.metrics["test.jsonl"]["sentiment_accuracy"]
    assert apart > alone.manifest.metrics["test.jsonl"]["sentiment_accuracy"]
    assert apart > 0.8


def test_teacher_that_does_not_know_a_topic_is_refused(data: Path) -> None:
    run(recipe_in(data, "teacher"), data=data, out=data / "teacher", taxonomy=load_taxonomy())
    rows = [json.loads(line) for line in (data / "train.jsonl").read_text().splitlines()]
    (data / "train.jsonl").write_text(
        "\n".join(json.dumps(row | {"topics": row["topics"] * (i % 2) + ["macro"]}) for i, row in enumerate(rows))
    )
    taught = recipe_in(data, "student", f'[distil]\nteachers = ["{data / "teacher"}"]\n')
    with pytest.raises(InputError, match="does not know the topics macro"):
        run(taught, data=data, out=data / "student", taxonomy=load_taxonomy())


@pytest.fixture
def teacher(data: Path) -> Path:
    """A linear one, of a second."""
    recipe = write_recipe(data, 'kind = "ngrams"\n[linear]\nbuckets = 2048\nheld_out = 0.2\n')
    run(read_recipe(str(recipe), {"name": "teacher"}), data=data, out=data / "teacher", taxonomy=load_taxonomy())
    return data / "teacher"


def test_student_says_what_it_and_its_teacher_learned_from(data: Path, teacher: Path) -> None:
    rows = [json.loads(line) for line in (data / "train.jsonl").read_text().splitlines()]
    tests = [json.loads(line) for line in (data / "test.jsonl").read_text().splitlines()]
    (data / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows[:60]))
    # A tested text is no unlabelled one, also where the recipe has to say which column holds it.
    (data / "feed.jsonl").write_text("\n".join(json.dumps({"text": row["text"]}) for row in rows[60:160] + tests[:7]))
    notes = {"negative": 0, "neutral": 1, "positive": 2}
    lines = ["Kommentar;Note", *(f"{row['text']};{notes[row['sentiment']]}" for row in tests)]
    (data / "test.csv").write_text("\n".join(lines))
    taught = recipe_in(
        data,
        "student",
        f'[distil]\nteachers = ["{teacher}"]\n'
        '[[unlabelled]]\nfile = "feed.jsonl"\norigin = "a feed"\nlicence = "CC0"\n'
        '[[test]]\nfile = "test.csv"\norigin = "made"\nlicence = "none"\n'
        'fields = { text = "Kommentar", sentiment = "Note" }\n'
        'labels = { "0" = "negative", "1" = "neutral", "2" = "positive" }\n',
    )
    taught = taught.model_copy(
        update={"test": taught.test[:1], "schedule": taught.schedule.model_copy(update={"epochs": 0.5})}
    )
    assert [file.file for file in taught.test] == ["test.csv"]
    out = data / "student"
    run(taught, data=data, out=out, taxonomy=load_taxonomy())
    lineage = json.loads((out / "lineage.json").read_text())
    assert lineage["unlabelled"] == [
        {"file": "feed.jsonl", "origin": "a feed", "licence": "CC0", "sha256": sha256(data / "feed.jsonl"), "rows": 107}
    ]
    assert [one["model"] for one in lineage["teachers"]] == ["teacher@0.0.1"]
    assert lineage["teachers"][0]["sha256"] == sha256(teacher / "bundle.json")
    assert lineage["teachers"][0]["taught"][0]["licence"] == "none"
    card = (out / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "## What else it learned from" in card
    assert "- feed.jsonl: 107 texts without labels; a feed; licence: CC0" in card
    assert "- answers of teacher@0.0.1" in card
    assert card.index("## What else it learned from") < card.index("## How good it is")
    # The teacher was taught 500 texts, the student 60: an exam may ask none of them.
    known = read_taught(out)
    assert known is not None
    assert np.isin(hashes(row["text"] for row in rows), known).all()
    assert (np.diff(known) > 0).all()


def test_ignorant_teacher_is_told_before_pre_training(data: Path, teacher: Path) -> None:
    rows = [json.loads(line) for line in (data / "train.jsonl").read_text().splitlines()]
    (data / "train.jsonl").write_text(
        "\n".join(json.dumps(row | {"topics": row["topics"] * (i % 2) + ["macro"]}) for i, row in enumerate(rows))
    )
    taught = recipe_in(data, "student", f'[distil]\nteachers = ["{teacher}"]\n[pretrain]\nepochs = 1\n')
    with pytest.raises(InputError, match="does not know the topics macro"):
        run(taught, data=data, out=data / "student", taxonomy=load_taxonomy())
    assert not list(data.rglob("pretrain*"))


def test_half_written_advice_is_not_read(data: Path, teacher: Path) -> None:
    """The disk is full at the first try."""
    distil = Distillation(teachers=[str(teacher)])
    examples = [Example(f"oil profit number {number}") for number in range(400)]
    work = data / "work"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        with pytest.raises(OSError, match="large"):
            advice_of(distil, examples, ["energy"], work)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(work.glob("advice-*"))
    first = advice_of(distil, examples, ["energy"], work)
    again = advice_of(distil, examples, ["energy"], work)
    assert first is not None
    assert again is not None
    assert np.array_equal(first.sentiment, again.sentiment)
    assert [path.name[:7] for path in work.iterdir()] == ["advice-"]


def test_teacher_that_cannot_read_marked_texts_is_refused(data: Path, teacher: Path) -> None:
    taught = recipe_in(data, "student", f'[distil]\nteachers = ["{teacher}"]\n').model_copy(update={"toward": True})
    with pytest.raises(InputError, match="was not taught sentiment toward each of several companies"):
        run(taught, data=data, out=data / "student", taxonomy=load_taxonomy())


def test_folds_are_not_taught_what_they_are_tested_on_by_a_teacher_or_a_feed(data: Path, teacher: Path) -> None:
    taught = recipe_in(data, "student", f'[distil]\nteachers = ["{teacher}"]\n')
    with pytest.raises(InputError, match=r"--folds: .*teacher was taught 500 of the 500 texts that are tested here"):
        cross_validate(taught, 3, data=data, out=data / "folds", taxonomy=load_taxonomy())
    assert not (data / "folds").exists()
    # A feed that holds a tested text is read without it.
    rows = [Example(row["text"]) for row in map(json.loads, (data / "train.jsonl").read_text().splitlines())]
    (data / "feed.jsonl").write_text("\n".join(json.dumps({"text": row.text}) for row in rows[:30]))
    recipe = recipe_in(
        data, "own", '[pretrain]\nepochs = 1\n[[unlabelled]]\nfile = "feed.jsonl"\norigin = "x"\nlicence = "x"\n'
    )
    corpus = Corpus(rows[:10], rows[10:20], (), tested=rows[20:25])
    found, _ = unlabelled_of(recipe, corpus, data)
    assert [row.text for row in found] == [row.text for row in rows[25:30]]
