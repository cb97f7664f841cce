"""Cross-validation: every text is tested once, on a model that did not see it."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from monitor.errors import InputError
from monitor.understand.bundle import load_bundle
from monitor.understand.manifest import read_manifest
from monitor.understand.topics import load_taxonomy
from tests.integration.test_training import write_labels, write_recipe
from tests.unit.test_corpus import rows_of
from training.commands import train
from training.crossvalidation import cross_validate
from training.data.near import first_copies, marked
from training.data.taught import hashes, read_taught
from training.recipe import read_recipe


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


def _near(one: dict[str, object], other: dict[str, object]) -> bool:
    return first_copies(marked([str(one["text"]), str(other["text"])])).tolist() == [0, 0]


def test_folds_test_each_text_once_near_copies_together_and_never_what_is_always_taught(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows, made = rows_of(60), rows_of(60, seed=4)
    copies = [row | {"text": f"{row['text']} {row['text']} now"} for row in rows]
    near = [place for place in range(60) if _near(rows[place], copies[place])]
    free = [*rows, *(copies[place] for place in near)]
    assert len(near) > 20, "the test needs near copies"
    copy = rows[near[0]] | {"text": f"{rows[near[0]]['text']} {rows[near[0]]['text']} so"}
    assert _near(rows[near[0]], copy)
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, free)))
    (tmp_path / "made.jsonl").write_text("\n".join(map(json.dumps, [*made, copy])))
    recipe = write_recipe(
        tmp_path,
        'kind = "ngrams"\n[linear]\nbuckets = 1024\nheld_out = 0.2\n'
        '[[train]]\nfile = "made.jsonl"\norigin = "made"\nlicence = "none"\nheld = false\n',
    )
    recipe.write_text(recipe.read_text().replace('file = "train.jsonl"', 'file = "train.jsonl"\nrepeat = 6'))
    write_labels(tmp_path / "test.jsonl", count=20, seed=2)
    out = tmp_path / "folds"
    with caplog.at_level(logging.INFO, "training.crossvalidation"):
        cross_validate(read_recipe(str(recipe)), 3, data=tmp_path, out=out, taxonomy=load_taxonomy())
    taught = [read_taught(out / str(number)) for number in (1, 2, 3)]
    left_out = np.array([~np.isin(hashes(row["text"] for row in free), known) for known in taught])
    assert (left_out.sum(0) == 1).all()
    fold = left_out.argmax(0)
    assert fold[near].tolist() == fold[60:].tolist()
    always = hashes(row["text"] for row in made)
    assert all(np.isin(always, known).all() for known in taught)
    # But what is nearly a tested text is not taught in that fold.
    where = fold[near[0]]
    assert [bool(np.isin(hashes([copy["text"]]), known)[0]) for known in taught] == [n != where for n in range(3)]
    told = re.findall(r"fold \d of 3: (\d+) texts to teach, (\d+) tested", caplog.text)
    assert [int(count) for _, count in told] == left_out.sum(1).tolist()
    for (count, _), known, folder in zip(told, taught, (out / "1", out / "2", out / "3"), strict=True):
        held = re.search(r"; (\d+) were held out", (folder / "MODEL_CARD.md").read_text(encoding="utf-8"))
        assert held is not None
        once = int(np.isin(hashes(row["text"] for row in [*made, copy]), known).sum())
        assert int(count) == once + 6 * (len(known) - once - int(held[1]))


def test_folds_of_something_else_are_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_labels(tmp_path / "train.jsonl", count=120, seed=1)
    write_labels(tmp_path / "test.jsonl", count=20, seed=2)
    path = write_recipe(tmp_path, 'kind = "ngrams"\n[linear]\nbuckets = 1024\nheld_out = 0.2\n')
    out = tmp_path / "folds"

    def folds(k: int, **settings: str) -> list[dict[str, float]]:
        recipe = read_recipe(str(path), {key.replace("__", "."): value for key, value in settings.items()})
        return cross_validate(recipe, k, data=tmp_path, out=out, taxonomy=load_taxonomy())

    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="folds are taught by one process"):
        folds(2)
    monkeypatch.delenv("WORLD_SIZE")
    assert not out.exists()
    first = folds(2)
    assert folds(2) == first
    with pytest.raises(InputError, match="holds folds of another number of folds; name another folder"):
        folds(3)
    with pytest.raises(InputError, match="holds folds of another recipe or other data"):
        folds(2, linear__topics_c="1.0")
    write_labels(tmp_path / "train.jsonl", count=120, seed=5)
    with pytest.raises(InputError, match="holds folds of another recipe or other data"):
        folds(2)
    (out / "folds.json").unlink()
    with pytest.raises(InputError, match=r"holds a bundle 1 and no folds\.json"):
        folds(2)
    assert read_manifest(out / "1").model == "small@0.0.1"
