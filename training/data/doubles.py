"""Copies: the same text twice in what is taught, and copies whose labels contradict each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from monitor.understand.normalise import cleaned
from training.data.examples import Entities, Example
from training.data.near import first_copies, marked

# What copies may not differ in though it is no letter: the sign and the point of a number, arrows, emoji.
_DROPPED = re.compile(
    r"((?<!\w)[+\-−](?=[$€£¥]?\.?\d)|(?<=\d)\.(?=\d))|[^\w\u2190-\u21ff\u2600-\u27bf\U0001f000-\U0001faff]|_"
)


def fingerprint(text: str) -> str:
    """What two copies of a text share: the text without links, case, punctuation and white space.

    >>> fingerprint("Halvern Bank: profit UP 3.5%! https://t.co/x")
    'halvernbankprofitup3.5'
    >>> fingerprint("$TSLA -5%") == fingerprint("$TSLA +5%")
    False
    """
    plain = re.sub(r"\bhttp\b", "", cleaned(text)).casefold()
    return _DROPPED.sub(lambda found: found[1] or "", plain) or plain


def without_doubles(examples: Iterable[Example]) -> list[Example]:
    """The examples whose text was not there before; a later copy adds only labels the first did not have."""
    kept: dict[tuple[str, str | None], Example] = {}
    for example in examples:
        key = (fingerprint(example.text), example.target)
        first = kept.get(key)
        if first is None:
            kept[key] = example
            continue
        topics = first if first.topics is not None else example
        kept[key] = replace(
            first,
            lang=first.lang or example.lang,
            sentiment=first.sentiment or example.sentiment,
            topics=topics.topics,
            among=topics.among,
            negative=first.negative if first.negative is not None else example.negative,
            entities=_merged(first.entities, example.entities),
            at=first.at or example.at,
        )
    return list(kept.values())


def _merged(first: Entities, other: Entities) -> Entities:
    """What is said of each entity by either; the first where both say something."""
    found = dict(first)
    for name, label in other:
        if found.get(name) is None:
            found[name] = label
    return tuple(found.items())


def _labels(example: Example) -> dict[str, Any]:
    """What the example says, under the name of what it says it of."""
    found: dict[str, Any] = {}
    if example.sentiment is not None:
        found["sentiment"] = example.sentiment
    if example.topics is not None:
        found["topics"] = frozenset(example.topics)
    if example.negative is not None:
        found["negative"] = example.negative
    return found | {f"sentiment toward {name}": said for name, said in example.entities if said is not None}


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two copies of one text that say different things.

    Attributes:
        what: what they disagree on: sentiment, topics, negative, or sentiment toward an entity.
        near: the texts are not the same but near copies; then the difference may well be right.
    """

    what: str
    one: Example
    other: Example
    near: bool

    @property
    def said(self) -> tuple[str, str]:
        """What each of the two says."""
        return _shown(_labels(self.one)[self.what]), _shown(_labels(self.other)[self.what])


def _shown(said: Any) -> str:
    if isinstance(said, frozenset):
        return "+".join(sorted(said)) or "no topic"
    if isinstance(said, bool):
        return "yes" if said else "no"
    return str(said)


def conflicts(examples: Sequence[Example], *, near: bool = False) -> list[Conflict]:
    """Copies that contradict the first of their kind, at most one for each of them and each thing said.

    Args:
        near: look at near copies instead of copies.
    """
    return list(_near_conflicts(examples) if near else _conflicts(examples))


def _conflicts(examples: Sequence[Example]) -> Iterator[Conflict]:
    first: dict[tuple[str, str | None], Example] = {}
    # What was said of a text, and by which example, is kept only for texts that come again: of a million few do.
    known: dict[tuple[str, str | None], dict[str, tuple[Any, Example]]] = {}
    for example in examples:
        key = (fingerprint(example.text), example.target)
        one = first.setdefault(key, example)
        if one is example:
            continue
        said_before = known.setdefault(key, {what: (said, one) for what, said in _labels(one).items()})
        for what, said in _labels(example).items():
            before, earlier = said_before.setdefault(what, (said, example))
            if before != said:
                yield Conflict(what, earlier, example, False)


def _near_conflicts(examples: Sequence[Example]) -> Iterator[Conflict]:
    heads = first_copies(marked([example.text for example in examples]))
    for place in np.flatnonzero(heads != np.arange(len(heads))).tolist():
        one, other = examples[heads[place]], examples[place]
        if fingerprint(one.text) == fingerprint(other.text) or one.target != other.target:
            continue
        known = _labels(one)
        for what, said in _labels(other).items():
            if what in known and known[what] != said:
                yield Conflict(what, one, other, True)
