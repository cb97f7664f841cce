"""Texts that break a careless run: single emoji, no topic at all, texts of the exam; and what a run records."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from monitor.documents import LABELS
from monitor.errors import InputError
from monitor.understand.encoders import digests, sha256
from monitor.understand.topics import load_taxonomy
from tests.integration.test_training import write_labels, write_recipe
from tests.unit.models import make_encoder
from training.corpus import Corpus
from training.data.examples import Example
from training.evaluation.pairs import PAIRS
from training.recipe import read_recipe
from training.run import run, teach

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_labels(tmp_path / "train.jsonl", count=200, seed=1)
    write_labels(tmp_path / "test.jsonl", count=40, seed=2)
    return tmp_path


def test_single_emoji_is_taught_held_out_and_read(data: Path) -> None:
    """No other text has its n-grams, so all of them weigh nothing."""
    with (data / "train.jsonl").open("a") as file:
        file.writelines("\n" + json.dumps({"text": chr(0x1F600 + n), "sentiment": "positive"}) for n in range(40))
    recipe = write_recipe(data, 'kind = "ngrams"\n[linear]\nbuckets = 65536\nheld_out = 0.2\n')
    bundle = run(read_recipe(str(recipe)), data=data, out=data / "out", taxonomy=load_taxonomy())
    assert bundle.manifest.metrics["test.jsonl"]["sentiment_accuracy"] > 0.9
    sentiment, topics = bundle.probabilities(["\U0001f700", "专"])
    assert np.isfinite(sentiment).all() and np.isfinite(topics).all()


def test_run_without_a_taught_topic_ends_well(tmp_path: Path) -> None:
    rows = [Example(f"profit {n} rises fast", sentiment=LABELS[n % 3], topics=()) for n in range(60)]
    recipe = read_recipe(str(write_recipe(tmp_path, 'kind = "ngrams"\n[linear]\nbuckets = 512\nheld_out = 0.2\n')))
    corpus = Corpus(rows[:40], rows[40:], ())
    bundle = teach(recipe, corpus, data=tmp_path, out=tmp_path / "out", taxonomy=load_taxonomy())
    assert bundle.manifest.topics == ()


def test_file_in_the_place_of_the_bundle_is_told_before_anything_is_taught(data: Path) -> None:
    (data / "model").write_text("mine")
    recipe = read_recipe(str(write_recipe(data, 'kind = "ngrams"\n')))
    with pytest.raises(InputError, match="model: is a file; name a folder with --out"):
        run(recipe, data=data, out=data / "model", taxonomy=load_taxonomy())
    assert (data / "model").read_text() == "mine"


def test_text_of_the_exam_that_ships_must_not_be_taught(data: Path) -> None:
    pair = json.loads((PAIRS / "en.exam.jsonl").read_text(encoding="utf-8").splitlines()[3])
    with (data / "train.jsonl").open("a") as file:
        file.write("\n" + json.dumps({"text": pair["good"], "sentiment": "positive"}))
    path = write_recipe(data, 'kind = "ngrams"\n')
    path.write_text(path.read_text().replace("probes = false\n", ""))
    with pytest.raises(InputError, match="1 of its texts are also in the training files"):
        run(read_recipe(str(path)), data=data, out=data / "out", taxonomy=load_taxonomy())


def test_record_says_what_a_run_began_with_and_was_measured_on(data: Path) -> None:
    encoder = make_encoder(data / "encoder")
    body = f'kind = "encoder"\n[encoder]\nname = "{encoder}"\n[schedule]\nepochs = 0.1\nmax_tokens = 8\n'
    run(read_recipe(str(write_recipe(data, body))), data=data, out=data / "out", taxonomy=load_taxonomy())
    lineage = json.loads((data / "out" / "lineage.json").read_text())
    assert lineage["start"] == digests(encoder)
    assert [(file["file"], file["sha256"]) for file in lineage["test_data"]] == [
        ("test.jsonl", sha256(data / "test.jsonl"))
    ]
    card = (data / "out" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "## Texts that were cut" in card and "only the first 8 tokens were taught" in card


@pytest.mark.timeout(400)
def test_million_rows_are_judged_before_anything_is_taught(data: Path) -> None:
    with (data / "train.jsonl").open("w") as file:
        for number in range(999_999):
            file.write(f'{{"text": "story {number} of the day", "sentiment": "{LABELS[number % 3]}"}}\n')
        file.write('{"text": "the last one", "sentiment": "postive"}\n')
    recipe = write_recipe(data, 'kind = "ngrams"\n')
    arguments = ["train", str(recipe), "--data", str(data), "--out", str(data / "out")]
    done = subprocess.run([sys.executable, "-m", "monitor.cli", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        "line 1000000: sentiment: 'postive' is none of negative, neutral, positive; did you mean positive?"
        in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert not list(data.glob("out*"))


@pytest.mark.parametrize("section", ["distil", "average"])
def test_bundle_that_is_still_to_be_trained_is_named_at_once(data: Path, section: str) -> None:
    key = {"distil": "teachers", "average": "bundles"}[section]
    plan = '[encoder]\nname = "nobody/none"\n[tuning]\nmethod = "full"\n'
    path = write_recipe(data, f'kind = "encoder"\n{plan}[{section}]\n{key} = ["models/first", "models/other"]\n')
    with pytest.raises(InputError, match=rf"{section}\.{key}: no bundle is in models/first; train it first"):
        run(read_recipe(str(path)), data=data, out=data / "out", taxonomy=load_taxonomy())
