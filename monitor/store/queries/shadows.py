"""What two models said of the same documents, one of them in shadow mode or both at different times.

What a model said stands in `scores` where it served and in `shadow_scores` where it did not. "What was said" is
whatever model served at that moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

_COLUMNS = "published_at, key, model, label, positive - negative AS score, topics"
# Of a model by name, or (other IS NULL) of whoever served instead of it: the latest of several scorings.
_SAID = (
    f"WITH a AS (SELECT {_COLUMNS} FROM scores WHERE model = :model AND published_at >= :since UNION ALL "
    f"SELECT {_COLUMNS} FROM shadow_scores WHERE model = :model AND published_at >= :since), "
    f"b AS (SELECT DISTINCT ON (published_at, key) {_COLUMNS} FROM scores WHERE published_at >= :since "
    "AND CASE WHEN cast(:other AS text) IS NULL THEN model <> :model ELSE model = :other END "
    "ORDER BY published_at, key, scored_at DESC), "
    f"c AS (SELECT {_COLUMNS} FROM shadow_scores WHERE model = :other AND published_at >= :since), "
    "both_said AS (SELECT a.published_at, a.key, a.label AS label, other.label AS other_label, a.score AS score, "
    "other.score AS other_score, a.topics AS topics, other.topics AS other_topics, other.model AS other_model "
    "FROM a JOIN (TABLE b UNION ALL TABLE c) other USING (published_at, key)) "
)
# Of each document both scored and each company that either told apart: what the two said toward it. The whole text's
# sentiment stands for a company that one of them did not tell apart.
_SAID_TOWARD = _SAID + (
    ", told AS (SELECT published_at, key, model, company, label, positive - negative AS score FROM company_scores "
    "WHERE published_at >= :since UNION ALL "
    "SELECT published_at, key, model, each.company, each.label, each.score FROM shadow_scores, "
    "unnest(companies, company_labels, company_scores) AS each (company, label, score) "
    "WHERE published_at >= :since), "
    "mine AS (SELECT * FROM told WHERE model = :model), "
    "theirs AS (SELECT told.* FROM told JOIN both_said said USING (published_at, key) "
    "WHERE told.model = said.other_model), "
    "toward AS (SELECT company, coalesce(mine.label, said.label) AS label, "
    "coalesce(theirs.label, said.other_label) AS other_label, coalesce(mine.score, said.score) AS score, "
    "coalesce(theirs.score, said.other_score) AS other_score "
    "FROM mine FULL JOIN theirs USING (published_at, key, company) JOIN both_said said USING (published_at, key)) "
)


@dataclass(frozen=True, slots=True)
class Cell:
    """The documents of which one said `label` and the other `other_label`.

    `moved` and `distance` are the sums of score − other score, as it is and without its sign; a score is
    P(positive) − P(negative). `same_topics`: documents to which both gave the same topics.
    """

    label: str
    other_label: str
    documents: int
    moved: float
    distance: float
    same_topics: int


@dataclass(frozen=True, slots=True)
class Differing:
    """A document on which the two are far apart."""

    key: str
    published_at: datetime
    source: str
    title: str
    text: str
    label: str
    other_label: str
    score: float
    other_score: float


def cells(connection: Connection, model: str, other: str | None, since: datetime) -> list[Cell]:
    """Every pair of answers to the documents both scored, with how often it came."""
    rows = connection.execute(
        text(
            _SAID + "SELECT label, other_label, count(*), sum(score - other_score), sum(abs(score - other_score)), "
            "count(*) FILTER (WHERE topics @> other_topics AND other_topics @> topics) "
            "FROM both_said GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        _parameters(model, other, since),
    )
    return [Cell(row[0], row[1], int(row[2]), float(row[3]), float(row[4]), int(row[5])) for row in rows]


def toward_cells(connection: Connection, model: str, other: str | None, since: datetime) -> list[Cell]:
    """The same of what they said toward companies; each pair of document and company is one. Topics have no part."""
    rows = connection.execute(
        text(
            _SAID_TOWARD + "SELECT label, other_label, count(*), sum(score - other_score), "
            "sum(abs(score - other_score)) FROM toward GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        _parameters(model, other, since),
    )
    return [Cell(row[0], row[1], int(row[2]), float(row[3]), float(row[4]), 0) for row in rows]


def others(connection: Connection, model: str, other: str | None, since: datetime) -> dict[str, int]:
    """Whom the model is compared with → documents."""
    rows = connection.execute(
        text(_SAID + "SELECT other_model, count(*) FROM both_said GROUP BY 1 ORDER BY 2 DESC, 1"),
        _parameters(model, other, since),
    )
    return {str(row[0]): int(row[1]) for row in rows}


def topics(connection: Connection, model: str, other: str | None, since: datetime) -> dict[str, tuple[int, int, int]]:
    """Topic → documents to which both, only the model, only the other gave it; the most contested first."""
    rows = connection.execute(
        text(
            _SAID + "SELECT topic, count(*) FILTER (WHERE topic = ANY(topics) AND topic = ANY(other_topics)), "
            "count(*) FILTER (WHERE topic <> ALL(other_topics)), count(*) FILTER (WHERE topic <> ALL(topics)) "
            "FROM both_said, LATERAL (SELECT DISTINCT unnest(topics || other_topics) AS topic) given "
            "GROUP BY topic ORDER BY count(*) FILTER (WHERE topic <> ALL(other_topics) OR topic <> ALL(topics)) DESC, 1"
        ),
        _parameters(model, other, since),
    )
    return {str(row[0]): (int(row[1]), int(row[2]), int(row[3])) for row in rows}


def furthest(connection: Connection, model: str, other: str | None, since: datetime, limit: int) -> list[Differing]:
    """The documents on which the two are furthest apart."""
    rows = connection.execute(
        text(
            _SAID + ", far AS (SELECT * FROM both_said ORDER BY abs(score - other_score) DESC, key LIMIT :limit) "
            "SELECT far.key, far.published_at, source, title, left(text, 300), label, other_label, score, other_score "
            "FROM far JOIN documents USING (published_at, key) ORDER BY abs(score - other_score) DESC, far.key"
        ),
        {**_parameters(model, other, since), "limit": limit},
    )
    return [Differing(str(row[0]), *row[1:]) for row in rows]


def labelled(connection: Connection, model: str, other: str | None, since: datetime) -> list[tuple[str, str, str]]:
    """(what people said, what the model said, what the other said) of each document with a label.

    Where people disagree, what most of them said counts; where no answer has most, the document is left out.
    """
    rows = connection.execute(
        text(
            _SAID + ", counted AS (SELECT key, sentiment, count(*) AS number FROM labels "
            "WHERE company = '' AND sentiment IS NOT NULL GROUP BY key, sentiment), "
            "ranked AS (SELECT key, sentiment, number, max(number) OVER (PARTITION BY key) AS most, "
            "count(*) OVER (PARTITION BY key, number) AS equals FROM counted) "
            "SELECT sentiment, label, other_label FROM ranked JOIN both_said USING (key) "
            "WHERE number = most AND equals = 1 ORDER BY key"
        ),
        _parameters(model, other, since),
    )
    return [(str(row[0]), str(row[1]), str(row[2])) for row in rows]


def _parameters(model: str, other: str | None, since: datetime) -> Mapping[str, Any]:
    return {"model": model, "other": other, "since": since}
