"""A student that learns from teachers alone, and from texts nobody labelled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.errors import InputError
from monitor.understand.topics import load_taxonomy
from tests.integration.test_training import write_labels, write_recipe
from tests.unit.models import make_encoder
from training.recipe import Recipe, read_recipe
from training.run import run

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
