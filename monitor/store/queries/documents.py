"""Reading documents: searching them newest first, a page at a time, and one with all that is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from monitor.documents import TopicScore
from monitor.errors import InputError

SEARCH_SECONDS = 15
UNSCORED = "unscored"
_CANCELLED = "57014"
_LATEST = (
    "LEFT JOIN LATERAL (SELECT * FROM scores WHERE scores.published_at = d.published_at AND scores.key = d.key "
    "ORDER BY scored_at DESC, model LIMIT 1) s ON true"
)
_TOWARD = (
    "LEFT JOIN LATERAL (SELECT label FROM company_scores WHERE company_scores.published_at = d.published_at "
    "AND company_scores.key = d.key AND company = :company AND model = s.model LIMIT 1) c ON true"
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which documents are meant; an empty field means any.

    `words` is looked for as it stands, whatever its case, in title and text. `topics` match when the document
    has any of them. `label` is a sentiment or "unscored"; together with a company it is the sentiment toward that
    company. `start` ≤ published_at < `end`.
    """

    words: str = ""
    topics: tuple[str, ...] = ()
    company: str = ""
    label: str = ""
    lang: str = ""
    kind: str = ""
    source: str = ""
    start: datetime | None = None
    end: datetime | None = None

    def among(self) -> tuple[str, str, dict[str, Any]]:
        """The tables, d the documents and s their latest scores; the condition; and the values in both."""
        tables = f"documents d {_LATEST}"
        conditions, values = ["true"], dict[str, Any]()

        def put(condition: str, **given: Any) -> None:
            conditions.append(condition)
            values.update(given)

        if self.words.strip():
            pattern = self.words.strip().replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
            put("(d.text ILIKE :words OR d.title ILIKE :words)", words=f"%{pattern}%")
        if self.topics:
            put("s.topics && CAST(:topics AS text[])", topics=list(self.topics))
        if self.company:
            put("d.companies @> CAST(:companies AS text[])", companies=[self.company])
        if self.label == UNSCORED:
            put("s.label IS NULL")
        elif self.label and self.company:
            tables += f" {_TOWARD}"
            put("coalesce(c.label, s.label) = :label", label=self.label, company=self.company)
        elif self.label:
            put("s.label = :label", label=self.label)
        for name in ("lang", "kind", "source"):
            if getattr(self, name):
                put(f"d.{name} = :{name}", **{name: getattr(self, name)})
        if self.start is not None:
            put("d.published_at >= :start", start=self.start)
        if self.end is not None:
            put("d.published_at < :end", end=self.end)
        return tables, " AND ".join(conditions), values


@dataclass(frozen=True, slots=True)
class CompanyScore:
    """What a model made of a document as far as one of its companies is concerned."""

    company: str
    label: str
    negative: float
    neutral: float
    positive: float


@dataclass(frozen=True, slots=True)
class Found:
    """A document in a list, with its latest score (None where nothing scored it).

    `toward` are the sentiments toward single companies, by symbol; empty where the document's counts for all of them.
    """

    key: UUID
    id: str
    published_at: datetime
    source: str
    kind: str
    title: str
    text: str
    lang: str
    companies: tuple[str, ...]
    url: str | None
    author: str | None
    label: str | None
    negative: float | None
    neutral: float | None
    positive: float | None
    topics: tuple[TopicScore, ...]
    model: str | None
    toward: tuple[CompanyScore, ...]

    @property
    def cursor(self) -> tuple[datetime, UUID]:
        """Where the next page begins."""
        return self.published_at, self.key


@dataclass(frozen=True, slots=True)
class Score:
    """What one model made of a document. `toward` as in `Found`; `cut`: its text is longer than the model reads."""

    model: str
    label: str
    negative: float
    neutral: float
    positive: float
    topics: tuple[TopicScore, ...]
    scored_at: datetime
    toward: tuple[CompanyScore, ...]
    cut: bool


@dataclass(frozen=True, slots=True)
class Details:
    """One document, its own fields as they came, and every score it was given, the latest first."""

    key: UUID
    id: str
    published_at: datetime
    received_at: datetime
    source: str
    kind: str
    title: str
    text: str
    lang: str
    symbols: tuple[str, ...]
    companies: tuple[str, ...]
    url: str | None
    author: str | None
    extra: dict[str, Any]
    late: bool
    scores: tuple[Score, ...]


