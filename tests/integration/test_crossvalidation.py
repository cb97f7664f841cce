"""Cross-validation: every text is tested once, on a model that did not see it."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from monitor.understand.bundle import load_bundle
from tests.integration.test_training import write_labels, write_recipe
from training.commands import train


def test_every_fold_is_taught_and_tested_and_a_second_call_teaches_nothing(tmp_path: Path) -> None:
    write_labels(tmp_path / "train.jsonl", count=240, seed=1)
    write_labels(tmp_path / "test.jsonl", count=20, seed=2)
    recipe = write_recipe(tmp_path, 'kind = "ngrams"\n[linear]\nbuckets = 4096\nheld_out = 0.2\n')
    call = [str(recipe), "--data", str(tmp_path), "--out", str(tmp_path / "folds"), "--folds", "3"]
    done = CliRunner().invoke(train, call, catch_exceptions=False)
    assert done.exit_code == 0
    accuracy = next(line for line in done.output.splitlines() if "sentiment accuracy" in line)
    assert float(accuracy.split(": ")[1].split(" ±")[0]) > 0.9
    written = [(tmp_path / "folds" / str(number) / "bundle.json").stat().st_mtime_ns for number in (1, 2, 3)]
    again = CliRunner().invoke(train, call, catch_exceptions=False)
    assert again.stdout == done.stdout
    assert [(tmp_path / "folds" / str(n) / "bundle.json").stat().st_mtime_ns for n in (1, 2, 3)] == written


def test_model_of_sentiment_alone_has_no_topics_and_serves(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in write_labels(tmp_path / "a.jsonl", count=200, seed=1).read_text().splitlines()]
    for name, part in (("train", rows[:160]), ("test", rows[160:])):
        lines = [json.dumps({"text": row["text"], "sentiment": row["sentiment"]}) for row in part]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    recipe = write_recipe(tmp_path, 'kind = "ngrams"\n[linear]\nbuckets = 4096\nheld_out = 0.2\n')
    call = [str(recipe), "--data", str(tmp_path), "--out", str(tmp_path / "bundle")]
    done = CliRunner().invoke(train, call, catch_exceptions=False)
    assert done.exit_code == 0
    sentiment, topics = load_bundle(tmp_path / "bundle").probabilities(["fraud loss", "record profit"])
    assert sentiment.argmax(1).tolist() == [0, 2]
    assert topics.shape == (2, 0)
