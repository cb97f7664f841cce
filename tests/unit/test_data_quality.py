"""Near copies, contradictions, leaks, splits and label noise of labelled texts."""

from __future__ import annotations

import doctest
import json
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import training.data.splits
from monitor.documents import LABELS
from monitor.errors import InputError
from monitor.understand.novelty import distance, stories
from monitor.understand.topics import load_taxonomy
from training.corpus import in_taxonomy
from training.data.classes import refuse_one_class
from training.data.command import data
from training.data.doubles import conflicts, without_doubles
from training.data.examples import Example
from training.data.leaks import without_near_leaks
from training.data.near import copied_from, first_copies, marked, near_pairs
from training.data.noise import confident_joint, joint, judge, label_noise
from training.data.splits import folds, held_out, stratified, time_folds, time_ordered

LONG = (
    "The bank said on Tuesday that it had found irregularities in the accounts of its Nordic branch and would report "
    "them to the regulator which has asked for the minutes of three meetings at which the loans had been discussed"
)


def clustered(count: int, seed: int) -> np.ndarray:
    """Random fingerprints, every second one changed from another in 0 to 10 bits."""
    draw = random.Random(seed)
    marks: list[int] = []
    for _ in range(count // 2):
        mark = draw.getrandbits(64)
        other = mark
        for bit in draw.sample(range(64), draw.randint(0, 10)):
            other ^= 1 << bit
        marks += [mark, other]
    draw.shuffle(marks)
    return np.array(marks, dtype=np.uint64)


# --- near copies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("within", [0, 3, 6, 9])
def test_index_finds_just_the_pairs_that_comparing_all_finds(within: int) -> None:
    marks = clustered(400, within)
    every = [[i, j] for i, j in combinations(range(len(marks)), 2) if distance(int(marks[i]), int(marks[j])) <= within]
    assert near_pairs(marks, within=within).tolist() == every
    assert len(every) > 10


def test_first_copies_are_the_stories_of_the_service() -> None:
    marks = clustered(600, 5)
    heads: dict[int, list[int]] = {}
    for place, head in enumerate(first_copies(marks).tolist()):
        heads.setdefault(head, []).append(place)
    assert list(heads.values()) == stories([(place, int(mark)) for place, mark in enumerate(marks)])


def test_copied_from_is_the_first_near_one() -> None:
    marks = clustered(600, 6)
    here, there = marks[:300], marks[300:]
    expected = [next((j for j, other in enumerate(there) if distance(int(mark), int(other)) <= 6), -1) for mark in here]
    assert copied_from(here, there).tolist() == expected
    assert {-1} < set(expected)


def test_near_copies_are_copies_of_the_first_whatever_their_labels() -> None:
    rows = [
        Example(LONG, sentiment="negative"),
        Example("RT @desk: " + LONG + " it", sentiment="negative"),
        Example(LONG + " soon", sentiment="positive"),
        Example(LONG + " on", topics=("legal_regulation",)),
        Example(LONG + " today"),
        Example("Quite another story about copper prices in London today", sentiment="negative"),
    ]
    marks = marked([row.text for row in rows])
    assert first_copies(marks).tolist() == [0, 0, 0, 0, 0, 5]


def test_doubles_keep_what_else_is_known_of_the_first() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        Example("Up!", sentiment="positive", target="ACM", origin="a:1"),
        Example("up", topics=("ipo",), among=("ipo", "earnings"), at=at, target="ACM", origin="b:1"),
        Example("up", target="BLT"),
    ]
    kept = without_doubles(rows)
    assert kept == [replace(rows[0], topics=("ipo",), among=("ipo", "earnings"), at=at), rows[2]]
    assert kept[0].origin == "a:1"


def test_contradictions_of_copies_are_found() -> None:
    rows = [
        Example("Oil up", sentiment="positive", topics=("energy",), entities=(("Acme", "positive"), ("Bolt", None))),
        Example("oil up!", topics=("energy",), sentiment="positive"),
        Example("OIL UP", sentiment="negative", topics=(), entities=(("Acme", "negative"), ("Bolt", "negative"))),
        Example("Oil down", sentiment="negative"),
    ]
    found = conflicts(rows)
    assert [(conflict.what, conflict.said) for conflict in found] == [
        ("sentiment", ("positive", "negative")),
        ("topics", ("energy", "no topic")),
        ("sentiment toward Acme", ("positive", "negative")),
    ]
    assert all(conflict.one is rows[0] and conflict.other is rows[2] for conflict in found)
    near = conflicts([Example(LONG, negative=True), Example(LONG + " soon", negative=False)], near=True)
    assert [(conflict.what, conflict.said, conflict.near) for conflict in near] == [("negative", ("yes", "no"), True)]


