"""When a surge is one: it must be made of several distinct stories, told by several voices.

The counts know nothing of copies. A headline that forty sites repeat, or one account that posts forty times, is
no surge of sentiment; here the documents themselves are looked at.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection

from monitor.documents import Series
from monitor.store.queries import drivers
from monitor.store.queries.drivers import Driver

# The latest documents of a window that are folded: more would not change whether it holds a few stories.
READ = 2_000


@dataclass(frozen=True)
class Story:
    """Documents that say the same, oldest first."""

    documents: tuple[Driver, ...]

    @property
    def first(self) -> Driver:
        """The document that told it first."""
        return self.documents[0]

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Who carried it, first to last."""
        return tuple(dict.fromkeys(document.source for document in self.documents))


def negative_stories(connection: Connection, series: Series, begin: datetime, end: datetime) -> list[Story]:
    """The stories told by the on-time negative documents of a series in [begin, end), by first appearance."""
    return fold(drivers.of_series(connection, series, begin, end, limit=READ))


def fold(documents: Sequence[Driver]) -> list[Story]:
    """Put documents that say the same into one story each.

    Args:
        documents: oldest first, as `drivers.of_series` gives them; the order decides what a story is named after.
    """
    # Folding lives with the fingerprints it compares; it is a pure function and loads no model.
    from monitor.understand.novelty import stories

    by_key: Mapping[Hashable, Driver] = {document.key: document for document in documents}
    folded = stories([(document.key, document.fingerprint) for document in documents])
    return [Story(tuple(by_key[key] for key in keys)) for keys in folded]


def voices(stories: Sequence[Story]) -> int:
    """How many independent voices tell the stories.

    The author of a comment is one voice however much he writes; a news story is one however many carry it, and so
    is a comment whose author is not known.
    """
    heard: set[Hashable] = set()
    for story in stories:
        for document in story.documents:
            if document.kind == "comment" and document.author:
                heard.add((document.source, document.author))
            else:
                heard.add(story.first.key)
    return len(heard)


def substantial(stories: Sequence[Story], min_stories: int) -> bool:
    """Whether there are enough distinct stories, and enough voices that tell them."""
    return len(stories) >= min_stories and voices(stories) >= min_stories
