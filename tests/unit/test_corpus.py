"""What a recipe's files become: which texts are taught, held out or left out, and what a run notes of the files."""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.errors import InputError
from monitor.understand.topics import load_taxonomy
from tests.unit.models import make_toward_bundle
from training.corpus import Corpus, gather
from training.data.doubles import fingerprint
from training.data.examples import Example
from training.data.near import first_copies, marked
from training.data.splits import held_out
from training.recipe import Recipe, read_recipe
from training.run import digest_of

LABELS = ("negative", "neutral", "positive")
WORDS = ("bank", "oil", "mine", "court", "port", "rail", "ship", "steel", "bond", "loan", "tax", "fund", "farm", "coal")


def rows_of(count: int, seed: int = 0) -> list[dict[str, object]]:
    """Texts of which none is nearly another."""
    rows: list[dict[str, object]] = []
    for number in range(count):
        digits = hashlib.sha256(f"{seed} {number}".encode()).digest()
        text = " ".join(WORDS[digit % len(WORDS)] + str(digit) for digit in digits[:12])
        rows.append({"text": text, "sentiment": LABELS[number % 3]})
    return rows


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def recipe_of(folder: Path, body: str, *settings: tuple[str, str], kind: str = "ngrams") -> Recipe:
    path = folder / "recipe.toml"
    head = f'name = "own"\nversion = "0.1.0"\nkind = "{kind}"\nlanguages = ["en"]\n'
    path.write_text(head + body.replace("@", 'origin = "here"\nlicence = "MIT"\n'))
    return read_recipe(str(path), dict(settings))


def gathered(folder: Path, recipe: Recipe) -> Corpus:
    return gather(recipe, folder, load_taxonomy())


ONE = '[[train]]\nfile = "train.jsonl"\n@'


def test_file_with_repeat_0_is_left_out(tmp_path: Path) -> None:
    rows = rows_of(60)
    write(tmp_path / "train.jsonl", rows[:40])
    write(tmp_path / "out.jsonl", rows[30:])
    corpus = gathered(tmp_path, recipe_of(tmp_path, ONE + '[[train]]\nfile = "out.jsonl"\n@repeat = 0\n'))
    assert {row.text for row in (*corpus.taught, *corpus.held)} == {row["text"] for row in rows[:40]}
    assert [data.file for data in corpus.training_data] == ["train.jsonl"]


def test_texts_of_a_file_may_all_be_taught(tmp_path: Path) -> None:
    rows = rows_of(120)
    write(tmp_path / "train.jsonl", rows[:60])
    write(tmp_path / "made.jsonl", rows[60:])
    made = '[[train]]\nfile = "made.jsonl"\n@held = false\n'
    corpus = gathered(tmp_path, recipe_of(tmp_path, ONE + made))
    own = {str(row["text"]) for row in rows[:60]}
    assert corpus.held and all(row.text in own for row in corpus.held)
    assert len(corpus.taught) + len(corpus.held) == 120
    with pytest.raises(InputError, match="no file has texts held out"):
        gathered(tmp_path, recipe_of(tmp_path, made))


def test_set_of_which_nothing_is_held_out_is_refused(tmp_path: Path) -> None:
    rows = [row for row in rows_of(60) if not held_out([Example(str(row["text"]))], 0.1)[1]][:6]
    write(tmp_path / "train.jsonl", rows)
    with pytest.raises(InputError, match=r"of 6 texts none is held out, .* raise linear\.held_out \(0\.1\)"):
        gathered(tmp_path, recipe_of(tmp_path, ONE))
    settings = (("kind", "encoder"), ("encoder.name", "e"), ("schedule.held_out", "0.1"))
    with pytest.raises(InputError, match=r"raise schedule\.held_out \(0\.1\)"):
        gathered(tmp_path, recipe_of(tmp_path, ONE, *settings))


