"""The records of an archive, one after the other, each as the JSON message it would be on Kafka.

JSON lines are passed on as they stand; a row of a CSV or Parquet file becomes a JSON object of its cells. So there is
one set of rules for what a message may be (`decode`), and an archive gives the same documents whether it is read
directly or produced onto Kafka first.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, BinaryIO
from uuid import UUID

from monitor.sources.compression import Broken


@dataclass(frozen=True, slots=True)
class Record:
    """One record: `raw` is the message, or its beginning if `size`, its whole length in bytes, is more.

    `problem` says why the record could not be read as a row, which no decoder could tell from `raw`.
    """

    raw: bytes
    size: int
    problem: str | None = None


# --- JSON lines ------------------------------------------------------------------------------------------------------


def json_lines(stream: BinaryIO, limit: int) -> Iterator[Record]:
    """Each line that is not blank; of a line longer than `limit` bytes no more than that is held in memory."""
    for line, size in _bounded_lines(stream, limit):
        if size > len(line):
            yield Record(line, size)
        elif (raw := line.rstrip(b"\r\n")) and not raw.isspace():
            yield Record(raw, len(raw))


def _bounded_lines(stream: BinaryIO, limit: int) -> Iterator[tuple[bytes, int]]:
    """Lines with their end and their size; of one longer than `limit`, its beginning and its size without the end."""
    while line := stream.readline(limit + 2):
        size, last = len(line), line[-2:]
        if not line.endswith(b"\n"):
            while not last.endswith(b"\n") and (rest := stream.readline(1 << 16)):
                size += len(rest)
                last = (last + rest)[-2:]
            if size > len(line):
                size -= len(last) - len(last.rstrip(b"\r\n"))
        yield line, size


# --- CSV -------------------------------------------------------------------------------------------------------------


class _TooLong(Exception):
    """The record being read is larger than a message may be."""


class _CsvLines:
    """Feeds the CSV reader; remembers the lines of the record at hand, and stops one that grows too large."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._lines = _bounded_lines(stream, limit)
        self._limit = limit
        self.taken: list[bytes] = []
        self.size = 0

    def __iter__(self) -> _CsvLines:
        return self

    def __next__(self) -> str:
        line, size = next(self._lines)
        self.taken.append(line)
        self.size += size
        if self.size > self._limit + 2:
            raise _TooLong
        # Bytes that are not UTF-8 come through as lone surrogates and are found when the row is written as JSON.
        return line.decode("utf-8", "surrogateescape")

    def begin(self) -> None:
        self.taken = []
        self.size = 0

    def record(self, problem: str | None = None) -> Record:
        raw = b"".join(self.taken).rstrip(b"\r\n")
        return Record(raw, max(self.size, len(raw)) if self.size > self._limit else len(raw), problem)


def csv_rows(stream: BinaryIO, limit: int) -> Iterator[Record]:
    """Each row under a header that names the fields; an empty cell is a missing field.

    Raises:
        Broken: the header names no published_at, or neither text nor title.
    """
    csv.field_size_limit(max(csv.field_size_limit(), limit))
    lines = _CsvLines(stream, limit)
    reader = csv.reader(lines, strict=True)
    try:
        header = [name.strip().removeprefix("\ufeff") for name in next(reader, [])]
    except (csv.Error, _TooLong):
        header = []
    _check_names(header)
    while True:
        lines.begin()
        try:
            row = next(reader)
        except StopIteration:
            return
        except _TooLong:
            yield lines.record()
            continue
        except csv.Error as error:
            yield lines.record(f"the row is not CSV: {error}")
            continue
        if not any(row):
            continue
        if len(row) > len(header):
            yield lines.record(f"the row has {len(row)} cells, the header {len(header)}")
            continue
        try:
            yield _record({name: cell for name, cell in zip(header, row, strict=False) if cell})
        except UnicodeEncodeError:
            yield lines.record()


def _check_names(names: list[str]) -> None:
    if "published_at" not in names or not {"text", "title"} & set(names):
        shown = ", ".join(names)[:100] or "nothing"
        raise Broken(f"has no columns published_at and text (or title); it has {shown}")


def _record(fields: dict[str, Any]) -> Record:
    symbols = fields.get("symbols")
    if isinstance(symbols, str):
        fields["symbols"] = [symbol for symbol in re.split(r"[\s;,]+", symbols) if symbol]
    raw = json.dumps(fields, ensure_ascii=False, default=str).encode("utf-8")
    return Record(raw, len(raw))


# --- Parquet ---------------------------------------------------------------------------------------------------------


class ParquetRows:
    """The rows of a Parquet file; `fraction` says how far along, in [0, 1].

    Args:
        file: the file, which must be seekable.

    Raises:
        Broken: it is no Parquet file, or has no columns published_at and text (or title).
    """

    def __init__(self, file: BinaryIO) -> None:
        import pyarrow
        import pyarrow.parquet

        self._arrow = pyarrow
        try:
            self._file = pyarrow.parquet.ParquetFile(file)
        except (pyarrow.ArrowException, OSError) as error:
            raise Broken(f"is no Parquet file: {_first_line(error)}") from None
        _check_names(self._file.schema_arrow.names)
        self._done = 0

    @property
    def fraction(self) -> float:
        return self._done / max(1, self._file.metadata.num_rows)

    def __iter__(self) -> Iterator[Record]:
        try:
            for batch in self._file.iter_batches(batch_size=1_000):
                columns = {name: self._values(batch.column(name)) for name in batch.schema.names}
                for number in range(batch.num_rows):
                    self._done += 1
                    cells = ((name, _plain(values[number])) for name, values in columns.items())
                    try:
                        yield _record({name: cell for name, cell in cells if cell is not None})
                    except UnicodeEncodeError:
                        yield Record(b"", 0, "the row holds text that is not UTF-8")
        except (self._arrow.ArrowException, OSError) as error:
            raise Broken(f"is damaged: {_first_line(error)}") from None

    def _values(self, column: Any) -> list[Any]:
        """The column's values; nanoseconds are cut, as Python's times have none."""
        if self._arrow.types.is_timestamp(column.type) and column.type.unit == "ns":
            column = column.cast(self._arrow.timestamp("us", column.type.tz), safe=False)
        try:
            return list(column.to_pylist())
        except (ValueError, OverflowError):
            return [self._value(cell) for cell in column]

    @staticmethod
    def _value(cell: Any) -> Any:
        try:
            return cell.as_py()
        except (ValueError, OverflowError):
            return f"{cell.type} out of range"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _plain(value: Any) -> Any:
    """A cell as JSON can hold it: times as UTC text (one without an offset is UTC), not-a-number as missing."""
    if isinstance(value, datetime):
        # pandas' and Arrow's own habit: a time column without a zone holds UTC.
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value
        try:
            return moment.astimezone(UTC).isoformat()
        except OverflowError:
            return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
