"""Labelled files: reading them with clear errors.

A file is JSON lines (plain, .gz or .zst): `text`, and as known `lang`, `sentiment`, `topics`, `negative`,
`entity_sentiment` (name → label), or `entities` and those of them in `negative_entities`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from monitor.documents import LABELS, Label
from monitor.errors import InputError
from training.data.examples import Example


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
    try:
        entities = _entities(row)
    except ValueError as error:
        raise wrong(*error.args) from None
    return Example(text, lang, sentiment, None if topics is None else tuple(topics), negative, entities)


def _entities(row: Mapping[str, Any]) -> tuple[tuple[str, Label | bool | None], ...]:
    """The entities of a row; raises ValueError with field and reason."""
    scored = row.get("entity_sentiment")
    if scored is not None:
        if not isinstance(scored, dict) or not all(value in LABELS for value in scored.values()):
            raise ValueError("entity_sentiment", f"not an object of names and {', '.join(LABELS)}")
        return tuple(scored.items())
    named, bad = row.get("entities"), row.get("negative_entities")
    for field, value in (("entities", named), ("negative_entities", bad)):
        if value is not None and not (isinstance(value, list) and all(isinstance(name, str) for name in value)):
            raise ValueError(field, "not a list of names")
    if bad is None:
        return tuple((name, None) for name in dict.fromkeys(named or ()))
    return tuple((name, name in bad) for name in dict.fromkeys([*(named or ()), *bad]))
