"""The rows of a labelled file, one after the other: JSON lines, a JSON array, CSV or Parquet, plain, gzip or zstd.

What a file holds is told by its first bytes; its name decides only where these leave it open.
"""

from __future__ import annotations

import codecs
import csv
import json
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from monitor.errors import InputError
from monitor.sources.compression import Broken, compression, decompressed
from training.data.encoding import foreign, guessed, marked
from training.data.problems import Problems, shown

Kind = Literal["JSON lines", "a JSON array", "CSV", "Parquet"]
Row = tuple[int, dict[str, Any]]
"""Its number, from 1 (line, row or record), and its fields."""

LONGEST = 16 << 20
"""Bytes (or characters) of one line or record at most."""
_CELL = 1 << 20
_HEAD = 1 << 16
_SEPARATORS = ",;\t|"
_UNITS: dict[Kind, str] = {"JSON lines": "line", "a JSON array": "record", "CSV": "line", "Parquet": "row"}


@dataclass
class Rows:
    """A labelled file, looked into; `read` gives its rows.

    Attributes:
        kind: what the file holds.
        size: bytes on disk.
        done: bytes on disk read so far (for Parquet by the share of rows).
        classes: names of the classes of a column that holds their numbers, where a Parquet file says so itself.
        separator: what stands between two cells of a CSV file.
    """

    path: Path
    kind: Kind
    compressed: str
    size: int
    separator: str = ","
    done: int = 0
    classes: dict[str, list[str]] | None = None

    @property
    def unit(self) -> str:
        """What the number of a row counts."""
        return _UNITS[self.kind]

    def read(self, problems: Problems) -> Iterator[Row]:
        """Each row that can be read; what cannot goes to `problems`.

        Raises:
            InputError: the file is cut off or damaged, or its structure cannot be followed.
        """
        try:
            with self.path.open("rb") as raw:
                stream = decompressed(raw, self.compressed)
                for row in self._rows(stream, problems):
                    if self.kind != "Parquet":
                        self.done = raw.tell()
                    yield row
        except Broken as error:
            raise InputError(f"{self.path} {error}") from None
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {error.strerror or error}") from None

    def _rows(self, stream: BinaryIO, problems: Problems) -> Iterator[Row]:
        if self.kind == "JSON lines":
            return _json_lines(stream, problems)
        if self.kind == "a JSON array":
            return _json_array(stream, problems)
        return _csv(stream, problems, self.separator) if self.kind == "CSV" else self._parquet(stream, problems)

    def _parquet(self, stream: BinaryIO, problems: Problems) -> Iterator[Row]:  # noqa: ARG002
        import pyarrow
        import pyarrow.parquet

        with tempfile.TemporaryFile() as whole:
            if self.compressed:  # Parquet is read from its end
                while piece := stream.read(1 << 20):
                    whole.write(piece)
                whole.seek(0)
                stream = cast(BinaryIO, whole)
            try:
                file = pyarrow.parquet.ParquetFile(stream)
                self.classes = _class_names(file.schema_arrow.metadata or {})
                total, number = file.metadata.num_rows, 0
                for batch in file.iter_batches(batch_size=2_000):
                    for row in batch.to_pylist():
                        number += 1
                        self.done = self.size * number // total
                        yield number, {name: _plain(value) for name, value in row.items()}
            except (pyarrow.ArrowException, ValueError, OverflowError) as error:
                said = (str(error).splitlines() or [type(error).__name__])[0][:200]
                raise InputError(f"{self.path}: no Parquet file that can be read: {said}") from None


