"""Rows of tables: CSV and Parquet."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from datetime import date
from typing import Any, BinaryIO

from monitor.errors import InputError
from training.data.lines import read_lines
from training.data.problems import Problems, Row, shown

_CELL = 1 << 20


class _CsvLines:
    """Lines for the CSV reader, that remember whether the record at hand was UTF-8 and where it began."""

    def __init__(self, stream: BinaryIO, problems: Problems) -> None:
        self._lines = read_lines(stream, problems)
        self.sound = True
        self.first = 0

    def __iter__(self) -> _CsvLines:
        return self

    def __next__(self) -> str:
        number, line, sound = next(self._lines)
        self.first = self.first or number
        self.sound &= sound
        return line

    def begin(self) -> None:
        self.sound, self.first = True, 0


def csv_rows(stream: BinaryIO, problems: Problems, separator: str) -> Iterator[Row]:
    csv.field_size_limit(max(csv.field_size_limit(), _CELL))
    lines = _CsvLines(stream, problems)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise InputError(f"{problems.path}: line 1: the header is not CSV: {error}") from None
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{problems.path}: line 1: the header names {shown(twice[0])} twice")
    while True:
        lines.begin()
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "field limit" in str(error) or "unexpected end" in str(error):
                problems.add(lines.first, "", "a quote is opened here and never closed")
            else:
                problems.add(lines.first, "", f"not CSV: {error}")
            continue
        if not lines.sound or not any(row):
            continue
        if len(row) != len(header):
            problems.add(
                lines.first,
                "",
                f"{len(row)} cells where the header has {len(header)}",
                advice=("cells", "a text that holds the separator, a quote or a line break must stand in quotes"),
            )
            continue
        yield lines.first, {name: cell for name, cell in zip(header, row, strict=True) if cell.strip()}


def class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Columns of class numbers with the names of the classes, as the library `datasets` notes them in the schema."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {
            column: [str(name) for name in feature["names"]]
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def plain(value: Any) -> Any:
    """A cell as JSON would hold it; not-a-number is a missing value, as pandas means it."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value
