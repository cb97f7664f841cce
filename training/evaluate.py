"""How good a bundle is on labelled files: accuracy, macro-F1, each class, calibration, confusion.

Measured on what the running service would say: the bundle is loaded and run by the same code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.documents import LABELS
from monitor.understand.bundle import Bundle
from monitor.understand.engine import DIGITS
from monitor.understand.topics import Taxonomy
from training.data.examples import Example

CHUNK = 512


def probabilities(bundle: Bundle, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rounded probabilities of (texts, 3) sentiments and (texts, topics) topics, as the service decides on them."""
    parts = [bundle.probabilities(texts[begin : begin + CHUNK]) for begin in range(0, len(texts), CHUNK)]
    sentiment = np.concatenate([part[0] for part in parts])
    topics = np.concatenate([part[1] for part in parts])
    return np.round(sentiment, DIGITS), np.round(topics, DIGITS)


def evaluate_examples(bundle: Bundle, examples: Sequence[Example], taxonomy: Taxonomy) -> dict[str, Any]:
    """Everything the labels of `examples` let one measure; keys `sentiment`, `topics`, `negative` as there are."""
    sentiment, topics = probabilities(bundle, [example.text for example in examples])
    report: dict[str, Any] = {"texts": len(examples)}
    rows = [index for index, example in enumerate(examples) if example.sentiment is not None]
    if rows:
        truth = np.array([LABELS.index(examples[index].sentiment) for index in rows])
        report["sentiment"] = sentiment_report(sentiment[rows], truth)
    rows = [index for index, example in enumerate(examples) if example.topics is not None]
    if rows:
        given = [examples[index].topics or () for index in rows]
        report["topics"] = topics_report(bundle, topics[rows], given, taxonomy)
    rows = [index for index, example in enumerate(examples) if example.negative is not None]
    if rows:
        said = likeliest(sentiment[rows]) == LABELS.index("negative")
        meant = np.array([examples[index].negative for index in rows])
        report["negative"] = {**_counts(said, meant), "texts": len(rows), "accuracy": float((said == meant).mean())}
    return report


def sentiment_report(probability: NDArray[np.float64], truth: NDArray[np.int64]) -> dict[str, Any]:
    """Accuracy, macro-F1, each class, calibration error and confusion of (texts, 3) probabilities."""
    said = likeliest(probability)
    classes = {label: _counts(said == place, truth == place) for place, label in enumerate(LABELS)}
    confusion = np.zeros((3, 3), int)
    np.add.at(confusion, (truth, said), 1)
    present = [label for place, label in enumerate(LABELS) if (truth == place).any()]
    return {
        "texts": len(truth),
        "accuracy": float((said == truth).mean()),
        "macro_f1": float(np.mean([classes[label]["f1"] for label in present])),
        "ece": expected_calibration_error(probability.max(1), said == truth),
        "classes": classes,
        "confusion": {
            label: dict(zip(LABELS, row.tolist(), strict=True)) for label, row in zip(LABELS, confusion, strict=True)
        },
    }


def likeliest(probability: NDArray[np.float64]) -> NDArray[np.int64]:
    """The class of each (texts, 3) row; a tie goes to neutral, then negative, as in `documents.Sentiment`."""
    order = np.array([LABELS.index("neutral"), LABELS.index("negative"), LABELS.index("positive")])
    return order[probability[:, order].argmax(1)]


def topics_report(
    bundle: Bundle, probability: NDArray[np.float64], given: Sequence[Sequence[str]], taxonomy: Taxonomy
) -> dict[str, Any]:
    """Likeliest topic against any of the text's own, and every topic against its threshold.

    Labels the bundle was not taught (or that are no topics) are left out and counted under `not_taught`.
    """
    order = bundle.manifest.topics
    place = {topic: index for index, topic in enumerate(order)}
    truth = np.zeros((len(given), len(order)), bool)
    not_taught: dict[str, int] = {}
    for row, labels in enumerate(given):
        for label in labels:
            topic = taxonomy.resolve(label)
            if topic in place:
                truth[row, place[topic]] = True
            else:
                not_taught[label] = not_taught.get(label, 0) + 1
    said = probability >= np.array([bundle.manifest.thresholds[topic] for topic in order])
    some = truth.any(1)
    hits = truth[np.arange(len(truth)), probability.argmax(1)][some]
    classes = {topic: _counts(said[:, index], truth[:, index]) for topic, index in place.items()}
    present = [topic for topic, index in place.items() if truth[:, index].any()]
    true_positive = int((said & truth).sum())
    return {
        "texts": len(given),
        "accuracy": float(hits.mean()) if some.any() else None,
        "macro_f1_of_likeliest": _single_f1(probability.argmax(1)[some], truth[some]) if some.any() else None,
        "micro_f1": 2 * true_positive / max(1, int(said.sum() + truth.sum())),
        "macro_f1": float(np.mean([classes[topic]["f1"] for topic in present])) if present else None,
        "ece": expected_calibration_error(probability.ravel(), truth.ravel()),
        "without_topic": float((~said.any(1)).mean()),
        "classes": classes,
        "not_taught": not_taught,
    }


