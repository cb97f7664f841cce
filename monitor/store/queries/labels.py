"""What people said of documents: giving a label, taking it back, and reading what was given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from monitor.documents import LABELS, Kind, Label
from monitor.errors import InputError

UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of a text that came in a labelled file without one."""
LONGEST_NOTE = 4000
_COLUMNS = "key, company, actor, sentiment, topics, title, text, lang, published_at, note, origin, labelled_at, kind"


@dataclass(frozen=True, slots=True)
class Given:
    """One person's word on a document, or on what it says of one of its companies.

    `company` is a symbol; empty: the text as a whole. `sentiment` and `topics` are None where nothing was said of
    them; empty `topics`: none fits. `title`, `text`, `lang`, `published_at` and `kind` are copied from the document
    when the label is given; `kind` is None where it is not known.
    """

    key: UUID
    company: str
    actor: str
    sentiment: Label | None
    topics: tuple[str, ...] | None
    title: str
    text: str
    lang: str
    published_at: datetime
    note: str
    origin: str
    labelled_at: datetime
    kind: Kind | None = None

    @property
    def body(self) -> str:
        """The title, then the text; a text that repeats its title counts once. This is what models read."""
        if not self.title or self.text.startswith(self.title):
            return self.text or self.title
        return f"{self.title}\n{self.text}" if self.text else self.title


def give(
    connection: Connection,
    key: UUID,
    actor: str,
    *,
    company: str = "",
    sentiment: Label | None = None,
    topics: Sequence[str] | None = None,
    note: str | None = None,
    origin: str = "page",
) -> None:
    """Write down what somebody says of a stored document; the document's text is copied.

    A second label of the same person for the same document and company takes the place of the first. What is left out
    (None) stays as the person gave it before.

    Args:
        topics: ids, for the text as a whole only; empty: none fits.
        origin: what led to it: `page`, an import's file, or why the document was asked for.

    Raises:
        InputError: there is no such document, or nothing can be made of what is said.
    """
    _check(company, sentiment, topics, note)
    done = connection.execute(
        text(
            f"{_INSERT} SELECT d.key, :company, :actor, :sentiment, CAST(:topics AS text[]), d.title, d.text, d.lang, "
            "d.published_at, coalesce(:note, ''), :origin, d.kind FROM documents d WHERE d.key = :key "
            f"AND d.published_at = (SELECT published_at FROM identities WHERE key = :key) {_UPSERT}"
        ),
        _values(key, actor, company, sentiment, topics, note, origin),
    )
    if not done.rowcount:
        raise InputError("the document is no longer in the record")


def give_text(
    connection: Connection,
    key: UUID,
    actor: str,
    *,
    title: str,
    body: str,
    lang: str,
    published_at: datetime | None,
    company: str = "",
    sentiment: Label | None = None,
    topics: Sequence[str] | None = None,
    note: str | None = None,
    origin: str = "",
    kind: Kind | None = None,
) -> None:
    """Write down what somebody says of a text that need not be in the record; otherwise as `give`.

    Args:
        published_at, kind: when the text came out and what it is, if that is known.
    """
    _check(company, sentiment, topics, note)
    connection.execute(
        text(
            f"{_INSERT} VALUES (:key, :company, :actor, :sentiment, CAST(:topics AS text[]), :title, :body, :lang, "
            f":published_at, coalesce(:note, ''), :origin, :kind) {_UPSERT}"
        ),
        _values(key, actor, company, sentiment, topics, note, origin)
        | {"title": title, "body": body, "lang": lang, "published_at": published_at or UNDATED, "kind": kind},
    )


_INSERT = (
    "INSERT INTO labels (key, company, actor, sentiment, topics, title, text, lang, published_at, note, origin, kind)"
)
_UPSERT = (
    "ON CONFLICT (key, company, actor) DO UPDATE SET sentiment = coalesce(excluded.sentiment, labels.sentiment), "
    "topics = coalesce(excluded.topics, labels.topics), note = coalesce(:note, labels.note), "
    "title = excluded.title, text = excluded.text, lang = excluded.lang, published_at = excluded.published_at, "
    "origin = excluded.origin, labelled_at = now(), kind = coalesce(excluded.kind, labels.kind)"
)