def page(
    connection: Connection, wanted: Filter, *, limit: int, before: tuple[datetime, UUID] | None = None
) -> list[Found]:
    """Up to `limit` documents, newest first, those after `before` in that order.

    Raises:
        InputError: the search took longer than `SEARCH_SECONDS`.
    """
    tables, condition, values = wanted.among()
    if before is not None:
        condition += " AND (d.published_at, d.key) < (:before, :before_key)"
        values |= {"before": before[0], "before_key": before[1]}
    rows = _bounded(
        connection,
        "SELECT d.key, d.id, d.published_at, d.source, d.kind, d.title, d.text, d.lang, d.companies, d.url, d.author, "
        "s.label, s.negative, s.neutral, s.positive, s.topics, s.topic_probabilities, s.model "
        f"FROM {tables} WHERE {condition} ORDER BY d.published_at DESC, d.key DESC LIMIT :limit",
        values | {"limit": limit},
    )
    toward = _toward(connection, [(row.published_at, row.key) for row in rows])

    def found(row: Any) -> Found:
        topics, each = _topics(row[15], row[16]), toward.get((row.key, row.model), ())
        return Found(*(*row[:8], tuple(row[8]), *row[9:15], topics, row[17], each))

    return [found(row) for row in rows]


def count(connection: Connection, wanted: Filter, *, at_most: int) -> int:
    """How many documents match, counted up to `at_most`. Raises InputError as `page` does."""
    tables, condition, values = wanted.among()
    rows = _bounded(
        connection,
        f"SELECT count(*) FROM (SELECT FROM {tables} WHERE {condition} LIMIT :limit) found",
        values | {"limit": at_most},
    )
    return int(rows[0][0])


def every(connection: Connection, wanted: Filter, *, at_most: int, step: int = 1000) -> Iterator[Found]:
    """Matching documents, newest first, read a page at a time."""
    before = None
    while at_most > 0:
        found = page(connection, wanted, limit=min(step, at_most), before=before)
        yield from found
        if len(found) < min(step, at_most):
            return
        at_most -= len(found)
        before = found[-1].cursor


def details(connection: Connection, key: UUID) -> Details | None:
    """One document; None if it is not in the record."""
    row = connection.execute(
        text(
            "SELECT key, id, published_at, received_at, source, kind, title, text, lang, symbols, companies, url, "
            "author, extra, late FROM documents WHERE key = :key "
            "AND published_at = (SELECT published_at FROM identities WHERE key = :key)"
        ),
        {"key": key},
    ).first()
    if row is None:
        return None
    scores = connection.execute(
        text(
            "SELECT model, label, negative, neutral, positive, topics, topic_probabilities, scored_at, cut FROM scores "
            "WHERE key = :key AND published_at = :published_at ORDER BY scored_at DESC, model"
        ),
        {"key": key, "published_at": row.published_at},
    )
    toward = _toward(connection, [(row.published_at, key)])
    judged = tuple(
        Score(*(*score[:5], _topics(score[5], score[6]), score[7], toward.get((key, score[0]), ()), score[8]))
        for score in scores
    )
    return Details(*(*row[:9], tuple(row.symbols), tuple(row.companies), *row[11:15], judged))


def sources(connection: Connection, *, among: int = 20_000) -> list[str]:
    """Sources of the newest documents, the most frequent first."""
    rows = connection.execute(
        text(
            "SELECT source FROM (SELECT source FROM documents ORDER BY published_at DESC, key DESC LIMIT :among) d "
            "GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 200"
        ),
        {"among": among},
    )
    return [row[0] for row in rows]


def _toward(
    connection: Connection, documents: Sequence[tuple[datetime, UUID]]
) -> dict[tuple[UUID, str], tuple[CompanyScore, ...]]:
    """(key, model) → the sentiments toward single companies, by symbol."""
    if not documents:
        return {}
    rows = connection.execute(
        text(
            "SELECT d.key, c.* FROM unnest(CAST(:times AS timestamptz[]), CAST(:keys AS uuid[])) d (published_at, key) "
            # One look into one partition a document, whatever the planner believes of how many there are.
            "CROSS JOIN LATERAL (SELECT model, company, label, negative, neutral, positive FROM company_scores "
            "WHERE company_scores.published_at = d.published_at AND company_scores.key = d.key OFFSET 0) c "
            'ORDER BY d.key, model, company COLLATE "C"'
        ),
        {"times": [time for time, _ in documents], "keys": [str(key) for _, key in documents]},
    )
    found: dict[tuple[UUID, str], tuple[CompanyScore, ...]] = {}
    for key, model, *score in rows:
        found[key, model] = (*found.get((key, model), ()), CompanyScore(*score))
    return found


def _topics(ids: Sequence[str] | None, probabilities: Sequence[float] | None) -> tuple[TopicScore, ...]:
    found = (TopicScore(*pair) for pair in zip(ids or (), probabilities or (), strict=True))
    return tuple(sorted(found, key=lambda topic: (-topic.probability, topic.id)))


def _bounded(connection: Connection, statement: str, values: dict[str, Any]) -> Sequence[Any]:
    connection.execute(text(f"SET LOCAL statement_timeout = {SEARCH_SECONDS * 1000}"))
    try:
        return connection.execute(text(statement), values).all()
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) != _CANCELLED:
            raise
        raise InputError(
            f"the search took longer than {SEARCH_SECONDS} s; narrow the time range or add a filter"
        ) from None
