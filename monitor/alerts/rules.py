"""When a surge is one: it must be made of several distinct stories, told by several voices.

The counts know nothing of copies. A headline that forty sites repeat, or one account that posts forty times, is
no surge of sentiment; here the documents themselves are looked at.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from sqlalchemy import Connection

from monitor.alerts.eventtime import start_of
from monitor.detect.judgement import Judgement
from monitor.detect.significance import count_tail
from monitor.documents import Series
from monitor.settings import DetectionSettings
from monitor.store.queries import drivers
from monitor.store.queries.drivers import Driver

# The latest documents of a window, or of the week before it, that are folded.
READ = 2_000
PAST = timedelta(days=7)
# No number of independent stories more probable than this is a surge.
STORY_LEVEL = 1e-3


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


def independent(stories: Sequence[Story]) -> int:
    """How often something was told independently: copies of a story and one man's repetitions count once.

    The author of a comment is one voice however much he writes; a news story is a voice of its own however many
    carry it, and so is a comment whose author is not known. What counts is how many stories can be paired with a
    voice of their own that tells them: a maximum matching.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    heard: dict[Hashable, int] = {}
    pairs = set()
    for number, story in enumerate(stories):
        for document in story.documents:
            if document.kind == "comment" and document.author:
                voice: Hashable = (document.source, document.author)
            else:
                voice = story.first.key
            pairs.add((number, heard.setdefault(voice, len(heard))))
    if not pairs:
        return 0
    rows, columns = zip(*sorted(pairs), strict=True)
    told_by = csr_array(([1] * len(rows), (rows, columns)), shape=(len(stories), len(heard)))
    return int((maximum_bipartite_matching(told_by, perm_type="column") >= 0).sum())


def substantial(
    connection: Connection, judgement: Judgement, stories: Sequence[Story], settings: DetectionSettings
) -> bool:
    """Whether a surge of documents is one of stories, too.

    The detector found the number of documents improbable. With copies and repetitions counted once, in the window
    and in the week before it alike, it must still be so (at the mild level of `STORY_LEVEL`), and still `min_lift`
    times what was expected; and there must be `min_stories` of them at all. So one story that everybody copies
    raises nothing, also where a day's ordinary stories stand beside it.
    """
    found = independent(stories)
    if found < settings.min_stories:
        return False
    # What would pass if the past had no copies passes with any: it need not be read.
    if _stands_out(found, 1.0, judgement, settings):
        return True
    begin = start_of(judgement.minute + 1 - judgement.window)
    past = drivers.of_series(connection, judgement.series, begin - PAST, begin, limit=READ)
    usual = independent(fold(past)) / len(past) if past else 1.0
    return _stands_out(found, usual, judgement, settings)


def _stands_out(found: int, usual: float, judgement: Judgement, settings: DetectionSettings) -> bool:
    """Whether so many independent stories are too many, `usual` being how many a document makes at other times."""
    expected = judgement.expected * usual
    if found < settings.min_lift * expected:
        return False
    return count_tail(found, expected, judgement.dispersion) <= STORY_LEVEL
