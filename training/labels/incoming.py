"""Labelled files on their way into the record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from monitor.documents import LABELS, Document, derived_id
from monitor.errors import InputError
from monitor.store.queries import labels
from monitor.understand.companies import Watchlist
from monitor.understand.language import detect
from monitor.understand.novelty import fingerprint
from monitor.understand.topics import Taxonomy
from training.data.doubles import fingerprint as letters
from training.data.examples import Example
from training.data.files import look_into
from training.data.labelstudio import is_minimal
from training.data.problems import Problems, nearest
from training.data.reading import read_examples
from training.labels.entities import symbol_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

_STEP = 1_000


@dataclass
class Imported:
    """What became of a labelled file.

    Attributes:
        matched: texts whose document is in the record.
        kept: texts that are not; their labels are kept with the text of the file.
        empty: texts that carry no label that can be kept.
        unknown: names of companies that the watch list does not tell, with how often they came.
        unused: labels of a kind that is not kept (yes or no for "negative"), by kind.
    """

    matched: int = 0
    kept: int = 0
    empty: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    unused: Counter[str] = field(default_factory=Counter)


def bring_in(connection: Connection, path: Path, watchlist: Watchlist, taxonomy: Taxonomy, actor: str) -> Imported:
    """Store the labels of a file, as said by `actor`; a second time they take the place of the first.

    A row belongs to the document of its `key`; else of its `source` and `id`; else to the oldest one with the same
    text (links, case and punctuation aside). A text that no document has is kept all the same.

    Raises:
        InputError: the file cannot be read, or a label in it means nothing here; nothing is stored.
    """
    examples = read_examples(path)
    refuse_unknown_topics(path, examples, taxonomy)
    named = _identities(path)
    done = Imported()
    for begin in range(0, len(examples), _STEP):
        part = examples[begin : begin + _STEP]
        for example, key in zip(part, _keys(connection, part, named), strict=True):
            _keep(connection, example, key, watchlist, taxonomy, actor, done)
    return done


def refuse_unknown_topics(path: Path, examples: Sequence[Example], taxonomy: Taxonomy) -> None:
    """Make sure that every topic is one of the taxonomy, by id or alias. Raises InputError."""
    every = Counter(topic for example in examples for topic in example.topics or ())
    unknown = {topic: count for topic, count in every.items() if taxonomy.resolve(topic) is None}
    if unknown:
        topic, count = max(unknown.items(), key=lambda item: (item[1], item[0]))
        near = nearest(topic, [known.id for known in taxonomy])
        raise InputError(
            f"{path}: topics: {topic!r} ({count} times) is not in the taxonomy"
            + (f"; did you mean {near}?" if near else "")
            + (f"; so are {len(unknown) - 1} others" if len(unknown) > 1 else "")
            + "; add it or an alias to engine.topics"
        )


def _identities(path: Path) -> dict[str, UUID]:
    """Where a row stands (as in `Example.origin`) → the key it gives, by itself or by source and id."""
    found: dict[str, UUID] = {}
    for number, row in look_into(path).read(Problems(path)):
        key = next(filter(None, map(_identity, _places(row))), None)
        if key is not None:
            found[f"{path.name}:{number}"] = key
    return found


def _places(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Where annotation tools put what they were given."""
    yield row
    for name in ("data", "metadata", "fields"):
        if isinstance(row.get(name), dict):
            yield row[name]


def _identity(row: Mapping[str, Any]) -> UUID | None:
    key, source, id_ = row.get("key"), row.get("source"), row.get("id")
    if isinstance(key, str):
        try:
            return UUID(key)
        except ValueError:
            pass
    if is_minimal(row):  # `id` is the tool's own number
        return None
    if isinstance(source, str) and source and isinstance(id_, (str, int)) and str(id_):
        return _document(source, str(id_)).key
    return None


def _document(source: str, id_: str, text: str = "") -> Document:
    return Document(id_, source, "news", datetime.now(UTC), "", text)


def _keys(connection: Connection, examples: Sequence[Example], named: Mapping[str, UUID]) -> list[tuple[UUID, bool]]:
    """The key of each example's document, and whether that is in the record."""
    given = [named.get(example.origin) for example in examples]
    there = labels.known(connection, {key for key in given if key is not None})
    prints = [None if key in there else fingerprint(example.text) for key, example in zip(given, examples, strict=True)]
    same: dict[str, UUID] = {}
    wanted = [mark for mark in prints if mark is not None]
    for found, _, title, body in labels.by_fingerprint(connection, wanted) if wanted else ():
        document = Document("", "", "news", labels.UNDATED, title, body)
        same.setdefault(letters(document.body), found)
    keys: list[tuple[UUID, bool]] = []
    for key, example in zip(given, examples, strict=True):
        if key is not None and key in there:
            keys.append((key, True))
        elif (matched := same.get(letters(example.text))) is not None:
            keys.append((matched, True))
        else:
            own = _document("import", derived_id("import", labels.UNDATED, letters(example.text)))
            keys.append((key or own.key, False))
    return keys


def _keep(
    connection: Connection,
    example: Example,
    place: tuple[UUID, bool],
    watchlist: Watchlist,
    taxonomy: Taxonomy,
    actor: str,
    done: Imported,
) -> None:
    key, stored = place
    topics = None
    if example.topics is not None:
        topics = [found for topic in example.topics if (found := taxonomy.resolve(topic)) is not None]
    said: list[tuple[str, Any, list[str] | None]] = []
    if example.sentiment is not None or topics is not None:
        said.append(("", example.sentiment, topics))
    if example.negative is not None:
        done.unused["negative"] += 1
    mentioned = watchlist.match(example.text) if example.entities else ()
    for name, label in example.entities:
        symbol = symbol_of(name, watchlist, mentioned)
        if label not in LABELS:
            done.unused["negative_entities"] += label is not None
        elif symbol is None:
            done.unknown[name] += 1
        else:
            said.append((symbol, label, None))
    if not said:
        done.empty += 1
        return
    for company, sentiment, chosen in said:
        if stored:
            labels.give(
                connection, key, actor, company=company, sentiment=sentiment, topics=chosen, origin=example.origin
            )
        else:
            labels.give_text(
                connection,
                key,
                actor,
                title="",
                body=example.text,
                lang=detect(example.text, example.lang),
                published_at=example.at,
                company=company,
                sentiment=sentiment,
                topics=chosen,
                origin=example.origin,
                kind=example.kind,
            )
    done.matched += stored
    done.kept += not stored
