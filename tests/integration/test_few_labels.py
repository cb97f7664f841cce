"""A topic from a handful of examples: it is found in texts nobody gave, and nothing else moves."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from monitor.errors import InputError
from monitor.understand.bundle import load_bundle
from monitor.understand.manifest import check_files, read_manifest
from tests.integration.test_training import BAD, GOOD, PLAIN
from tests.unit.models import make_bundle, make_encoder
from training.data.taught import hashes, read_taught, write_taught
from training.topics import topics

ALL = [*BAD, *GOOD, *PLAIN, "oil", "bank"]


def texts(count: int, *, seed: int, about: str) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.sample([*chance.sample(ALL, 3), "the", about, about], 6)) for _ in range(count)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("few")
    return make_bundle(root / "bundle", make_encoder(root / "encoder", hidden=64), hidden=64)


def written(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(path)


def called(bundle: Path, folder: Path, yes: list[str], no: list[str], *more: str) -> None:
    examples = written(folder / "examples.jsonl", [{"text": text} for text in yes])
    others = written(folder / "others.jsonl", [{"text": text} for text in no])
    arguments = ["add", "corporate_debt", "--examples", examples, "--background", others, "--to", str(bundle)]
    CliRunner().invoke(topics, [*arguments, "--out", str(folder / "new"), *more], catch_exceptions=False)


def test_eight_examples_make_a_topic_and_move_nothing_else(bundle: Path, tmp_path: Path) -> None:
    called(bundle, tmp_path, texts(8, seed=1, about="bond"), texts(60, seed=2, about="of"))
    before, after = load_bundle(bundle, device="cpu"), load_bundle(tmp_path / "new", device="cpu")
    check_files(tmp_path / "new", after.manifest)
    assert after.manifest.topics == (*before.manifest.topics, "corporate_debt")
    assert after.manifest.model == "tiny@1.2.4"
    yes, no = texts(50, seed=3, about="bond"), texts(50, seed=4, about="of")
    sentiment, known = before.probabilities([*yes, *no])
    same, more = after.probabilities([*yes, *no])
    assert np.array_equal(sentiment, same)
    # One row more makes the product of another shape: the same but for the last bits, which rounding hides.
    assert np.abs(known - more[:, :-1]).max() < 1e-6
    said = more[:, -1] >= after.manifest.thresholds["corporate_debt"]
    # The majority class would be right for half of these.
    assert (said == np.r_[np.ones(50, bool), np.zeros(50, bool)]).mean() > 0.85
    assert "Topic added: corporate_debt" in (tmp_path / "new" / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_topic_that_cannot_be_told_apart_is_refused_with_its_score(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"corporate_debt: cannot be told apart: F1 0\.\d\d over left-out texts"):
        called(bundle, tmp_path, texts(8, seed=5, about="of"), texts(60, seed=6, about="of"))
    assert not (tmp_path / "new").exists()


def test_what_cannot_be_added_is_said_in_a_line(bundle: Path, tmp_path: Path) -> None:
    few, many = texts(3, seed=1, about="bond"), texts(60, seed=2, about="of")
    with pytest.raises(InputError, match="3 examples are too few"):
        called(bundle, tmp_path, few, many)
    with pytest.raises(InputError, match="counterexamples are too few"):
        called(bundle, tmp_path, texts(8, seed=1, about="bond"), many[:5])
    examples = written(tmp_path / "x.jsonl", [{"text": text} for text in texts(8, seed=1, about="bond")])
    common = ["--examples", examples, "--to", str(bundle), "--out", str(tmp_path / "n")]
    with pytest.raises(InputError, match="knitting is no topic of"):
        CliRunner().invoke(topics, ["add", "knitting", *common], catch_exceptions=False)
    with pytest.raises(InputError, match="knows dividend already"):
        CliRunner().invoke(topics, ["add", "dividend", *common], catch_exceptions=False)
    assert read_manifest(bundle).version == "1.2.3"


def test_new_bundle_says_what_it_was_taught_and_from_which_it_comes(bundle: Path, tmp_path: Path) -> None:
    write_taught(bundle, ["a text the parent knows"])
    yes, no = texts(8, seed=1, about="bond"), texts(60, seed=2, about="of")
    called(bundle, tmp_path, yes, no)
    known = read_taught(tmp_path / "new")
    assert known is not None
    assert np.isin(hashes([*yes, *no, "a text the parent knows"]), known).all()
    lineage = json.loads((tmp_path / "new" / "lineage.json").read_text())
    assert (lineage["parent"], lineage["taught_of"]) == ("tiny@1.2.3", ["tiny@1.2.3"])


def test_misspelt_topic_of_an_example_is_no_counterexample(bundle: Path, tmp_path: Path) -> None:
    rows = [{"text": text, "topics": ["corporate_det"]} for text in texts(9, seed=1, about="bond")]
    examples = written(tmp_path / "x.jsonl", rows)
    arguments = ["add", "corporate_debt", "--examples", examples, "--to", str(bundle), "--out", str(tmp_path / "n")]
    with pytest.raises(InputError, match=r"'corporate_det' is neither a topic .* did you mean corporate_debt\?"):
        CliRunner().invoke(topics, arguments, catch_exceptions=False)
