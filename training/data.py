"""Labelled files: reading them with clear errors, dropping doubles, holding out a slice, finding leaks.

A file is JSON lines (plain, .gz or .zst): `text`, and as known `lang`, `sentiment`, `topics`, `negative`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from monitor.documents import LABELS, Label
from monitor.errors import InputError
from monitor.understand.normalise import normalise


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text; None stands for "nobody said".

    `topics` are labels as the file has them. `negative` is a yes or no that leaves open what else the text is.
    """

    text: str
    lang: str | None = None
    sentiment: Label | None = None
    topics: tuple[str, ...] | None = None
    negative: bool | None = None


def read_examples(path: Path) -> list[Example]:
    """Every example of a labelled file, in its order.

    Raises:
        InputError: the file cannot be read, or a line is not what it should be (file, line, field and reason).
    """
    examples = []
    try:
        with _opened(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    examples.append(_example(line, path, number))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    if not examples:
        raise InputError(f"{path}: holds no example")
    return examples


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    if path.suffix == ".zst":
        import zstandard

        return zstandard.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _example(line: str, path: Path, number: int) -> Example:
    def wrong(field: str, why: str) -> InputError:
        return InputError(f"{path}: line {number}: {field}: {why}")

    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{path}: line {number}: not JSON: {error}") from None
    if not isinstance(row, dict):
        raise InputError(f"{path}: line {number}: not a JSON object")
    text = row.get("text")
    if not isinstance(text, str) or not text.strip():
        raise wrong("text", "missing, empty or not a text")
    lang = row.get("lang")
    if lang is not None and not isinstance(lang, str):
        raise wrong("lang", f"{lang!r} is no language code")
    sentiment = row.get("sentiment")
    if sentiment is not None and sentiment not in LABELS:
        raise wrong("sentiment", f"{sentiment!r} is none of {', '.join(LABELS)}")
    topics = row.get("topics")
    if topics is not None and not (isinstance(topics, list) and all(isinstance(topic, str) for topic in topics)):
        raise wrong("topics", "not a list of topic ids")
    negative = row.get("negative")
    if negative is not None and not isinstance(negative, bool):
        raise wrong("negative", f"{negative!r} is neither true nor false")
    return Example(text, lang, sentiment, None if topics is None else tuple(topics), negative)


_NOT_WORD = re.compile(r"[\W_]+")


def fingerprint(text: str) -> str:
    """What two copies of a text share: the text without links, case, punctuation and white space."""
    return _NOT_WORD.sub("", re.sub(r"\bhttp\b", "", normalise(text)).casefold())


def without_doubles(examples: Iterable[Example]) -> list[Example]:
    """The examples whose text was not there before; a later copy adds only labels the first did not have."""
    kept: dict[str, Example] = {}
    for example in examples:
        key = fingerprint(example.text)
        first = kept.get(key)
        if first is None:
            kept[key] = example
        else:
            kept[key] = Example(
                first.text,
                first.lang or example.lang,
                first.sentiment or example.sentiment,
                first.topics if first.topics is not None else example.topics,
                first.negative if first.negative is not None else example.negative,
            )
    return list(kept.values())


def refuse_leaks(train: Sequence[Example], test: Sequence[Example], *, train_name: str, test_name: str) -> None:
    """Make sure that no text is both taught and tested.

    Raises:
        InputError: some are; says how many and shows one.
    """
    taught = {fingerprint(example.text) for example in train}
    leaked = [example.text for example in test if fingerprint(example.text) in taught]
    if leaked:
        raise InputError(
            f"{test_name}: {len(leaked)} of its texts are also in {train_name}, so its numbers would flatter; "
            f"remove them, the first is {leaked[0][:80]!r}"
        )


def held_out(examples: Iterable[Example], share: float) -> tuple[list[Example], list[Example]]:
    """Split into (taught, held out); which text falls where depends on the text alone, so it never changes."""
    taught: list[Example] = []
    held: list[Example] = []
    for example in examples:
        digest = hashlib.blake2b(fingerprint(example.text).encode(), digest_size=8).digest()
        (held if int.from_bytes(digest, "big") < share * 2**64 else taught).append(example)
    return taught, held


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
        "negative": sum(row.negative is True for row in rows),
        "not_negative": sum(row.negative is False for row in rows),
    }
