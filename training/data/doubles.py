"""Copies: the same text twice in what is taught."""

from __future__ import annotations

import re
from collections.abc import Iterable

from monitor.understand.normalise import normalise
from training.data.examples import Example

_NOT_WORD = re.compile(r"[\W_]+")


def fingerprint(text: str) -> str:
    """What two copies of a text share: the text without links, case, punctuation and white space."""
    return _NOT_WORD.sub("", re.sub(r"\bhttp\b", "", normalise(text)).casefold())


def without_doubles(examples: Iterable[Example]) -> list[Example]:
    """The examples whose text was not there before; a later copy adds only labels the first did not have."""
    kept: dict[str, Example] = {}
    for example in examples:
        key = fingerprint(example.text)
        first = kept.get(key)
        if first is None:
            kept[key] = example
        else:
            kept[key] = Example(
                first.text,
                first.lang or example.lang,
                first.sentiment or example.sentiment,
                first.topics if first.topics is not None else example.topics,
                first.negative if first.negative is not None else example.negative,
                first.entities or example.entities,
            )
    return list(kept.values())