def test_set_of_which_all_is_held_out_is_refused(tmp_path: Path) -> None:
    rows = [row for row in rows_of(60) if held_out([Example(str(row["text"]))], 0.4)[1]][:6]
    write(tmp_path / "train.jsonl", rows)
    with pytest.raises(InputError, match=r"of 6 texts none is left to teach; lower linear\.held_out"):
        gathered(tmp_path, recipe_of(tmp_path, ONE, ("linear.held_out", "0.4")))


def test_corpus_keeps_what_was_read_of_each_file(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", rows_of(40))
    lines = ["Kommentar;Note"] + [f"{row['text']};{number % 2}" for number, row in enumerate(rows_of(20, seed=1))]
    (tmp_path / "survey.csv").write_text("\n".join(lines))
    mapped = (
        '[[train]]\nfile = "survey.csv"\n@held = false\nrepeat = 3\n'
        'fields = { text = "Kommentar", sentiment = "Note" }\nlabels = { "0" = "negative", "1" = "positive" }\n'
    )
    corpus = gathered(tmp_path, recipe_of(tmp_path, ONE + mapped))
    digest = hashlib.sha256((tmp_path / "survey.csv").read_bytes()).hexdigest()
    assert [(data.file, data.rows) for data in corpus.training_data] == [("train.jsonl", 40), ("survey.csv", 20)]
    assert corpus.training_data[1].sha256 == digest
    survey = {fingerprint(str(row["text"])) for row in rows_of(20, seed=1)}
    assert corpus.always == survey
    assert dict(corpus.repeats) == dict.fromkeys(survey, 3)


def test_test_file_that_is_not_there_is_told_with_the_nearest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "train.jsonl", rows_of(60))
    write(tmp_path / "exam.jsonl", rows_of(5, seed=2))
    body = ONE + '[[test]]\nfile = "exma.jsonl"\n@'
    with caplog.at_level(logging.WARNING):
        gathered(tmp_path, recipe_of(tmp_path, body))
    assert "exma.jsonl is not in" in caplog.text
    assert "did you mean exam.jsonl?" in caplog.text
    with pytest.raises(InputError, match=r"package:pairs/en\.exma\.jsonl: no such file comes with the program"):
        gathered(tmp_path, recipe_of(tmp_path, body.replace("exma.jsonl", "package:pairs/en.exma.jsonl")))


# --- splits ----------------------------------------------------------------------------------------------------------


def test_stratified_split_holds_out_each_label_and_keeps_near_copies_on_one_side(tmp_path: Path) -> None:
    rows = rows_of(120)
    rows += [{**row, "text": f"{row['text']} {row['text']} now"} for row in rows[:40]]
    texts = [str(row["text"]) for row in rows]
    groups = first_copies(marked(texts))
    assert len(set(groups.tolist())) < 140, "the test needs near copies"
    write(tmp_path / "train.jsonl", rows)
    write(tmp_path / "made.jsonl", rows_of(30, seed=1))
    body = ONE + '[[train]]\nfile = "made.jsonl"\n@held = false\n[schedule]\nsplit = "stratified"\n'
    corpus = gathered(tmp_path, recipe_of(tmp_path, body))
    held = {row.text for row in corpus.held}
    assert 8 <= len(held) <= 24
    assert {row.sentiment for row in corpus.held} == set(LABELS)
    assert not held & {row["text"] for row in rows_of(30, seed=1)}
    sides = {(int(group), text in held) for group, text in zip(groups, texts, strict=True)}
    assert len(sides) == len({group for group, _ in sides})
    assert gathered(tmp_path, recipe_of(tmp_path, body)).held == corpus.held


