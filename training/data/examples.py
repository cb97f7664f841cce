"""A labelled text, and what labels a set of them carries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from monitor.documents import Kind, Label

Entities = tuple[tuple[str, Label | bool | None], ...]
"""Names, each with what is said of it; see `Example`."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text; None stands for "nobody said".

    `topics` are labels as the file has them. `negative` is a yes or no that leaves open what else the text is.
    `entities` are those the text names, each with the sentiment toward it: a label, True or False for bad or not
    bad for it, or None where nobody said. `target` is set on a text that was marked for one of its entities
    (`toward.aimed`): its labels are about that entity alone. `among` are the topics whoever labelled the text chose
    from; what is not among them was not said to be absent. None: all that are taught. `at` is when the text was
    published, in UTC; `kind` whether it is news or a comment. `origin` says where it was read, `file:line` (for
    Parquet the row, for a JSON array the record, from 1); it is for people only and does not count when examples
    are compared.
    """

    text: str
    lang: str | None = None
    sentiment: Label | None = None
    topics: tuple[str, ...] | None = None
    negative: bool | None = None
    entities: Entities = ()
    target: str | None = None
    among: tuple[str, ...] | None = None
    at: datetime | None = None
    origin: str = field(default="", compare=False)
    kind: Kind | None = None


def counted(examples: Iterable[Example]) -> dict[str, Any]:
    """How many examples carry which label, for logs and model cards."""
    rows = list(examples)

    def each(values: Iterator[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for value in values:
            found[value] = found.get(value, 0) + 1
        return dict(sorted(found.items()))

    return {
        "texts": len(rows),
        "sentiment": each(row.sentiment for row in rows if row.sentiment),
        "topics": each(topic for row in rows for topic in row.topics or ()),
        "entities": sum(len(row.entities) for row in rows),
        "negative": sum(row.negative is True for row in rows),
        "not_negative": sum(row.negative is False for row in rows),
    }
