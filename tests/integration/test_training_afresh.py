"""Runs that may not go on from what is there, and what can be seen of a run while it goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from monitor.errors import InputError
from monitor.understand.bundle import load_bundle
from monitor.understand.encoders import sha256
from monitor.understand.manifest import read_manifest
from monitor.understand.topics import load_taxonomy
from tests.integration.test_training import write_labels, write_recipe
from tests.integration.test_training_unbroken import ROOT, killed_when, started
from tests.unit.models import make_bundle, make_encoder, make_toward_bundle
from training.bases import Base
from training.continual import forgetting, forgetting_lines, gone_on
from training.data.examples import Example
from training.ensemble import members_of
from training.finetune import Lesson
from training.recipe import read_recipe


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_labels(tmp_path / "train.jsonl", count=300, seed=1)
    write_labels(tmp_path / "test.jsonl", count=60, seed=2)
    make_encoder(tmp_path / "encoder")
    return tmp_path


def plan(data: Path, more: str = "") -> Path:
    return write_recipe(
        data,
        f'kind = "encoder"\n[encoder]\nname = "{data / "encoder"}"\nmax_tokens = 64\n'
        "[schedule]\nepochs = 2\nbatch = 8\nhead_rate = 2e-2\nheld_out = 0.15\nmax_tokens = 48\n"
        f'precision = "fp32"\nthreads = 1\nchecks = 4\n[tuning]\nmethod = "heads"\n{more}',
    )


def test_changed_file_starts_a_killed_run_afresh_and_its_record_is_there_at_once(data: Path) -> None:
    out = data / "out"
    arguments = ["-m", "monitor.cli", "train", str(plan(data)), "--data", str(data), "--out", str(out)]
    killed_when(started(arguments), out, "*/checkpoints/checkpoint-*/complete")
    assert list((data / "out.log").glob("events.*")), "nothing to look at while the run goes on"
    write_labels(data / "train.jsonl", count=300, seed=7)
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    assert "goes on from" not in done.stderr
    assert read_manifest(out).training_data[0].sha256 == sha256(data / "train.jsonl")
    assert not (data / "out.run").exists()
    assert list((data / "out.log").glob("events.*"))


def test_member_of_an_ensemble_counts_as_taught_only_when_it_is_written_whole(data: Path) -> None:
    """`taught.json` leads to a full disk: what is renamed over it is whole, what would be written into it is not."""
    recipe = read_recipe(str(plan(data, "[ensemble]\nmembers = 2\n")), {"schedule.epochs": "0.2"})
    rows = [json.loads(line) for line in (data / "train.jsonl").read_text().splitlines()]
    examples = [Example(row["text"], "en", row["sentiment"], tuple(row["topics"])) for row in rows[:60]]
    lesson = Lesson(examples[:40], examples[40:], ["corporate_debt", "energy"])
    (data / "work" / "member-1").mkdir(parents=True)
    kept = data / "work" / "member-1" / "taught.json"
    kept.symlink_to("/dev/full")
    found = members_of(recipe, lesson, Base(data / "encoder", False), None, data / "work")
    assert len(found) == 2
    assert not kept.is_symlink()
    assert json.loads(kept.read_text())["score"] == found[0].score
    assert load_file(kept.with_name("taught.safetensors")).keys() == found[0].tensors.keys()


def test_bundle_that_knows_companies_is_gone_on_with_as_such(data: Path) -> None:
    folder = make_bundle(data / "before", data / "encoder", toward=True)
    assert read_manifest(folder).toward
    path = plan(data, f'[continual]\nbundle = "{folder}"\n')
    with pytest.raises(
        InputError, match=r"continual\.bundle: .*before was taught sentiment toward .*; set toward = true"
    ):
        gone_on(read_recipe(str(path)))
    recipe, manifest = gone_on(read_recipe(str(path), {"toward": "true"}))
    assert recipe.toward
    assert manifest.toward


def test_what_was_forgotten_of_companies_is_told(tmp_path: Path) -> None:
    before = load_bundle(make_toward_bundle(tmp_path / "before"))
    after = load_bundle(make_toward_bundle(tmp_path / "after", toward=False))
    texts = [
        Example("Acme falls and Bolt rises", "en", entities=(("Acme", "negative"), ("Bolt", "positive"))),
        Example("Acme rises and Bolt falls", "en", entities=(("Acme", "positive"), ("Bolt", "negative"))),
    ]
    bad = [Example("Acme falls and Bolt rises", "en", entities=(("Acme", True), ("Bolt", False)))]
    found = forgetting(before, after, {"a.jsonl": texts, "b.jsonl": bad}, load_taxonomy())
    rows = {(row["task"], row["name"]): row for row in found["a.jsonl"] + found["b.jsonl"]}
    assert rows["toward", "accuracy"]["before"] == 1.0
    assert rows["toward", "accuracy"]["after"] == 0.0
    assert rows["toward", "negative"]["before"] == 1.0
    assert rows["toward_bad", "accuracy"]["before"] == 1.0
    assert rows["toward_bad", "accuracy"]["after"] == 0.5
    assert "toward negative (a.jsonl: -1.0000)" in forgetting_lines(found, "small@1")[-1]
