"""Answers held against labels, text by text: what slices, intervals and comparisons are made of.

The tasks are `sentiment` (of the whole text), `topics` (the likeliest is among the text's own), `negative` (negative
or not), `toward` (sentiment toward an entity) and `toward_bad` (bad for an entity or not).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitor.documents import LABELS
from monitor.understand.topics import Taxonomy
from training.data.examples import Example
from training.evaluation.answers import NEGATIVE, Answers
from training.evaluation.measures import macro_f1, one_hot
from training.evaluation.toward import pairs, said_bad

YES_NO = ("not negative", "negative")
NOTHING = "nothing"
"""What a model answers that was taught none of the topics a text was asked about; never right."""


@dataclass(frozen=True)
class Judged:
    """One task's answers and what would have been right.

    Attributes:
        classes: the names of the answers.
        rows: (n,), the place of each answer's example.
        said: (n,), the answer, as its place in `classes`.
        truth: (n, classes), the answers that would be right; a text may have several topics.
    """

    classes: tuple[str, ...]
    rows: NDArray[np.int64]
    said: NDArray[np.int64]
    truth: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def right(self) -> NDArray[np.bool_]:
        """(n,), whether each answer is right."""
        found: NDArray[np.bool_] = self.truth[np.arange(len(self.said)), self.said]
        return found

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float(self.right.mean())

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that occur."""
        return macro_f1(self.said, self.truth)

    def only(self, where: NDArray[np.bool_]) -> Judged:
        """The answers that `where` (n,) selects."""
        return Judged(self.classes, self.rows[where], self.said[where], self.truth[where])


def judge(
    answers: Answers, examples: Sequence[Example], taxonomy: Taxonomy, topics: Sequence[str] | None = None
) -> dict[str, Judged]:
    """Task → answers against labels, for every task the examples have labels for.

    Args:
        topics: the topic ids to count, for comparing bundles that were taught different ones; the bundle's own if
            not given. A text none of whose topics is among them is left out.
    """
    found = {
        "sentiment": _sentiment(answers, examples),
        "topics": _topics(answers, examples, taxonomy, topics or answers.manifest.topics),
        "negative": _negative(answers, examples),
        **_toward(answers, examples),
    }
    return {task: judged for task, judged in found.items() if len(judged)}


def _sentiment(answers: Answers, examples: Sequence[Example]) -> Judged:
    rows = [row for row, example in enumerate(examples) if example.sentiment is not None]
    truth = np.array([LABELS.index(examples[row].sentiment) for row in rows], np.int64)
    said = answers.said([examples[row].text for row in rows])
    return Judged(LABELS, np.array(rows, np.int64), said, one_hot(truth, len(LABELS)))


def _negative(answers: Answers, examples: Sequence[Example]) -> Judged:
    rows = [row for row, example in enumerate(examples) if example.negative is not None]
    truth = np.array([examples[row].negative for row in rows], np.int64)
    said = answers.said([examples[row].text for row in rows]) == NEGATIVE
    return Judged(YES_NO, np.array(rows, np.int64), said.astype(np.int64), one_hot(truth, 2))


def _topics(answers: Answers, examples: Sequence[Example], taxonomy: Taxonomy, topics: Sequence[str]) -> Judged:
    labels = read_topics(examples, taxonomy, topics)
    rows = labels.rows[labels.truth.any(1)]
    truth, asked = labels.truth[labels.truth.any(1)], labels.asked[labels.truth.any(1)]
    probability = np.full((len(rows), len(topics) + 1), -1.0)
    probability[:, -1] = -0.5  # nothing: likelier than what was not taught or not asked
    given = answers.topics([examples[row].text for row in rows])
    place = {topic: index for index, topic in enumerate(answers.manifest.topics)}
    for index, topic in enumerate(topics):
        if topic in place:
            probability[:, index] = np.where(asked[:, index], given[:, place[topic]], -1.0)
    never = np.zeros((len(rows), 1), bool)
    return Judged((*topics, NOTHING), rows, probability.argmax(1), np.concatenate([truth, never], 1))


def _toward(answers: Answers, examples: Sequence[Example]) -> Mapping[str, Judged]:
    named = pairs(examples, marked=answers.manifest.toward)
    labelled = [pair for pair in named if not isinstance(pair.label, bool)]
    truth = np.array([LABELS.index(pair.label) for pair in labelled], np.int64)
    rows = np.array([pair.row for pair in labelled], np.int64)
    said = answers.said([pair.text for pair in labelled])
    toward = Judged(LABELS, rows, said, one_hot(truth, len(LABELS)))
    bad_or_not = [pair for pair in named if isinstance(pair.label, bool)]
    truth = np.array([pair.label for pair in bad_or_not], np.int64)
    rows = np.array([pair.row for pair in bad_or_not], np.int64)
    bad = said_bad(answers, bad_or_not)
    return {"toward": toward, "toward_bad": Judged(YES_NO, rows, bad.astype(np.int64), one_hot(truth, 2))}


@dataclass(frozen=True)
class TopicLabels:
    """The topic labels of the examples that have any.

    Attributes:
        rows: (texts,), the place of each example.
        truth: (texts, topics), the topics a text has.
        asked: (texts, topics), the topics whoever labelled it chose from; nothing is known of the others.
        unknown: label → texts that carry it though it is not among the topics counted.
    """

    rows: NDArray[np.int64]
    truth: NDArray[np.bool_]
    asked: NDArray[np.bool_]
    unknown: Mapping[str, int]


def read_topics(examples: Sequence[Example], taxonomy: Taxonomy, topics: Sequence[str]) -> TopicLabels:
    """The topic labels of `examples` as tables over `topics`.

    Where an example does not say which topics its labeller chose from (`Example.among`), those are all of them.
    """
    place = {topic: index for index, topic in enumerate(topics)}
    rows = [row for row, example in enumerate(examples) if example.topics is not None]
    truth = np.zeros((len(rows), len(topics)), bool)
    asked = np.zeros((len(rows), len(topics)), bool)
    unknown: dict[str, int] = {}
    for index, row in enumerate(rows):
        example = examples[row]
        for label in example.topics or ():
            topic = taxonomy.resolve(label)
            if topic in place:
                truth[index, place[topic]] = True
            else:
                unknown[label] = unknown.get(label, 0) + 1
        asked[index] = example.among is None
        for label in example.among or ():
            topic = taxonomy.resolve(label)
            if topic in place:
                asked[index, place[topic]] = True
    return TopicLabels(np.array(rows, np.int64), truth, asked | truth, unknown)


def among_their_own(examples: Sequence[Example]) -> list[Example]:
    """The examples of a file, each saying that its labeller chose from the topics the file carries.

    For a file that knows fewer topics than the model: of the others it says nothing.
    """
    carried = tuple(sorted({label for example in examples for label in example.topics or ()}))
    return [replace(example, among=example.among or carried) for example in examples]