def test_near_copies_of_tested_texts_leave_training_whatever_their_labels() -> None:
    train = [Example(LONG + " soon", sentiment="positive"), Example("Copper prices rise in London for a third day")]
    kept, found = without_near_leaks(train, [Example("Gold"), Example(LONG, sentiment="negative")])
    assert kept == train[1:]
    assert (len(found.pairs), found.tested) == (1, 1)
    assert "1 texts are near copies of 1 tested ones" in str(found)


# --- what cannot teach -----------------------------------------------------------------------------------------------


def test_one_class_only_is_refused_with_its_name() -> None:
    with pytest.raises(InputError, match=r"set: all 3 sentiment labels are negative.*neutral and positive"):
        refuse_one_class([Example(text, sentiment="negative") for text in "abc"], "set")
    with pytest.raises(InputError, match="have the topic ipo"):
        refuse_one_class([Example(text, topics=("ipo",)) for text in "abc"], "set")
    with pytest.raises(InputError, match="no text carries a label"):
        refuse_one_class([Example("a", entities=(("Acme", None),))], "set")
    refuse_one_class([Example("a", topics=("ipo",)), Example("b", topics=())], "set")
    refuse_one_class([Example("a", sentiment="negative"), Example("b", sentiment="positive")], "set")


def test_all_unknown_topics_are_told_with_the_nearest_known(tmp_path: Path) -> None:
    rows = [
        Example("a", topics=("earnigns",), origin="a.jsonl:3"),
        Example("b", topics=("ipo", "weather"), origin="a.jsonl:7"),
    ]
    with pytest.raises(InputError) as caught:
        in_taxonomy(rows, load_taxonomy(), [], tmp_path / "a.jsonl")
    assert "line 3: topics: 'earnigns' is neither" in str(caught.value)
    assert "did you mean earnings?" in str(caught.value)
    assert "line 7: topics: 'weather' is neither" in str(caught.value)


# --- splits ----------------------------------------------------------------------------------------------------------


def mixed(count: int) -> list[Example]:
    draw = random.Random(3)
    topics = [("ipo",), ("earnings", "dividend"), ("earnings",), ()]
    return [
        Example(
            f"text number {n}",
            sentiment=draw.choices(LABELS, (1, 6, 3))[0] if n % 3 else None,
            topics=draw.choice(topics) if n % 2 else None,
        )
        for n in range(count)
    ]


def spread(rows: list[Example], places: list[int], what: object) -> Counter[int]:
    return Counter(place for row, place in zip(rows, places, strict=True) if what in training.data.splits.strata(row))


def test_folds_spread_every_label_evenly() -> None:
    rows = mixed(1000)
    places = folds(rows, 5)
    assert set(Counter(places).values()) <= set(range(195, 206))
    for label in {label for row in rows for label in training.data.splits.strata(row)}:
        counts = spread(rows, places, label)
        assert len(counts) == 5
        assert max(counts.values()) - min(counts.values()) <= 2


def test_split_depends_on_the_texts_and_not_on_their_order() -> None:
    rows = mixed(300)
    places = folds(rows, 4, seed=2)
    assert folds(rows[::-1], 4, seed=2) == places[::-1]
    assert folds(rows, 4, seed=3) != places


def test_small_class_is_in_every_fold_and_on_both_sides() -> None:
    rows = [Example(f"common {n}", sentiment="neutral") for n in range(95)]
    rows += [Example(f"rare {n}", sentiment="positive") for n in range(5)]
    assert len(spread(rows, folds(rows, 5), ("sentiment", "positive"))) == 5
    taught, held = stratified(rows[:97], 0.1)
    assert [sum(row.sentiment == "positive" for row in side) for side in (taught, held)] == [1, 1]
    taught, held = stratified(rows, 0.2)
    assert len(held) == 20


