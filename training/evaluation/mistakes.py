"""Mistakes: the texts on which a model was surest of a wrong answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from monitor.documents import LABELS
from monitor.understand.topics import Taxonomy
from training.data.examples import Example
from training.evaluation.answers import Answers
from training.evaluation.judged import read_topics
from training.evaluation.toward import pairs

SHOWN = 20
CARD_SHOWN, CARD_LENGTH = 5, 120


def mistakes(answers: Answers, examples: Sequence[Example], taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """The worst mistakes of a file, the surest first: `task`, `text` (marked for an entity where it is about one),
    `is`, `said` and `probability`, the model's for what it said."""
    found: list[tuple[float, str, str, str, str]] = []
    rows = [example for example in examples if example.sentiment is not None]
    labels = [(example.text, example.sentiment, "sentiment") for example in rows]
    labels += [(pair.text, pair.label, "toward") for pair in pairs(examples) if not isinstance(pair.label, bool)]
    if labels:
        probability = answers.sentiment([text for text, _, _ in labels])
        said = answers.said([text for text, _, _ in labels])
        for row, (text, label, task) in enumerate(labels):
            if LABELS[said[row]] != label:
                found.append((float(probability[row, said[row]]), task, text, str(label), LABELS[said[row]]))
    found += _topics(answers, examples, taxonomy)
    found.sort(key=lambda row: (-row[0], row[2]))
    return [
        {"task": task, "text": text, "is": label, "said": said_, "probability": sure}
        for sure, task, text, label, said_ in found[:SHOWN]
    ]


def _topics(
    answers: Answers, examples: Sequence[Example], taxonomy: Taxonomy
) -> list[tuple[float, str, str, str, str]]:
    order = answers.manifest.topics
    labels = read_topics(examples, taxonomy, order)
    if not len(labels.rows):
        return []
    texts = [examples[row].text for row in labels.rows]
    probability = np.where(labels.asked, answers.topics(texts), -1.0)
    likely = probability.argmax(1)
    found = []
    for row, text in enumerate(texts):
        if labels.truth[row].any() and not labels.truth[row, likely[row]]:
            meant = ", ".join(order[place] for place in np.flatnonzero(labels.truth[row]))
            found.append((float(probability[row, likely[row]]), "topics", text, meant, order[likely[row]]))
    return found


def shortened(text: str, length: int = CARD_LENGTH) -> str:
    """A text on one line, cut at `length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
