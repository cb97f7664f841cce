"""Feeds kept in files: JSON lines, CSV and Parquet, plain, gzip or zstd."""

from __future__ import annotations

import heapq
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from monitor.documents import Document, Origin, Received, Rejected
from monitor.errors import ArchiveError, InputError
from monitor.settings import SourcesSettings
from monitor.sources.compression import SUFFIXES, Broken, compression, decompressed
from monitor.sources.decode import decode, rejected, too_large
from monitor.sources.rows import ParquetRows, Record, csv_rows, json_lines

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".parquet": "parquet"}
STDIN = Path("-")
"""Stands for standard input, which is read as JSON lines."""

_PARQUET_COPY = 1 << 20


def _clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of an archive: its bytes (as they go onto Kafka; the beginning if too large) and what it is."""

    raw: bytes
    content: Document | Rejected


class Archive:
    """One file, open, to be iterated once. Made by `open_archive`.

    Attributes:
        name: the stream's name, which is `Origin.topic` of what is read.
        source: `source` of the messages that name none: the file's name without its endings.
        size: bytes of the file; 0 if it is not known.
    """

    def __init__(self, path: Path, settings: SourcesSettings, start: int, clock: Callable[[], datetime]) -> None:
        self._path = path
        self._settings = settings
        self._start = start
        self._clock = clock
        self._read = 0
        self._parquet: ParquetRows | None = None
        standard = path == STDIN
        self.name = "stdin" if standard else path.name
        self._format, suffix, self.source = ("jsonl", "", "stdin") if standard else _endings(path)
        self._raw = cast(BinaryIO, sys.stdin.buffer) if standard else _opened(path)
        self.size = 0 if standard else path.stat().st_size
        try:
            self._stream = decompressed(self._raw, compression(self._raw.peek(4)[:4], suffix))  # type: ignore[attr-defined]
        except Broken as error:
            self.close()
            raise self._error(error) from None

    @property
    def position(self) -> int:
        """Bytes of the file read so far, between 0 and `size`."""
        if self._parquet is not None:
            return round(self.size * self._parquet.fraction)
        with suppress(OSError, ValueError):  # a pipe has no position; a closed file neither
            return min(self._raw.tell(), self.size)
        return 0

    def entries(self) -> Iterator[Entry]:
        """Each record with its bytes, from the start the archive was opened at.

        Raises:
            ArchiveError: the file ends too soon or is damaged; what stands before that is delivered first.
        """
        try:
            for record in self._records():
                self._read += 1
                if self._read > self._start:
                    yield Entry(record.raw, self._content(record))
        except Broken as error:
            raise self._error(error) from None
        except OSError as error:
            raise self._error(Broken(f"cannot be read: {error.strerror or error}")) from None

    def __iter__(self) -> Iterator[Received]:
        for offset, entry in enumerate(self.entries(), self._start):
            yield Received(Origin(self.name, 0, offset), entry.content)

    def _records(self) -> Iterator[Record]:
        limit = self._settings.max_bytes
        if self._format == "jsonl":
            yield from json_lines(self._stream, limit)
        elif self._format == "csv":
            yield from csv_rows(self._stream, limit)
        elif self._stream is self._raw:
            self._parquet = ParquetRows(self._raw)
            yield from self._parquet
        else:
            # Parquet is read from its end: a compressed one must be unpacked first.
            with tempfile.TemporaryFile() as whole:
                while piece := self._stream.read(_PARQUET_COPY):
                    whole.write(piece)
                whole.seek(0)
                self._parquet = ParquetRows(cast(BinaryIO, whole))
                yield from self._parquet

    def _content(self, record: Record) -> Document | Rejected:
        if record.size > len(record.raw):
            return too_large(record.raw, record.size, self._settings)
        if record.problem:
            return rejected(record.raw, "bad-row", record.problem, self._settings)
        return decode(record.raw, default_source=self.source, settings=self._settings, now=self._clock())

    def _error(self, error: Broken) -> ArchiveError:
        after = f" (after {self._read} records)" if self._read else ""
        return ArchiveError(f"{self._path} {error}{after}")

    def close(self) -> None:
        """Close the file."""
        if self._path != STDIN:
            self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def open_archive(
    path: Path, settings: SourcesSettings, *, start: int = 0, clock: Callable[[], datetime] = _clock
) -> Archive:
    """Open a file of messages.

    Args:
        path: `*.jsonl`, `*.csv` or `*.parquet`, maybe with `.gz` or `.zst` after it; `-` is standard input.
        start: the record to begin at, from 0; those before it are skipped unread.
        clock: what `published_at` is held against.

    Raises:
        ArchiveError: there is no such file, it cannot be read, or it is of no kind we know.
    """
    return Archive(path, settings, start, clock)


class Feed:
    """One or several archives as one stream; made by `read_feeds`.

    Several are merged by event time, equal times in the order the archives were given in. An archive that is not
    sorted itself is followed in its own order: what comes late in it comes late in the stream. So the stream is the
    same each time, and offsets counted over it mean the same record.
    """

    def __init__(self, archives: Sequence[Archive], start: int) -> None:
        self._archives = archives
        self._start = start
        self.name = "+".join(archive.name for archive in archives)
        self.size = sum(archive.size for archive in archives)

    @property
    def position(self) -> int:
        """Bytes read so far, between 0 and `size`."""
        return sum(archive.position for archive in self._archives)

    def entries(self) -> Iterator[Entry]:
        """Each record with its bytes, from the start the feed was opened at."""
        if len(self._archives) == 1:
            yield from self._archives[0].entries()
            return
        timed = [_timed(archive, order) for order, archive in enumerate(self._archives)]
        for number, (_, _, entry) in enumerate(heapq.merge(*timed, key=lambda item: item[:2])):
            if number >= self._start:
                yield entry

    def __iter__(self) -> Iterator[Received]:
        for offset, entry in enumerate(self.entries(), self._start):
            yield Received(Origin(self.name, 0, offset), entry.content)

    def close(self) -> None:
        """Close the files."""
        for archive in self._archives:
            archive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def read_feeds(
    paths: Sequence[Path], settings: SourcesSettings, *, start: int = 0, clock: Callable[[], datetime] = _clock
) -> Feed:
    """Open archives as one stream, to be iterated once from record `start` on.

    Raises:
        ArchiveError: one of them cannot be opened.
        InputError: none is given.
    """
    if not paths:
        raise InputError("no archive is given; name one or more files, or - for standard input")
    archives: list[Archive] = []
    try:
        for path in paths:
            archives.append(open_archive(path, settings, start=start if len(paths) == 1 else 0, clock=clock))
    except ArchiveError:
        for archive in archives:
            archive.close()
        raise
    return Feed(archives, start)


def _timed(archive: Archive, order: int) -> Iterator[tuple[datetime, int, Entry]]:
    """Entries keyed by the latest event time so far; a rejected one has none and stays with those before it."""
    latest = datetime.min.replace(tzinfo=UTC)
    for entry in archive.entries():
        if isinstance(entry.content, Document):
            latest = max(latest, entry.content.published_at)
        yield latest, order, entry


def _endings(path: Path) -> tuple[str, str, str]:
    """Format, compression suffix and the name without both."""
    suffix = path.suffix.lower() if path.suffix.lower() in SUFFIXES else ""
    inner = Path(path.stem) if suffix else Path(path.name)
    found = FORMATS.get(inner.suffix.lower())
    if not found:
        raise ArchiveError(
            f"{path}: not a kind of archive that can be read; its name must end in .jsonl, .csv or .parquet, "
            "maybe followed by .gz or .zst"
        )
    return found, suffix, inner.stem


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise ArchiveError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ArchiveError(f"{path}: cannot be opened: {error.strerror or error}") from None
