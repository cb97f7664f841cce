"""The report on one labelled file: every task its labels allow to be measured.

docs/training.md lists the keys; what reads them (bundle.json, model cards, the registry) relies on their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.documents import LABELS
from monitor.understand.bundle import Bundle
from monitor.understand.topics import Taxonomy
from training.data.examples import Example
from training.evaluation.answers import NEGATIVE, NEUTRAL, POSITIVE, Answers, likeliest, passed
from training.evaluation.calibration import (
    adaptive_calibration_error,
    brier_score,
    error_by_chance,
    expected_calibration_error,
    reliability,
)
from training.evaluation.judged import read_topics
from training.evaluation.measures import counts, macro_f1, micro_f1, one_hot, roc_area
from training.evaluation.toward import Pair, pairs, said_bad


def texts_to_ask(examples: Sequence[Example]) -> list[str]:
    """Every text a report on these examples needs an answer to, those marked for an entity too."""
    return [example.text for example in examples] + [pair.text for pair in pairs(examples, marked=True)]


def evaluate_examples(bundle: Bundle, examples: Sequence[Example], taxonomy: Taxonomy) -> dict[str, Any]:
    """Ask `bundle` about the examples and report; see `report`."""
    return report(Answers(bundle, texts_to_ask(examples)), examples, taxonomy)


def report(answers: Answers, examples: Sequence[Example], taxonomy: Taxonomy) -> dict[str, Any]:
    """Everything the labels of `examples` let one measure.

    Keys: `texts`, and as there are labels `sentiment`, `topics`, `negative`, `toward`, `toward_bad`.
    """
    found: dict[str, Any] = {"texts": len(examples)}
    rows = [example for example in examples if example.sentiment is not None]
    if rows:
        truth = np.array([LABELS.index(example.sentiment) for example in rows if example.sentiment])
        found["sentiment"] = sentiment_report(answers.sentiment([example.text for example in rows]), truth)
    if any(example.topics is not None for example in examples):
        found["topics"] = topics_report(answers, examples, taxonomy)
    rows = [example for example in examples if example.negative is not None]
    if rows:
        said = answers.said([example.text for example in rows]) == NEGATIVE
        found["negative"] = yes_or_no(said, np.array([example.negative for example in rows], bool))
    named = pairs(examples, marked=answers.manifest.toward)
    labelled = [pair for pair in named if not isinstance(pair.label, bool)]
    if labelled:
        found["toward"] = toward_report(answers, labelled)
    bad_or_not = [pair for pair in named if isinstance(pair.label, bool)]
    if bad_or_not:
        found["toward_bad"] = toward_bad_report(answers, bad_or_not)
    return found


def sentiment_report(probability: NDArray[np.float64], truth: NDArray[np.int64]) -> dict[str, Any]:
    """The report on (texts, 3) probabilities of sentiment.

    `bad_against_good` is the ROC area of P(positive) − P(negative) over the texts that are not neutral.
    """
    said = likeliest(probability)
    table = one_hot(truth, len(LABELS))
    confusion = np.zeros((3, 3), int)
    np.add.at(confusion, (truth, said), 1)
    confidence, right = probability.max(1), said == truth
    told = truth != NEUTRAL
    score = probability[:, POSITIVE] - probability[:, NEGATIVE]
    return {
        "texts": len(truth),
        "accuracy": float(right.mean()),
        "macro_f1": macro_f1(said, table),
        "ece": expected_calibration_error(confidence, right),
        "ece_by_chance": error_by_chance(confidence),
        "adaptive_ece": adaptive_calibration_error(confidence, right),
        "brier": brier_score(probability, table),
        "bad_against_good": roc_area(score[told], truth[told] == POSITIVE),
        "classes": {label: counts(said == place, truth == place) for place, label in enumerate(LABELS)},
        "confusion": {
            label: dict(zip(LABELS, row.tolist(), strict=True)) for label, row in zip(LABELS, confusion, strict=True)
        },
        "reliability": reliability(confidence, right),
    }


def topics_report(answers: Answers, examples: Sequence[Example], taxonomy: Taxonomy) -> dict[str, Any]:
    """Likeliest topic against any of the text's own, and every topic against its threshold.

    Labels the bundle was not taught (or that are no topics) are left out and counted under `not_taught`;
    `micro_f1_all_labels` counts each of them as missed. Topics that were not among the labeller's are left out too;
    `not_asked` is how often they were said.
    """
    order = answers.manifest.topics
    labels = read_topics(examples, taxonomy, order)
    truth, asked = labels.truth, labels.asked
    probability = answers.topics([examples[row].text for row in labels.rows])
    reached = passed(answers.manifest, probability)
    said = reached & asked
    some = truth.any(1)
    right, given = truth[some], np.where(asked, probability, -1.0)[some]
    likely = given.argmax(1) if len(given) else np.empty(0, np.int64)  # a bundle without topics leaves no text
    hits, sure = (table[np.arange(len(likely)), likely] for table in (right, given))
    classes = {topic: counts(said[:, index], truth[:, index]) for index, topic in enumerate(order)}
    present = [topic for index, topic in enumerate(order) if truth[:, index].any()]
    cells, cell_truth = probability[asked], truth[asked]
    return {
        "texts": len(labels.rows),
        "accuracy": float(hits.mean()) if some.any() else None,
        "macro_f1_of_likeliest": macro_f1(likely, right) if some.any() else None,
        "micro_f1": micro_f1(said, truth),
        "micro_f1_all_labels": micro_f1(said, truth, missed=sum(labels.unknown.values())),
        "macro_f1": float(np.mean([classes[topic]["f1"] for topic in present])) if present else None,
        "ece": expected_calibration_error(cells, cell_truth) if len(cells) else None,
        "adaptive_ece": adaptive_calibration_error(cells, cell_truth) if len(cells) else None,
        "ece_of_likeliest": expected_calibration_error(sure, hits) if some.any() else None,
        "ece_of_likeliest_by_chance": error_by_chance(sure) if some.any() else None,
        "brier": float(((cells - cell_truth) ** 2).mean()) if len(cells) else None,
        "without_topic": float((~reached.any(1)).mean()),
        "classes": classes,
        "not_taught": dict(labels.unknown),
        "not_asked": int((reached & ~asked).sum()),
        "reliability": reliability(sure, hits),
    }


def yes_or_no(said: NDArray[np.bool_], meant: NDArray[np.bool_]) -> dict[str, Any]:
    """Accuracy, and precision, recall and F1 of yes; `positives` counts the texts that are."""
    found = counts(said, meant)
    return {**found, "positives": found["texts"], "texts": len(meant), "accuracy": float((said == meant).mean())}


def toward_report(answers: Answers, named: Sequence[Pair]) -> dict[str, Any]:
    """Sentiment toward entities over (text, entity) pairs, and over those of texts whose entities disagree."""

    def measured(chosen: Sequence[Pair]) -> dict[str, Any]:
        truth = np.array([LABELS.index(pair.label) for pair in chosen])
        found = sentiment_report(answers.sentiment([pair.text for pair in chosen]), truth)
        return {"pairs": found.pop("texts"), "texts": len({pair.row for pair in chosen}), **found}

    disagreeing = [pair for pair in named if pair.disagrees]
    return {**measured(named), "disagreeing": measured(disagreeing) if disagreeing else None}


def toward_bad_report(answers: Answers, named: Sequence[Pair]) -> dict[str, Any]:
    """Bad for the entity or not, over (text, entity) pairs, and over those of texts bad for some only.

    `nested` counts the pairs that are answered without asking the bundle, see `said_bad`.
    """

    def measured(chosen: Sequence[Pair]) -> dict[str, Any]:
        found = yes_or_no(said_bad(answers, chosen), np.array([pair.label for pair in chosen], bool))
        nested = sum(not pair.mentioned for pair in chosen)
        texts = len({pair.row for pair in chosen})
        return {"pairs": found.pop("texts"), "texts": texts, "nested": nested, **found}

    disagreeing = [pair for pair in named if pair.disagrees]
    return {**measured(named), "disagreeing": measured(disagreeing) if disagreeing else None}