def _single_f1(said: NDArray[np.int64], truth: NDArray[np.bool_]) -> float:
    """Macro-F1 of one answer a text, where an answer is right when it is among the text's own."""
    scores = []
    for place in range(truth.shape[1]):
        if truth[:, place].any():
            scores.append(_counts(said == place, truth[:, place])["f1"])
    return float(np.mean(scores))


def _counts(said: NDArray[np.bool_], meant: NDArray[np.bool_]) -> dict[str, Any]:
    right = int((said & meant).sum())
    precision = right / max(1, int(said.sum()))
    recall = right / max(1, int(meant.sum()))
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "texts": int(meant.sum())}


def expected_calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 15) -> float:
    """Mean distance between confidence and share of right answers over equal-width bins, in [0, 1].

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.

    >>> import numpy as np
    >>> expected_calibration_error(np.array([0.8, 0.8, 0.8, 0.8, 0.8]), np.array([1, 1, 1, 1, 0], bool))
    0.0
    """
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    weight = np.bincount(place, minlength=bins)
    gap = np.bincount(place, weights=right.astype(float), minlength=bins) - np.bincount(
        place, weights=confidence, minlength=bins
    )
    return round(float(np.abs(gap[weight > 0]).sum() / len(confidence)), 6)


def summary(report: Mapping[str, Any]) -> dict[str, float]:
    """The few numbers of a report that a manifest keeps, rounded."""
    kept = {}
    for part, names in {
        "sentiment": ("accuracy", "macro_f1", "ece"),
        "topics": ("accuracy", "micro_f1", "macro_f1", "macro_f1_of_likeliest", "ece"),
        "negative": ("accuracy", "f1"),
    }.items():
        for name in names:
            value = report.get(part, {}).get(name)
            if value is not None:
                kept[f"{part}_{name}"] = round(value, 4)
    return kept


def report_lines(file: Path | str, report: Mapping[str, Any]) -> list[str]:
    """A report as lines for people."""
    lines = [f"{file}: {report['texts']} texts"]
    if "sentiment" in report:
        part = report["sentiment"]
        lines.append(
            f"  sentiment: accuracy {part['accuracy']:.4f}, macro-F1 {part['macro_f1']:.4f}, ECE {part['ece']:.4f}"
        )
        lines += _class_lines(part["classes"])
        lines.append("    confusion (row: what it is, column: what was said): " + " ".join(LABELS))
        lines += [
            f"      {label:10s}" + "".join(f"{part['confusion'][label][to]:7d}" for to in LABELS) for label in LABELS
        ]
    if "topics" in report:
        part = report["topics"]
        if part["accuracy"] is not None:
            lines.append(
                f"  topics: likeliest right {part['accuracy']:.4f} (macro-F1 {part['macro_f1_of_likeliest']:.4f}), "
                f"by threshold micro-F1 {part['micro_f1']:.4f}, macro-F1 {part['macro_f1']:.4f}, "
                f"ECE {part['ece']:.4f}, {part['without_topic']:.1%} of the texts without one"
            )
        lines += _class_lines(part["classes"])
        if part["not_taught"]:
            lines.append("    not taught: " + ", ".join(f"{label} ({n})" for label, n in part["not_taught"].items()))
    if "negative" in report:
        part = report["negative"]
        lines.append(f"  negative or not: accuracy {part['accuracy']:.4f}, F1 {part['f1']:.4f}")
    return lines


def _class_lines(classes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        f"    {name:20s} precision {row['precision']:.3f} recall {row['recall']:.3f} F1 {row['f1']:.3f} "
        f"({row['texts']})"
        for name, row in classes.items()
        if row["texts"]
    ]


def summary_line(metrics: Mapping[str, float]) -> str:
    """A summary on one line."""
    return ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in metrics.items())
