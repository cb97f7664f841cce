"""Sentiment toward entities: the labelled (text, entity) pairs of a file and the marked texts they are asked by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.documents import Label
from monitor.understand.toward import aimed, mentions
from training.data.examples import Example


@dataclass(frozen=True, slots=True)
class Pair:
    """One labelled entity of a text.

    Attributes:
        row: the place of its example.
        text: the example's text marked for the entity, as the model is asked.
        label: the sentiment toward it; True for bad and False for not bad where only that is known.
        disagrees: whether another entity of the same text is labelled otherwise.
    """

    row: int
    entity: str
    text: str
    label: Label | bool
    disagrees: bool


def pairs(examples: Sequence[Example]) -> list[Pair]:
    """Every (text, entity) pair that has a label, in order."""
    found = []
    for row, example in enumerate(examples):
        labelled = [(name, label) for name, label in example.entities if label is not None]
        if not labelled:
            continue
        spans = mentions(example.text, [name for name, _ in example.entities])
        disagrees = len({label for _, label in labelled}) > 1
        for name, label in labelled:
            found.append(Pair(row, name, aimed(example.text, spans, name, example.lang), label, disagrees))
    return found