def look_into(path: Path) -> Rows:
    """Open a labelled file far enough to say what it is.

    Raises:
        InputError: there is no such file, it is empty, or it is of no kind that can be read.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as raw:
            kind = compression(raw.peek(4)[:4], path.suffix.lower())
            head = decompressed(raw, kind).read(_HEAD)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; name the labelled files in it") from None
    except Broken as error:
        raise InputError(f"{path} {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not head.strip():
        raise InputError(f"{path}: is empty: it holds no example")
    if head.startswith(b"PAR1"):
        return Rows(path, "Parquet", kind, size)
    if what := foreign(head):
        raise InputError(f"{path}: is {what}; save it as CSV (UTF-8), JSON lines or Parquet")
    if encoding := marked(head):
        raise InputError(
            f"{path}: not UTF-8 at byte 0: it looks like {encoding}; "
            f"convert it: iconv -f {encoding} -t UTF-8 {path.name} > utf8-{path.name}"
        )
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    name = path.name.lower().removesuffix(kind)
    if text[:1] == b"[":
        return Rows(path, "a JSON array", kind, size)
    if text[:1] == b"{":
        if text.split(b"\n", 1)[0].strip() == b"{":
            raise InputError(
                f"{path}: holds JSON objects spread over several lines; write one a line, or a JSON array of them"
            )
        return Rows(path, "JSON lines", kind, size)
    if name.endswith(".parquet"):
        raise InputError(f"{path}: no Parquet file, though its name ends in .parquet")
    header = text.split(b"\n", 1)[0].decode("utf-8", "replace")
    separator = max(_SEPARATORS, key=header.count)
    other = name.endswith((".jsonl", ".ndjson")) or not header.count(separator)
    if name.endswith((".csv", ".tsv", ".txt")) or not other:
        return Rows(path, "CSV", kind, size, separator)
    return Rows(path, "JSON lines", kind, size)


# --- lines of UTF-8 --------------------------------------------------------------------------------------------------


def _lines(stream: BinaryIO, problems: Problems) -> Iterator[tuple[int, str, bool]]:
    """Each line with its number, and whether it was UTF-8; of one that was not, what could be read.

    How a file's lines are encoded is judged at its end: one other encoding throughout, or a mixture.
    """
    offset = beyond_ascii = 0
    guesses: dict[str, int] = {}
    try:
        for number, raw in enumerate(iter(lambda: stream.readline(LONGEST + 1), b""), 1):
            if len(raw) > LONGEST:
                raise InputError(
                    f"{problems.path}: line {number}: longer than {LONGEST >> 20} MiB; is this one example a line?"
                )
            if number == 1:
                raw, offset = raw.removeprefix(codecs.BOM_UTF8), len(raw) - len(raw.removeprefix(codecs.BOM_UTF8))
            try:
                line = raw.decode("utf-8")
                beyond_ascii += not line.isascii()
                yield number, line, True
            except UnicodeDecodeError as error:
                encoding = guessed(raw)
                guesses[encoding] = guesses.get(encoding, 0) + 1
                problems.add(
                    number,
                    "",
                    f"not UTF-8 at byte {offset + error.start:,} of the file (0x{raw[error.start]:02x}); "
                    f"it looks like {encoding}",
                    kind=f"encoding {encoding}",
                )
                yield number, raw.decode("utf-8", "replace"), False
            offset += len(raw)
    finally:
        if guesses:
            wrong = sum(guesses.values())
            name, first = problems.path.name, next(iter(guesses))
            if beyond_ascii or len(guesses) > 1:
                problems.advice["encoding"] = (
                    f"the file mixes encodings: {beyond_ascii:,} lines hold UTF-8 beyond ASCII and {wrong:,} do not "
                    f"({', '.join(guesses)}); export it anew, or convert these lines by themselves"
                )
            else:
                unpacked = " (unpacked first)" if problems.path.suffix in (".gz", ".zst") else ""
                problems.advice["encoding"] = f"convert it: iconv -f {first} -t UTF-8 {name} > utf8-{name}{unpacked}"


def _json_lines(stream: BinaryIO, problems: Problems) -> Iterator[Row]:
    for number, line, sound in _lines(stream, problems):
        if not sound or not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", "nested too deep")
            problems.add(number, "", f"not JSON: {reason} at column {getattr(error, 'colno', 1)}", kind="not JSON")
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            problems.add(number, "", "not a JSON object")


def _json_array(stream: BinaryIO, problems: Problems) -> Iterator[Row]:
    """The objects of an array, without ever holding more of it than one object and a piece."""
    decode = codecs.getincrementaldecoder("utf-8-sig")()
    decoder = json.JSONDecoder()
    buffer, at, ended, number, want = "", 0, False, 0, 1 << 16
    bytes_before = 0

    def more() -> None:
        nonlocal buffer, at, ended, bytes_before
        raw = stream.read(want)
        ended = not raw
        try:
            text = decode.decode(raw, final=ended)
        except UnicodeDecodeError as error:
            wrong = error.object[error.start : error.start + 400]
            encoding = guessed(wrong)
            place = bytes_before + len(raw) - len(error.object) + error.start
            raise InputError(
                f"{problems.path}: record {number + 1} or a little later: not UTF-8 at byte {place:,} of the file "
                f"(0x{wrong[0]:02x}); it looks like {encoding}; convert it with iconv -f {encoding} -t UTF-8"
            ) from None
        bytes_before += len(raw)
        buffer, at = buffer[at:] + text, 0

    def peek() -> str:
        """The next character that is not white space; "" at the end."""
        nonlocal at
        while True:
            while at < len(buffer) and buffer[at].isspace():
                at += 1
            if at < len(buffer):
                return buffer[at]
            if ended:
                return ""
            more()

    peek()
    at += 1  # the opening bracket
    while (sign := peek()) != "]":
        if not sign:
            raise InputError(f"{problems.path}: ends in the middle, after record {number}: it was cut off")
        want = 1 << 16
        while True:
            try:
                value, end = decoder.raw_decode(buffer, at)
                # A number or word that touches the end of the buffer may go on.
                if end < len(buffer) or ended:
                    break
            except (ValueError, RecursionError) as error:
                if ended and _cut_off(error, buffer):
                    raise InputError(
                        f"{problems.path}: ends in the middle of record {number + 1}: it was cut off"
                    ) from None
                if ended or len(buffer) - at > LONGEST:
                    raise InputError(
                        f"{problems.path}: record {number + 1}: not JSON: {getattr(error, 'msg', 'nested too deep')}"
                    ) from None
            want = min(2 * want, LONGEST)
            more()
        at = end
        number += 1
        if isinstance(value, dict):
            yield number, value
        else:
            problems.add(number, "", "not a JSON object")
        sign = peek()
        if sign == ",":
            at += 1
        elif sign and sign != "]":
            raise InputError(f"{problems.path}: after record {number}: not JSON: expected , or ]")
    at += 1
    if rest := peek():
        raise InputError(f"{problems.path}: after the array's end there is more, from {rest!r} on")


def _cut_off(error: Exception, buffer: str) -> bool:
    """Whether JSON ends before it is complete, rather than being wrong."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.msg.startswith("Unterminated") or error.pos >= len(buffer.rstrip()) - 1


# --- CSV -------------------------------------------------------------------------------------------------------------


class _CsvLines:
    """Lines for the CSV reader, that remember whether the record at hand was UTF-8 and where it began."""

    def __init__(self, stream: BinaryIO, problems: Problems) -> None:
        self._lines = _lines(stream, problems)
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


def _csv(stream: BinaryIO, problems: Problems, separator: str) -> Iterator[Row]:
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


# --- Parquet ---------------------------------------------------------------------------------------------------------


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
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


def _plain(value: Any) -> Any:
    """A cell as JSON would hold it; not-a-number is a missing value, as pandas means it."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value
