"""Documents that could be labelled next, as they were scored, and the alerts that some of them drive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from monitor.documents import Label, Series

_KEYS = 1 << 128
_COLUMNS = (
    "d.key, d.id, d.published_at, d.source, d.kind, d.lang, d.title, d.text, d.companies, d.fingerprint, s.model, "
    "s.label, s.negative, s.neutral, s.positive, s.topics, s.topic_probabilities"
)
_LATEST = (
    "JOIN LATERAL (SELECT * FROM scores WHERE scores.published_at = d.published_at AND scores.key = d.key "
    "ORDER BY scored_at DESC, model LIMIT 1) s ON true"
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scored document. `topics` and their `probabilities` are those that reached their thresholds."""

    key: UUID
    id: str
    published_at: datetime
    source: str
    kind: str
    lang: str
    title: str
    text: str
    companies: tuple[str, ...]
    fingerprint: int
    model: str
    label: Label
    negative: float
    neutral: float
    positive: float
    topics: tuple[str, ...]
    probabilities: tuple[float, ...]

    @property
    def body(self) -> str:
        """The title, then the text; a text that repeats its title counts once."""
        if not self.title or self.text.startswith(self.title):
            return self.text or self.title
        return f"{self.title}\n{self.text}" if self.text else self.title


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert as far as the choice of its documents needs it."""

    id: str
    series: Series
    state: str
    severity: str
    opened_at: datetime
    window_minutes: int


def sample(connection: Connection, start: datetime, end: datetime, *, most: int, lang: str = "") -> list[Candidate]:
    """Scored documents published in [start, end), newest first: all of them, or about `most` if there are more.

    Keys are hashes, so the documents with the smallest keys are a fair sample, the same one every time, and an index
    finds them without reading the others.

    Args:
        lang: only this language (ISO 639-1); empty: any.
    """
    values: dict[str, Any] = {"start": start, "end": end, "lang": lang}
    number = connection.execute(
        text(
            "SELECT sum(total) FROM rollups WHERE topic = '' AND company = '' AND minute >= :start AND minute < :end "
            "AND (:lang = '' OR lang = :lang)"
        ),
        values,
    ).scalar()
    conditions = "d.published_at >= :start AND d.published_at < :end AND (:lang = '' OR d.lang = :lang)"
    if number and number > most:
        conditions += " AND d.key < CAST(:bound AS uuid)"
        values["bound"] = str(UUID(int=_KEYS * most // int(number)))
    return _read(connection, f"WHERE {conditions} ORDER BY d.published_at DESC, d.key", values)


def of_keys(connection: Connection, keys: Sequence[UUID], start: datetime, end: datetime) -> list[Candidate]:
    """The scored documents of those keys, published in [start, end), in the order of the keys."""
    found = {
        candidate.key: candidate
        for candidate in _read(
            connection,
            "WHERE d.published_at >= :start AND d.published_at < :end AND d.key = ANY(CAST(:keys AS uuid[]))",
            {"start": start, "end": end, "keys": [str(key) for key in keys]},
        )
    }
    return [found[key] for key in keys if key in found]


def raised(connection: Connection, since: datetime) -> list[Raised]:
    """Alerts that are not resolved, or were opened at `since` or later: unresolved and critical ones first, then by
    opening time, the latest first."""
    rows = connection.execute(
        text(
            "SELECT id, topic, company, lang, state, severity, opened_at, window_minutes FROM alerts "
            "WHERE state <> 'resolved' OR opened_at >= :since "
            "ORDER BY state = 'resolved', severity <> 'critical', opened_at DESC, id"
        ),
        {"since": since},
    )
    return [Raised(row[0], Series(*row[1:4]), *row[4:]) for row in rows]


def _read(connection: Connection, rest: str, values: dict[str, Any]) -> list[Candidate]:
    rows = connection.execute(text(f"SELECT {_COLUMNS} FROM documents d {_LATEST} {rest}"), values)
    return [Candidate(*(*row[:8], tuple(row[8]), *row[9:15], tuple(row[15]), tuple(row[16]))) for row in rows]
