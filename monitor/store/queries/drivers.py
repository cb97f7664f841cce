"""The documents behind a count: what a series said in a window, and what it said before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from monitor.documents import Kind, Label, Series


@dataclass(frozen=True, slots=True)
class Driver:
    """A document as far as an explanation needs it.

    `negative` is the probability of the negative class, toward the company where the series is a company's.
    """

    published_at: datetime
    key: UUID
    source: str
    kind: Kind
    title: str
    text: str
    lang: str
    companies: tuple[str, ...]
    topics: tuple[str, ...]
    author: str | None
    url: str | None
    fingerprint: int
    negative: float

    @property
    def body(self) -> str:
        """The title, then the text; a text that repeats its title counts once."""
        if not self.title or self.text.startswith(self.title):
            return self.text or self.title
        return f"{self.title}\n{self.text}" if self.text else self.title


def of_series(
    connection: Connection,
    series: Series,
    begin: datetime,
    end: datetime,
    *,
    label: Label | None = "negative",
    limit: int = 2_000,
) -> list[Driver]:
    """On-time documents of a series published in [begin, end), oldest first; the latest `limit` if there are more.

    A document that was scored again by a later model counts as it was scored first: that is what was judged. In a
    series of a company it counts with its sentiment toward that company, as in the roll-ups.

    Args:
        label: only documents of this sentiment; None for every scored one.
    """
    conditions = ["NOT d.late", "d.published_at >= :begin", "d.published_at < :end", "d.lang = :lang"]
    values: dict[str, object] = {"begin": begin, "end": end, "lang": series.lang, "limit": limit}
    negative, sentiment, toward = "s.negative", "s.label", ""
    if series.company:
        conditions.append("d.companies @> ARRAY[:company]")
        values["company"] = series.company
        negative, sentiment = "coalesce(c.negative, s.negative) AS negative", "coalesce(c.label, s.label) AS label"
        toward = (
            "LEFT JOIN company_scores c ON c.published_at = s.published_at AND c.key = s.key AND c.model = s.model "
            "AND c.company = :company AND c.published_at >= :begin AND c.published_at < :end "
        )
    outer = ["true"]
    if series.topic:
        outer.append(":topic = ANY(topics)")
        values["topic"] = series.topic
    if label:
        outer.append("label = :label")
        values["label"] = label
    rows = connection.execute(
        text(
            "SELECT * FROM (SELECT DISTINCT ON (d.published_at, d.key) d.published_at, d.key, d.source, d.kind, "
            f"d.title, d.text, d.lang, d.companies, s.topics, d.author, d.url, d.fingerprint, {negative}, {sentiment} "
            f"FROM documents d JOIN scores s USING (published_at, key) {toward}"
            # Said of each table: only so are the partitions left out that cannot hold any.
            f"WHERE s.published_at >= :begin AND s.published_at < :end AND {' AND '.join(conditions)} "
            "ORDER BY d.published_at, d.key, s.scored_at, s.model) scored "
            f"WHERE {' AND '.join(outer)} ORDER BY published_at DESC, key DESC LIMIT :limit"
        ),
        values,
    ).all()
    return [
        Driver(
            row.published_at,
            row.key,
            row.source,
            row.kind,
            row.title,
            row.text,
            row.lang,
            tuple(row.companies),
            tuple(row.topics),
            row.author,
            row.url,
            row.fingerprint,
            row.negative,
        )
        for row in reversed(rows)
    ]
