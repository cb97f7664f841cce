"""Calibration and measures: temperatures, thresholds, accuracy, F1, calibration error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score

from monitor.documents import LABELS
from monitor.understand.bundle import Bundle, load_bundle
from monitor.understand.probabilities import softmax
from monitor.understand.runtimes import Logits
from monitor.understand.topics import load_taxonomy
from tests.unit.models import TOPICS, make_bundle, make_encoder
from training.calibrate import best_thresholds, calibrated
from training.data.examples import Example
from training.evaluation.calibration import expected_calibration_error
from training.evaluation.summary import report_lines, summary
from training.evaluation.tasks import evaluate_examples, sentiment_report


class Table:
    """A runtime that reads its logits from a table, text by text."""

    def __init__(self, sentiment: NDArray[np.float64], topics: NDArray[np.float64]) -> None:
        self.sentiment, self.topics = sentiment.astype(np.float32), topics.astype(np.float32)

    def logits(self, texts: Sequence[str]) -> Logits:
        rows = np.array([int(text) for text in texts])
        return Logits(self.sentiment[rows], self.topics[rows], np.arange(len(rows)), np.ones(len(rows)))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    root = tmp_path_factory.mktemp("tiny")
    return load_bundle(make_bundle(root / "bundle", make_encoder(root / "encoder")), device="cpu")


def drawn(bundle: Bundle, *, count: int, too_sure: float) -> tuple[Bundle, list[Example]]:
    """Examples whose labels are drawn from known probabilities, and a model `too_sure` times too sure."""
    random = np.random.default_rng(7)
    honest = random.normal(size=(count, 3)) * 2
    labels = [LABELS[random.choice(3, p=row)] for row in softmax(honest)]
    topics = random.normal(size=(count, 3)) * 2 - 1
    drawn_topics = random.random((count, 3)) < 1 / (1 + np.exp(-topics))
    examples = [
        Example(str(row), "en", labels[row], tuple(np.array(TOPICS)[drawn_topics[row]])) for row in range(count)
    ]
    return replace(bundle, runtime=Table(honest * too_sure, topics * too_sure)), examples


def test_overconfident_model_is_cooled_to_honest_probabilities(tiny: Bundle) -> None:
    bundle, examples = drawn(tiny, count=4000, too_sure=3.0)
    cooled = calibrated(bundle, examples)
    assert cooled.manifest.temperature.sentiment == pytest.approx(3.0, rel=0.08)
    assert cooled.manifest.temperature.topics == pytest.approx(3.0, rel=0.08)
    taxonomy = load_taxonomy()
    before = evaluate_examples(bundle, examples, taxonomy)
    after = evaluate_examples(cooled, examples, taxonomy)
    assert after["sentiment"]["ece"] < 0.03 < before["sentiment"]["ece"]
    assert after["sentiment"]["accuracy"] == pytest.approx(before["sentiment"]["accuracy"], abs=2e-3)


def test_labels_nobody_gave_leave_the_calibration_alone(tiny: Bundle) -> None:
    assert calibrated(tiny, [Example("profit", negative=True)]).manifest == tiny.manifest


def test_threshold_finds_the_best_f1_and_rare_topics_share_one() -> None:
    random = np.random.default_rng(3)
    truth = np.zeros((400, 2), bool)
    truth[:100, 0] = True
    truth[:5, 1] = True
    probability = np.where(truth, random.uniform(0.3, 0.5, (400, 2)), random.uniform(0.0, 0.25, (400, 2)))
    first, second = best_thresholds(probability, truth)
    assert 0.25 < first <= 0.30
    assert 0.25 < second <= 0.30


def test_numbers_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(11)
    truth = random.choice(3, 500)
    probability = softmax(random.normal(size=(500, 3)) + 1.5 * np.eye(3)[truth])
    report = sentiment_report(probability, truth)
    said = probability.argmax(1)
    assert report["accuracy"] == pytest.approx(accuracy_score(truth, said))
    assert report["macro_f1"] == pytest.approx(f1_score(truth, said, average="macro"))
    assert sum(sum(row.values()) for row in report["confusion"].values()) == 500
    assert report["confusion"]["negative"]["negative"] == int(((truth == 0) & (said == 0)).sum())


def test_calibration_error_is_the_gap_between_confidence_and_truth() -> None:
    confidence = np.full(1000, 0.9)
    right = np.arange(1000) < 600
    assert expected_calibration_error(confidence, right) == pytest.approx(0.3)


def test_topics_a_model_was_not_taught_are_counted_apart(tiny: Bundle) -> None:
    examples = [
        Example("profit", topics=("earnings", "china")),
        Example("bond", topics=("economy",)),
        Example("loss", sentiment="negative"),
        Example("fraud", negative=True),
    ]
    report = evaluate_examples(tiny, examples, load_taxonomy())
    assert report["topics"]["texts"] == 2
    assert report["topics"]["not_taught"] == {"china": 1}
    assert report["topics"]["micro_f1_all_labels"] <= report["topics"]["micro_f1"]
    assert report["topics"]["classes"]["macro"]["texts"] == 1
    assert report["sentiment"]["texts"] == 1
    assert report["negative"]["texts"] == 1
    assert set(summary(report)) >= {"sentiment_accuracy", "topics_accuracy", "topics_micro_f1", "negative_accuracy"}
    assert "china (1)" in "\n".join(report_lines(Path("labels.jsonl"), report))
