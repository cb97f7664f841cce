"""The rows of a labelled file, one after the other: JSON lines, a JSON array, CSV or Parquet, plain, gzip or zstd.

What a file holds is told by its first bytes; its name decides only where these leave it open.
"""

from __future__ import annotations

import codecs
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from monitor.errors import InputError
from monitor.sources.compression import Broken, compression, decompressed
from training.data.encoding import foreign, marked
from training.data.json_rows import json_array, json_lines
from training.data.problems import Problems, Row
from training.data.tables import class_names, csv_rows, plain

Kind = Literal["JSON lines", "a JSON array", "CSV", "Parquet"]
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
            return json_lines(stream, problems)
        if self.kind == "a JSON array":
            return json_array(stream, problems)
        return csv_rows(stream, problems, self.separator) if self.kind == "CSV" else self._parquet(stream, problems)

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
                self.classes = class_names(file.schema_arrow.metadata or {})
                total, number = file.metadata.num_rows, 0
                for batch in file.iter_batches(batch_size=2_000):
                    for row in batch.to_pylist():
                        number += 1
                        self.done = self.size * number // total
                        yield number, {name: plain(value) for name, value in row.items()}
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