def test_split_by_time_holds_out_the_latest_and_needs_times(tmp_path: Path) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [row | {"published_at": (start + timedelta(days=n)).isoformat()} for n, row in enumerate(rows_of(50))]
    write(tmp_path / "train.jsonl", rows[::-1])
    write(tmp_path / "made.jsonl", rows_of(30, seed=1))  # never held out, so it needs no times
    body = ONE + '[[train]]\nfile = "made.jsonl"\n@held = false\n[schedule]\nsplit = "time"\n'
    corpus = gathered(tmp_path, recipe_of(tmp_path, body))
    assert {row.text for row in corpus.held} == {row["text"] for row in rows[-5:]}
    assert len(corpus.taught) == 45 + 30
    write(tmp_path / "train.jsonl", rows[:30] + rows_of(5, seed=3))
    with pytest.raises(InputError, match=r"schedule\.split = time: 5 of 35 texts have no published_at"):
        gathered(tmp_path, recipe_of(tmp_path, body))


def test_near_copies_of_tested_texts_are_left_out_unless_their_file_allows_it(tmp_path: Path) -> None:
    story = (
        "The bank said on Tuesday that it had found irregularities in the accounts of its Nordic branch and would "
        "report them to the regulator which has asked for the minutes of three meetings at which the loans had been "
        "discussed"
    )
    train = [{"words": f"Company number {n} says {n * 7}", "label": n % 2} for n in range(40)]
    write(tmp_path / "train.jsonl", [*train, {"words": story + " soon", "label": 1}])
    write(tmp_path / "test.jsonl", [{"text": story}])
    body = ONE + 'fields = { text = "words" }\nlabels = { "1" = "positive", "0" = "negative" }\n'
    body += '[[test]]\nfile = "test.jsonl"\n@'
    corpus = gathered(tmp_path, recipe_of(tmp_path, body))
    texts = [row.text for row in (*corpus.taught, *corpus.held)]
    assert len(texts) == 40
    assert story + " soon" not in texts
    allowed = gathered(tmp_path, recipe_of(tmp_path, body + "near_leaks = true\n"))
    assert len(allowed.taught) + len(allowed.held) == 41
    assert (corpus.near_taught, allowed.near_taught) == (frozenset(), {"test.jsonl"})
    assert [len(each.near_leaks["test.jsonl"].pairs) for each in (corpus, allowed)] == [1, 1]
    write(tmp_path / "train.jsonl", [row | {"label": 1} for row in train])
    with pytest.raises(InputError, match="all 40 sentiment labels are positive"):
        gathered(tmp_path, recipe_of(tmp_path, body))


# --- what a run begins with ------------------------------------------------------------------------------------------


def test_key_of_an_older_bundles_recipe_is_told_to_be_gone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"topics\.exclusive is gone, for it did nothing; delete it"):
        recipe_of(tmp_path, ONE + "[topics]\nexclusive = true\n")
    with pytest.raises(InputError, match=r"near_leaks is gone, for each \[\[test\]\] file says it of itself"):
        recipe_of(tmp_path, "near_leaks = true\n" + ONE)


def test_checkpoints_are_of_one_recipe_its_files_and_its_teachers(tmp_path: Path) -> None:
    rows = rows_of(60)
    write(tmp_path / "train.jsonl", rows)
    teacher = make_toward_bundle(tmp_path / "teacher")
    body = ONE + f'[encoder]\nname = "any"\n[distil]\nteachers = ["{teacher}"]\n'

    def digest(processes: int = 1, *settings: tuple[str, str]) -> str:
        recipe = recipe_of(tmp_path, body, *settings, kind="encoder")
        return digest_of(recipe, gathered(tmp_path, recipe), processes)

    first = digest()
    assert digest() == first
    found = {first, digest(2), digest(1, ("schedule.seed", "14"))}
    rows[0]["sentiment"] = "neutral"
    write(tmp_path / "train.jsonl", rows)
    found.add(digest())
    manifest = json.loads((teacher / "bundle.json").read_text())
    (teacher / "bundle.json").write_text(json.dumps(manifest | {"version": "0.0.9"}))
    found.add(digest())
    assert len(found) == 5
