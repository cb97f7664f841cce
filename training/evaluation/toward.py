"""Sentiment toward entities: the labelled (text, entity) pairs of a file and the texts they are asked by.

As in the service: a text that names several entities is marked for each of them, if the bundle was taught such texts;
else the sentiment of the whole text is what is said of everyone in it.

Where it is only known whether a text is bad for an entity, one that stands only within the longer name of another
("Acme" in "Acme Bank") is answered "not bad" whatever the bundle is like, as the service says nothing of it. Reports
count these pairs (`nested`) beside their figures: the more there are, the less the figure tells of the bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.documents import Label
from monitor.understand.toward import aimed, mentions
from training.data.examples import Example
from training.evaluation.answers import NEGATIVE, Answers


@dataclass(frozen=True, slots=True)
class Pair:
    """One labelled entity of a text.

    Attributes:
        row: the place of its example.
        text: what the model is asked: the example's text, marked for the entity where it names others.
        label: the sentiment toward it; True for bad and False for not bad where only that is known.
        disagrees: whether another entity of the same text is labelled otherwise.
        mentioned: False where it stands only within the longer names of others, which the service takes for these.
    """

    row: int
    entity: str
    text: str
    label: Label | bool
    disagrees: bool
    mentioned: bool = True


def pairs(examples: Sequence[Example], *, marked: bool) -> list[Pair]:
    """Every (text, entity) pair that has a label, in order.

    Args:
        marked: whether the bundle reads marked texts (`Manifest.toward`).
    """
    found = []
    for row, example in enumerate(examples):
        labelled = [(name, label) for name, label in example.entities if label is not None]
        if not labelled:
            continue
        spans = mentions(example.text, [name for name, _ in example.entities])
        mentioned = {name for _, _, name in spans}
        disagrees = len({label for _, label in labelled}) > 1
        for name, label in labelled:
            alone = not marked or len(example.entities) < 2
            text = example.text if alone else aimed(example.text, spans, name, example.lang)
            found.append(Pair(row, name, text, label, disagrees, name in mentioned or name not in example.text))
    return found


def said_bad(answers: Answers, named: Sequence[Pair]) -> NDArray[np.bool_]:
    """(pairs,), whether the bundle calls the text bad for the entity.

    As in the service nothing is said, and so nothing bad, of an entity that is not mentioned but within the longer
    name of another.
    """
    said = answers.said([pair.text for pair in named]) == NEGATIVE
    return said & np.array([pair.mentioned for pair in named], bool)