def test_copies_and_what_belongs_together_stay_in_one_fold() -> None:
    rows = [Example(f"text {n // 2}" + "!" * (n % 2), sentiment=LABELS[n % 3]) for n in range(200)]
    places = folds(rows, 5)
    assert places[::2] == places[1::2]
    by_ten = folds(rows, 5, together=[n // 10 for n in range(200)])
    assert all(len(set(by_ten[n : n + 10])) == 1 for n in range(0, 200, 10))


def test_time_ordered_split_never_tests_on_the_past() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [Example(f"text {n}", at=start + timedelta(hours=n // 3)) for n in range(300)]
    shuffled = random.Random(1).sample(rows, len(rows))
    past, future = time_ordered(shuffled, 0.2)
    assert len(past) + len(future) == 300
    assert max(row.at for row in past) < min(row.at for row in future)  # type: ignore[type-var]
    assert abs(len(future) - 60) <= 3
    assert time_ordered(rows, 0.2) == (past, future)
    past, future = time_ordered(rows, 0.2, gap=timedelta(hours=5))
    assert min(row.at for row in future) - max(row.at for row in past) > timedelta(hours=5)  # type: ignore[operator, type-var]
    tested = [row for _, test in time_folds(rows, 4) for row in test]
    assert len(tested) == len(set(tested)) == 240
    assert all(max(r.at for r in train) < min(r.at for r in test) for train, test in time_folds(rows, 4))  # type: ignore[type-var]


def test_texts_without_time_cannot_be_split_by_it() -> None:
    with pytest.raises(InputError, match=r"1 of 2 texts have no published_at, the first is a\.csv:9"):
        time_ordered([Example("a", at=datetime(2026, 1, 1, tzinfo=UTC)), Example("b", origin="a.csv:9")], 0.5)
    with pytest.raises(InputError, match="no past"):
        time_ordered([Example(text, at=datetime(2026, 1, 1, tzinfo=UTC)) for text in "abc"], 0.5)


def test_held_out_slice_has_not_moved() -> None:
    # Shipped models were calibrated on the slice these hashes choose.
    held = held_out([Example(f"text number {n}") for n in range(60)], 0.1)[1]
    assert [row.text for row in held] == [f"text number {n}" for n in (10, 13, 29, 32, 33, 53, 54)]


# --- label noise -----------------------------------------------------------------------------------------------------


def test_confident_joint_by_hand() -> None:
    # Thresholds: class 0 (0.9 + 0.6 + 0.3) / 3 = 0.6; class 1 (0.8 + 0.6) / 2 = 0.7.
    given = np.array([0, 0, 0, 1, 1])
    chances = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8], [0.4, 0.6]])
    counts, confident = confident_joint(given, chances)
    assert confident.tolist() == [0, 0, 1, 1, -1]
    assert counts.tolist() == [[2, 1], [0, 1]]
    assert joint(counts, given) == pytest.approx(np.array([[0.4, 0.2], [0.0, 0.4]]))
    noise = judge("sentiment", given, chances, ["negative", "positive"])
    assert noise.share == pytest.approx(0.2)
    assert [(s.index, s.given, s.likely, s.margin) for s in noise.suspects] == [(2, "negative", "positive", -0.4)]


def test_joint_of_planted_noise_is_recovered() -> None:
    draw = np.random.default_rng(2)
    true = draw.choice(3, 6000, p=[0.2, 0.5, 0.3])
    flips = np.array([[0.9, 0.1, 0.0], [0.02, 0.95, 0.03], [0.15, 0.0, 0.85]])  # true → given
    given = np.array([draw.choice(3, p=flips[label]) for label in true])
    # A model that is mostly but not always sure of the true class.
    scores = draw.normal(0, 1, (6000, 3)) + 4.5 * np.eye(3)[true]
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    noise = judge("sentiment", given, chances, ["a", "b", "c"])
    expected = np.array([[((given == i) & (true == j)).mean() for j in range(3)] for i in range(3)])
    assert noise.joint.sum() == pytest.approx(1)
    assert np.abs(noise.joint - expected).max() < 0.01
    wrong = set(np.flatnonzero(given != true).tolist())
    assert len(wrong & {s.index for s in noise.suspects}) > 0.8 * len(wrong)
    assert np.mean([s.index in wrong for s in noise.suspects[:300]]) > 0.98


def test_wrong_probabilities_are_refused() -> None:
    with pytest.raises(InputError, match="probabilities of that shape"):
        judge("sentiment", np.array([0, 1]), np.ones((3, 2)), ["a", "b"])
    with pytest.raises(InputError, match="no text is b"):
        judge("sentiment", np.array([0, 0]), np.full((2, 2), 0.5), ["a", "b"])


def stock_texts(count: int) -> list[Example]:
    draw = random.Random(4)
    words = {
        "negative": "loss falls cuts misses plunges warns default recall probe",
        "neutral": "meeting schedule names holds publishes transcript calendar office visit",
        "positive": "profit rises beats raises record upgrade wins growth dividend",
    }
    return [
        Example(
            f"{draw.choice(['Acme', 'Bolt', 'Helio', 'Nord'])} {' '.join(draw.choices(words[label].split(), k=4))} {n}",
            sentiment=label,
            topics=(("earnings",) if n % 2 else ("earnings", "dividend")) if n % 3 else ("ipo",),
        )
        for n, label in enumerate(draw.choices(LABELS, (1, 2, 1), k=count))
    ]


def test_quick_model_finds_flipped_labels() -> None:
    rows = stock_texts(600)
    flipped = random.Random(5).sample(range(600), 30)
    for place in flipped:
        right = rows[place].sentiment
        rows[place] = replace(rows[place], sentiment=LABELS[(LABELS.index(right) + 1) % 3])  # type: ignore[arg-type]
    found = {noise.about: noise for noise in label_noise(rows)}
    suspects = [suspect.index for suspect in found["sentiment"].suspects]
    assert len(set(suspects[:30]) & set(flipped)) >= 27
    assert 0.03 < found["sentiment"].share < 0.08
    # Several topics a text: each is a question of its own.
    assert {"dividend", "earnings", "ipo"} <= set(found)
    assert list(found["ipo"].classes) == ["ipo", "not ipo"]
    assert label_noise(rows)[0].suspects == found["sentiment"].suspects


# --- the command -----------------------------------------------------------------------------------------------------


def test_check_tells_of_everything(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text(
        "headline,label\nOil up,positive\noil UP!,negative\nGold,neutral\nCopper,postive\n" + f"{LONG},negative\n"
    )
    test.write_text(f"headline,label\ngold!,neutral\n{LONG} soon,negative\n")
    arguments = ["check", str(train), "--test", str(test), "--field", "text=headline"]
    done = CliRunner().invoke(data, arguments)
    assert "line 5: sentiment: 'postive'" in done.output
    assert "copies: 1; near copies: 0" in done.output
    assert "copies that contradict each other: 1" in done.output
    assert "taught and tested: 1 texts" in done.output
    assert "near copies of tested texts: 1, of 1 tested ones" in done.output
    assert isinstance(done.exception, InputError)
    assert "1 of the files cannot be used" in str(done.exception)
    assert "1 tested texts are also taught" in str(done.exception)
    found = json.loads(CliRunner().invoke(data, [*arguments, "--json"]).output)
    assert found["leaks"]["first"][0]["at"] == "train.csv:4"
    assert found["conflicts"]["first"][0]["said"] == ["positive", "negative"]
    assert found["files"][0]["problems"][0]["first"] == [5]
    assert found["files"][0]["sentiment"] == {"negative": 2, "neutral": 1, "positive": 1}


def test_check_of_sound_files_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"text": row.text, "sentiment": row.sentiment, "lang": "en-US"} for row in stock_texts(200)]
    path.write_text("\n".join(map(json.dumps, rows)))
    done = CliRunner().invoke(data, ["check", str(path), "--noise", "--show", "1"])
    assert done.exit_code == 0, done.output
    assert "languages: en 200" in done.output
    assert "given \\ true" in done.output
    shown = json.loads(CliRunner().invoke(data, ["check", str(path), "--noise", "--json"]).stdout)
    assert np.sum(shown["noise"][0]["joint"]) == pytest.approx(1, abs=1e-3)


def test_check_of_wrong_files_is_clear(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "one.csv").write_text("text,label\na,negative\nb,negative\n")
    done = CliRunner().invoke(data, ["check", str(tmp_path / "empty.csv"), str(tmp_path / "one.csv")])
    assert "is empty" in done.output
    assert "all 2 sentiment labels are negative" in str(done.exception)
    with pytest.raises(InputError, match="write it as NAME=VALUE"):
        CliRunner().invoke(data, ["check", "x", "--label", "x"], catch_exceptions=False)


def test_examples_in_the_documentation_hold() -> None:
    result = doctest.testmod(training.data.splits)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("field", ["negative", "entities"])
def test_yes_or_no_that_is_always_the_same_is_refused(field: str) -> None:
    def row(number: int, bad: bool) -> Example:
        said: Any = {"negative": bad} if field == "negative" else {"entities": ((f"Acme {number}", bad),)}
        return Example(f"text {number}", **said)

    with pytest.raises(InputError, match="all 50 labels of negative or not are true: nothing can be told apart"):
        refuse_one_class([row(number, True) for number in range(50)], "a.jsonl")
    refuse_one_class([row(number, number > 3) for number in range(50)], "a.jsonl")


def test_topics_are_judged_on_their_own_texts_where_as_many_have_a_sentiment() -> None:
    random = np.random.default_rng(8)
    rows = []
    for number in range(300):
        about, how = random.choice(["ipo", "macro"]), random.choice(["negative", "positive"])
        text = f"{about} {about} story {number} sounds {how} {how}"
        rows.append(Example(text, sentiment=None if number == 3 else how, topics=None if number == 290 else (about,)))
    found = {noise.about: noise for noise in label_noise(rows)}
    assert [len(found[name].suspects) for name in ("sentiment", "topics")] == [0, 0]


def test_check_tells_of_topics_that_training_would_refuse(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": f"t{n}", "topics": [["ipo", "macr"][n % 2]]}) + "\n" for n in range(6)))
    done = CliRunner().invoke(data, ["check", str(path)])
    assert isinstance(done.exception, InputError)
    assert "line 2: topics: 'macr' is neither a topic" in done.output and "did you mean macro?" in done.output
    own = tmp_path / "own.toml"
    own.write_text('[ipo]\nen = "a"\nzh = "b"\n[macr]\nen = "c"\nzh = "d"\n')
    assert CliRunner().invoke(data, ["check", str(path), "--topics", str(own)]).exit_code == 0
