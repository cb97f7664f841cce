"""Measures of an evaluation: on the text, toward entities, of topics; and how calibrated the model is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, f1_score, roc_auc_score

from monitor.understand.companies import Watchlist
from monitor.understand.topics import load_taxonomy
from tests.unit.scripted import Script, by_words, scripted, tone
from training.data.examples import Example
from training.evaluation.account import account
from training.evaluation.answers import Answers, likeliest
from training.evaluation.calibration import (
    adaptive_calibration_error,
    brier_score,
    error_by_chance,
    expected_calibration_error,
    reliability,
)
from training.evaluation.examination import Scope, examine
from training.evaluation.judged import among_their_own, judge
from training.evaluation.measures import macro_f1, one_hot, roc_area
from training.evaluation.report import page
from training.evaluation.summary import lines
from training.evaluation.tasks import evaluate_examples, texts_to_ask
from training.evaluation.toward import pairs
from training.targets import aimed_examples


def test_each_text_is_asked_once_whoever_wants_to_know() -> None:
    bundle = scripted(by_words)
    answers = Answers(bundle, ["Acme gains", "Acme loses", "Acme gains"])
    assert bundle.runtime.asked == ["Acme gains", "Acme loses"]  # type: ignore[attr-defined]
    assert len(answers) == 2
    assert answers.scores(["Acme loses", "Acme gains", "Acme loses"]).tolist() == [-0.7, 0.7, -0.7]


def test_tie_is_decided_as_in_the_service() -> None:
    assert likeliest(np.array([[0.4, 0.4, 0.2], [0.4, 0.2, 0.4]])).tolist() == [1, 0]


def test_areas_and_f1_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(5)
    good = random.random(300) < 0.4
    score = np.round(random.normal(size=300) + good, 1)  # many ties
    assert roc_area(score, good) == pytest.approx(roc_auc_score(good, score))
    assert roc_area(score, np.ones(300, bool)) is None
    truth, said = random.integers(0, 4, 300), random.integers(0, 4, 300)
    assert macro_f1(said, one_hot(truth, 4)) == pytest.approx(f1_score(truth, said, average="macro"))
    probability = random.random(300)
    both = np.stack([1 - probability, probability], 1)
    # Of two classes Brier's own sum is twice what scikit-learn calls the score.
    assert brier_score(both, one_hot(good.astype(int), 2)) == pytest.approx(2 * brier_score_loss(good, probability))


def test_adaptive_error_sees_what_equal_width_bins_hide_in_a_crowded_one() -> None:
    confidence = np.linspace(0.941, 0.999, 1500)
    right = np.random.default_rng(2).random(1500) < np.where(confidence < 0.97, 0.86, 1.0)
    assert adaptive_calibration_error(confidence, right) > 0.04
    honest = np.random.default_rng(3).random(20_000)
    assert adaptive_calibration_error(honest, np.random.default_rng(4).random(20_000) < honest) < 0.02


def test_error_by_chance_is_what_an_honest_model_shows() -> None:
    generator = np.random.default_rng(6)
    confidence = generator.uniform(0.4, 1.0, 400)
    honest = [expected_calibration_error(confidence, generator.random(400) < confidence) for _ in range(200)]
    chance = error_by_chance(confidence)
    assert chance["mean"] == pytest.approx(np.mean(honest), rel=0.05)
    assert 0.9 < np.mean(np.array(honest) <= chance["high"]) < 0.99
    # A model that is too sure by a tenth lies above it, and four times as many answers halve it.
    assert expected_calibration_error(confidence, generator.random(400) < confidence - 0.1) > chance["high"]
    assert error_by_chance(np.repeat(confidence, 4))["mean"] == pytest.approx(chance["mean"] / 2, rel=0.1)
    assert error_by_chance(np.ones(50)) == {"mean": 0.0, "high": 0.0}


def test_equal_confidences_share_a_bin() -> None:
    confidence = np.full(100, 0.7)
    right = np.arange(100) % 10 < 7
    assert adaptive_calibration_error(confidence, right) == pytest.approx(0.0, abs=1e-9)


def test_reliability_curve_holds_every_answer() -> None:
    confidence = np.array([0.05, 0.35, 0.36, 1.0])
    curve = reliability(confidence, np.array([False, True, False, True]), bins=10)
    assert [row["texts"] for row in curve] == [1, 2, 1]
    assert curve[1] == {"low": 0.3, "high": 0.4, "texts": 2, "confidence": pytest.approx(0.355), "accuracy": 0.5}


def test_sentiment_toward_each_of_several_entities() -> None:
    # The script goes by the marker: what it says depends on whom the text is marked for.
    def says(text: str) -> tuple[object, object]:
        return tone(0.1, 0.1, 0.8) if text.startswith("[this company]") else tone(0.8, 0.1, 0.1)

    examples = [
        Example("Acme gains on Bolt", "en", entities=(("Acme", "positive"), ("Bolt", "negative"))),
        Example("Acme beside Bolt", "en", entities=(("Acme", "positive"), ("Bolt", "positive"))),
        Example("Bolt alone", "en", entities=(("Bolt", None),)),
        Example("Acme ruins Bolt", "en", entities=(("Acme", False), ("Bolt", True))),
    ]
    assert [pair.text for pair in pairs(examples, marked=True)][:2] == [
        "[this company] gains on [another company]",
        "[another company] gains on [this company]",
    ]
    report = evaluate_examples(scripted(says), examples, load_taxonomy())  # type: ignore[arg-type]
    toward = report["toward"]
    assert (toward["pairs"], toward["texts"], toward["accuracy"]) == (4, 2, 0.75)
    assert (toward["disagreeing"]["pairs"], toward["disagreeing"]["accuracy"]) == (2, 1.0)
    bad = report["toward_bad"]
    assert (bad["pairs"], bad["accuracy"], bad["f1"], bad["disagreeing"]["f1"]) == (2, 1.0, 1.0, 1.0)
    assert "sentiment" not in report
    # A bundle that was not taught marked texts says of everyone what it says of the text, as the service has it.
    plain = evaluate_examples(scripted(by_words, toward=False), examples, load_taxonomy())["toward"]
    assert plain["disagreeing"]["accuracy"] == 0.5


def test_nothing_is_said_of_an_entity_that_stands_only_within_the_name_of_another() -> None:
    row = Example("Acme Bank defaults", "en", entities=(("Acme Bank", True), ("Acme", False)))
    for toward in (True, False):
        model = scripted(lambda _: tone(0.8, 0.1, 0.1), toward=toward)
        report = evaluate_examples(model, [row], load_taxonomy())["toward_bad"]
        assert (report["pairs"], report["accuracy"], report["f1"]) == (2, 1.0, 1.0)
        assert (report["nested"], report["disagreeing"]["nested"]) == (1, 1)


def test_pairs_that_no_bundle_was_asked_about_are_told_beside_the_figure() -> None:
    nested = Example("Acme Bank defaults", "en", entities=(("Acme Bank", True), ("Acme", False)))
    apart = Example("Acme ruins Bolt", "en", entities=(("Bolt", True), ("Acme", False)))
    note = "1 of the pairs stand only within a longer name and count as not bad"
    for rows, told in (([nested], True), ([apart], False)):
        found = examine(scripted(by_words), {"f": rows}, load_taxonomy(), Watchlist([]), scope=Scope(None, speed=False))
        for said in (
            page(found, load_taxonomy()),
            "\n".join(lines(found)),
            "\n".join(account(found, {}, load_taxonomy())),
        ):
            assert (note in said) == told


def test_text_about_one_entity_alone_is_asked_as_it_is() -> None:
    examples = [Example("Acme gains", "en", entities=(("Acme", "positive"),))]
    assert [pair.text for pair in pairs(examples, marked=True)] == ["Acme gains"]


def test_bad_against_good_leaves_neutral_texts_out() -> None:
    examples = [Example("Acme gains", sentiment="positive"), Example("Acme loses", sentiment="negative")]
    examples += [Example(f"Acme gains {n}", sentiment="neutral") for n in range(5)]
    report = evaluate_examples(scripted(by_words), examples, load_taxonomy())
    assert report["sentiment"]["bad_against_good"] == 1.0
    assert report["sentiment"]["accuracy"] == pytest.approx(2 / 7)


def test_topics_that_a_labeller_could_not_choose_do_not_count() -> None:
    def says(text: str) -> tuple[object, object]:
        return (0.2, 0.6, 0.2), (0.6, 0.9, 0.1)  # dividend and, surer, earnings

    rows = [Example("one", topics=("dividend",)), Example("two", topics=("dividend",))]
    open_ended = evaluate_examples(scripted(says), rows, load_taxonomy())["topics"]  # type: ignore[arg-type]
    assert (open_ended["accuracy"], open_ended["micro_f1"], open_ended["not_asked"]) == (0.0, pytest.approx(2 / 3), 0)
    closed = evaluate_examples(scripted(says), among_their_own(rows), load_taxonomy())["topics"]  # type: ignore[arg-type]
    assert (closed["accuracy"], closed["micro_f1"], closed["not_asked"]) == (1.0, 1.0, 2)


def test_topic_the_bundle_does_not_know_is_wrong_when_bundles_are_compared() -> None:
    rows = [Example("Acme gains profit", topics=("earnings",)), Example("Acme ships", topics=("energy",))]
    answers = Answers(scripted(by_words), texts_to_ask(rows))
    assert len(judge(answers, rows, load_taxonomy())["topics"]) == 1
    held = judge(answers, rows, load_taxonomy(), ("earnings", "energy"))["topics"]
    assert held.right.tolist() == [True, False]


def test_bundle_that_knows_none_of_the_topics_asked_is_not_right_by_their_order() -> None:
    rows = [Example(f"Acme ships {n}", topics=("energy",), among=("energy", "ipo")) for n in range(3)]
    answers = Answers(scripted(by_words), texts_to_ask(rows))
    held = judge(answers, rows, load_taxonomy(), ("dividend", "earnings", "energy", "ipo", "macro"))["topics"]
    assert held.accuracy == held.macro_f1 == 0.0
    assert [held.classes[place] for place in held.said] == ["nothing"] * 3
    taught = [Example("Acme gains profit", topics=("earnings",), among=("earnings", "energy"))]
    answers = Answers(scripted(by_words), texts_to_ask(taught))
    assert judge(answers, taught, load_taxonomy(), ("earnings", "energy"))["topics"].accuracy == 1.0


def test_bundle_without_topics_is_measured_on_a_file_with_topics() -> None:
    known = scripted(by_words)
    manifest = replace(known.manifest, topics=(), thresholds={}, version="2.0.0")
    none = replace(known, manifest=manifest, runtime=Script(lambda text: (by_words(text)[0], ())))
    rows = [Example(f"Acme gains profit {n}", "en", "positive", ("earnings",)) for n in range(4)]
    for bundle, rival in ((none, known), (known, none)):
        found = examine(
            bundle, {"f": rows}, load_taxonomy(), Watchlist([]), scope=Scope(None, speed=False), against=rival
        )
        assert found["files"]["f"]["sentiment"]["accuracy"] == 1.0
        assert found["against"]["tasks"]["topics"]["candidate"] == (1.0 if bundle is known else 0.0)
        told = "\n".join(account(found, bundle.manifest.thresholds, load_taxonomy()))
        assert ("likeliest topic" in told) == (bundle is known)
        assert page(found, load_taxonomy()) and lines(found)
    found = evaluate_examples(none, rows, load_taxonomy())["topics"]
    assert (found["accuracy"], found["not_taught"], found["without_topic"]) == (None, {"earnings": 4}, 1.0)


def test_texts_marked_for_an_entity_count_toward_it_alone() -> None:
    row = Example("Acme gains on Bolt", "en", "positive", entities=(("Acme", "positive"), ("Bolt", "negative")))
    rows = aimed_examples([row])
    assert len(rows) == 3
    report = examine(scripted(by_words), {"f": rows}, load_taxonomy(), Watchlist([]), scope=Scope(None, speed=False))
    found = report["files"]["f"]
    assert (found["texts"], found["sentiment"]["texts"], found["toward"]["pairs"]) == (1, 1, 2)


def test_each_calibration_error_of_topics_is_told_by_its_name() -> None:
    rows = [Example(f"Acme gains profit {n}", "en", topics=("earnings",)) for n in range(4)]
    found = examine(scripted(by_words), {"f": rows}, load_taxonomy(), Watchlist([]), scope=Scope(None, speed=False))
    part = found["files"]["f"]["topics"]
    assert part["ece_of_likeliest"] == pytest.approx(0.1)
    told = account(found, dict.fromkeys(("dividend", "earnings", "macro"), 0.5), load_taxonomy())
    (likeliest,) = [line for line in told if "| likeliest topic |" in line]
    (by_threshold,) = [line for line in told if "| topics by threshold |" in line]
    assert f"| {part['ece_of_likeliest']:.4f} (by chance" in likeliest
    assert by_threshold.endswith(f"calibration error over each text with each topic {part['ece']:.4f} |  |")
