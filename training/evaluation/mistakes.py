"""Mistakes: the texts on which a model was surest of a wrong answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
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


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong answer.

    Attributes:
        row: the place of its example.
        text: what was asked: the example's text, marked for an entity where it is about one.
        probability: the model's for what it said.
    """

    row: int
    task: str
    text: str
    meant: str
    said: str
    probability: float


def mistakes(answers: Answers, examples: Sequence[Example], taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """The worst mistakes of a file, the surest first: `task`, `text`, `is`, `said` and `probability`.

    Of several mistakes on one text only the surest stands there.
    """
    found = [*_sentiment(answers, examples), *_topics(answers, examples, taxonomy)]
    found.sort(key=lambda mistake: (-mistake.probability, mistake.row))
    first: dict[int, Mistake] = {}
    for mistake in found:
        first.setdefault(mistake.row, mistake)
    return [
        {"task": one.task, "text": one.text, "is": one.meant, "said": one.said, "probability": one.probability}
        for one in islice(first.values(), SHOWN)
    ]


def _sentiment(answers: Answers, examples: Sequence[Example]) -> Iterator[Mistake]:
    labels: list[tuple[int, str, str, str]] = [
        (row, "sentiment", example.text, example.sentiment)
        for row, example in enumerate(examples)
        if example.sentiment is not None
    ]
    for pair in pairs(examples, marked=answers.manifest.toward):
        if not isinstance(pair.label, bool):
            labels.append((pair.row, "toward", pair.text, pair.label))
    texts = [text for _, _, text, _ in labels]
    for (row, task, text, meant), said, three in zip(
        labels, answers.said(texts).tolist(), answers.sentiment(texts).tolist(), strict=True
    ):
        if LABELS[said] != meant:
            yield Mistake(row, task, text, meant, LABELS[said], three[said])


def _topics(answers: Answers, examples: Sequence[Example], taxonomy: Taxonomy) -> Iterator[Mistake]:
    order = answers.manifest.topics
    labels = read_topics(examples, taxonomy, order)
    texts = [examples[row].text for row in labels.rows]
    probability = np.where(labels.asked, answers.topics(texts), -1.0)
    for row, text, truth, sure in zip(labels.rows.tolist(), texts, labels.truth, probability, strict=True):
        if not truth.any():
            continue
        likely = int(sure.argmax())
        if not truth[likely]:
            meant = ", ".join(order[place] for place in np.flatnonzero(truth))
            yield Mistake(row, "topics", text, meant, order[likely], float(sure[likely]))


def shortened(text: str, length: int = CARD_LENGTH) -> str:
    """A text on one line, cut at `length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