def _check(company: str, sentiment: str | None, topics: Sequence[str] | None, note: str | None) -> None:
    if sentiment is None and topics is None and note is None:
        raise InputError("nothing was said of the document; give a sentiment, topics or a note")
    if sentiment is not None and sentiment not in LABELS:
        raise InputError(f"{sentiment!r} is none of {', '.join(LABELS)}")
    if company and topics is not None:
        raise InputError("topics belong to a text as a whole, not to one of its companies")
    if note is not None and len(note) > LONGEST_NOTE:
        raise InputError(f"the note is too long; use up to {LONGEST_NOTE:,} characters")


def _values(
    key: UUID,
    actor: str,
    company: str,
    sentiment: str | None,
    topics: Sequence[str] | None,
    note: str | None,
    origin: str,
) -> dict[str, Any]:
    return {
        "key": key,
        "actor": actor,
        "company": company,
        "sentiment": sentiment,
        "topics": None if topics is None else sorted(set(topics)),
        "note": note,
        "origin": origin,
    }


def withdraw(connection: Connection, key: UUID, actor: str, company: str | None = None) -> int:
    """Take back a person's labels of a document.

    Args:
        company: only the one for this company ("": the text as a whole); None: all of them.

    Returns: how many there were.
    """
    condition = "" if company is None else " AND company = :company"
    done = connection.execute(
        text(f"DELETE FROM labels WHERE key = :key AND actor = :actor{condition}"),
        {"key": key, "actor": actor, "company": company},
    )
    return done.rowcount


def of_document(connection: Connection, key: UUID) -> list[Given]:
    """Everything that was said of one document, in the order in which it was first said."""
    return _read(connection, "WHERE key = :key ORDER BY id", {"key": key})


def listed(
    connection: Connection,
    *,
    actor: str = "",
    lang: str = "",
    since: datetime | None = None,
    limit: int | None = None,
) -> list[Given]:
    """Labels, the newest first; an empty argument means any."""
    conditions, values = ["true"], dict[str, Any]()
    if actor:
        conditions.append("actor = :actor")
        values["actor"] = actor
    if lang:
        conditions.append("lang = :lang")
        values["lang"] = lang
    if since is not None:
        conditions.append("labelled_at >= :since")
        values["since"] = since
    order = "ORDER BY labelled_at DESC, id DESC"
    if limit is not None:
        order += " LIMIT :limit"
        values["limit"] = limit
    return _read(connection, f"WHERE {' AND '.join(conditions)} {order}", values)


def count(connection: Connection) -> int:
    """How many documents carry a label of somebody."""
    return int(connection.execute(text("SELECT count(DISTINCT key) FROM labels")).scalar_one())


def keys(connection: Connection) -> set[UUID]:
    """The documents that somebody labelled."""
    return set(connection.execute(text("SELECT DISTINCT key FROM labels")).scalars())


def known(connection: Connection, keys: Iterable[UUID]) -> set[UUID]:
    """Those of the keys whose documents are in the record."""
    wanted = list(keys)
    found = connection.execute(
        text("SELECT key FROM identities WHERE key = ANY(CAST(:keys AS uuid[]))"),
        {"keys": [str(key) for key in wanted]},
    )
    return set(found.scalars())


def by_fingerprint(connection: Connection, fingerprints: Iterable[int]) -> list[tuple[UUID, int, str, str]]:
    """Documents whose fingerprint is one of those: key, fingerprint, title, text, the oldest first. One scan."""
    found = connection.execute(
        text(
            "SELECT key, fingerprint, title, text FROM documents WHERE fingerprint = ANY(CAST(:wanted AS bigint[])) "
            "ORDER BY published_at, key"
        ),
        {"wanted": sorted(set(fingerprints))},
    )
    return [(row[0], row[1], row[2], row[3]) for row in found]


def _read(connection: Connection, rest: str, values: dict[str, Any]) -> list[Given]:
    rows = connection.execute(text(f"SELECT {_COLUMNS} FROM labels {rest}"), values)
    return [Given(*(*row[:4], None if row[4] is None else tuple(row[4]), *row[5:])) for row in rows]
