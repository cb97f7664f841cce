"""Why an alert was raised: a sentence or two an analyst can check, and the evidence behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from monitor.alerts import numerals
from monitor.alerts.eventtime import end_of, start_of
from monitor.alerts.names import Names
from monitor.alerts.rules import Story
from monitor.alerts.words import Word, distinctive, words_of
from monitor.detect.judgement import Judgement
from monitor.detect.surge import Detector
from monitor.store.queries import drivers
from monitor.store.queries.drivers import Driver

STORIES = 8  # told in full
WORDS = 10
LISTED = 8  # companies, topics and sources each
HEADLINE = 160  # characters
BEFORE = timedelta(days=7)  # the past that words are compared with
BEFORE_DOCUMENTS = 1_000
CURVE_STEP = 15  # minutes
CURVE_LENGTH = 1440

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """`reason` in words; `evidence` as docs/alerts.md describes it."""

    reason: str
    evidence: dict[str, Any]


def explain(
    connection: Connection, judgement: Judgement, stories: Sequence[Story], names: Names, detector: Detector
) -> Explanation:
    """Explain a surge.

    Args:
        stories: of the judged window, by first appearance.
        detector: as it stood at the judged minute; gives the curve.
    """
    documents = [document for story in stories for document in story.documents]
    begin, end = start_of(judgement.minute + 1 - judgement.window), end_of(judgement.minute)
    sources = Counter(document.source for document in documents)
    words = _words(connection, judgement, stories, begin)
    foremost = _foremost(stories, words)
    evidence: dict[str, Any] = {
        "name": names.series(judgement.series),
        "window": {"begin": numerals.instant(begin), "end": numerals.instant(end)},
        "documents": len(documents),
        "stories_total": len(stories),
        "sources_total": len(sources),
        "share": _rounded(judgement.share),
        "expected_share": _rounded(judgement.expected_share),
        "lift": numerals.significant(judgement.lift, 3),
        "stories": [_told(story) for story in foremost[:STORIES]],
        "words": [{"word": word.word, "z": word.z, "count": word.count} for word in words],
        "companies": [
            {"symbol": symbol, "name": names.company(symbol), "count": count}
            for symbol, count in _commonest(symbol for document in documents for symbol in document.companies)
        ],
        "topics": [
            {"id": topic, "name": names.topic(topic), "count": count}
            for topic, count in _commonest(topic for document in documents for topic in document.topics)
        ],
        "sources": [{"name": source, "count": count} for source, count in _commonest(sources.elements())],
        "curve": {"step_minutes": CURVE_STEP, "points": _curve(judgement, detector)},
    }
    return Explanation(reason_of(judgement, foremost, names), evidence)


def reason_of(judgement: Judgement, stories: Sequence[Story], names: Names) -> str:
    """The sentences. `stories`: the foremost first."""
    end = end_of(judgement.minute)
    share = ""
    if judgement.share is not None and judgement.expected_share is not None:
        share = f"; share {numerals.percent(judgement.share)} against {numerals.percent(judgement.expected_share)}"
    counts = (
        f"{judgement.observed} negative of {judgement.total} {names.documents(judgement.series)} "
        f"in the {numerals.window(judgement.window)} to {_clock(end)}, "
        f"{numerals.count(judgement.expected)} expected "
        f"({numerals.lift(judgement.lift)}, p {_equals(numerals.probability(judgement.p_value))}){share}."
    )
    if not stories:
        return counts
    sources = len({document.source for story in stories for document in story.documents})
    told = (
        f"{len(stories)} distinct {'story' if len(stories) == 1 else 'stories'} "
        f"from {sources} source{'' if sources == 1 else 's'}; foremost: “{headline(stories[0].first)}”."
    )
    return f"{counts} {told}"


def headline(document: Driver) -> str:
    """The title, or the text where there is none: one line, cut at a bound."""
    line = " ".join((document.title or document.text).split())
    line = "".join(sign for sign in line if sign.isprintable())
    return line if len(line) <= HEADLINE else f"{line[: HEADLINE - 1].rstrip()}…"


def _foremost(stories: Sequence[Story], words: Sequence[Word]) -> list[Story]:
    """The stories in the order of what they say of the surge.

    What counts is how many copies there are, how many words that stand out, and how sure the model is that the story
    is negative: a remark that is barely so must not be the one that is quoted.
    """

    def weight(story: Story) -> float:
        said = words_of(story.first.body)
        striking = 1 + sum(word.z for word in words if word.word in said)
        return round(len(story.documents) * striking * story.first.negative, 3)

    return sorted(stories, key=lambda story: (-weight(story), story.first.published_at, story.first.key))


def _told(story: Story) -> dict[str, Any]:
    first = story.first
    return {
        "headline": headline(first),
        "copies": len(story.documents),
        "first_seen": numerals.instant(first.published_at),
        "sources": list(story.sources[:LISTED]),
        "key": str(first.key),
        "url": first.url,
    }


def _words(connection: Connection, judgement: Judgement, stories: Sequence[Story], begin: datetime) -> list[Word]:
    past = drivers.of_series(connection, judgement.series, begin - BEFORE, begin, label=None, limit=BEFORE_DOCUMENTS)
    return distinctive([story.first.body for story in stories], [document.body for document in past], WORDS)


def _curve(judgement: Judgement, detector: Detector) -> list[dict[str, Any]]:
    """Observed and expected negatives over the day to the judged minute, `at` being the start of each step."""
    end = judgement.minute + 1
    bands = detector.band(judgement.series, end - CURVE_LENGTH, end, CURVE_STEP, at=judgement.minute)
    return [
        {
            "at": numerals.instant(start_of(band.end + 1 - CURVE_STEP)),
            "observed": detector.history.window(judgement.series, band.end, CURVE_STEP)[0],
            "expected": numerals.significant(band.expected, 4),
            "lower": band.lower,
            "upper": band.upper,
        }
        for band in bands
    ]


def _commonest(names: Iterable[str]) -> list[tuple[str, int]]:
    counted = Counter(names)
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:LISTED]


def _clock(at: datetime) -> str:
    """`14:20 UTC on 2 March 2026`, whatever the locale."""
    return f"{at:%H:%M} UTC on {at.day} {_MONTHS[at.month - 1]} {at.year}"


def _equals(probability: str) -> str:
    return probability if probability.startswith("under") else f"= {probability}"


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
