"""Reading a CSV of counts: `timestamp,negative[,total][,series]`, one row an interval and series."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from monitor.detect.series import DAY, Cell, Minute
from monitor.documents import Series
from monitor.errors import InputError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = ("timestamp", "negative", "total", "series")


@dataclass(frozen=True, slots=True)
class Counts:
    """The cells of a file, by minute, then series.

    `step` is the length of an interval in minutes; a cell carries the last minute of its interval. `totals`: the
    file has totals. `names` gives back what the file calls each series.
    """

    cells: list[Cell]
    step: int
    totals: bool
    names: dict[Series, str]

    def begins(self, minute: Minute) -> datetime:
        """When the interval that ends with `minute` began: how the file writes it."""
        return EPOCH + timedelta(minutes=minute - self.step + 1)


def read_counts(lines: Iterable[str], name: str) -> Counts:
    """Read and check a file; times without an offset are UTC, a date alone is its day.

    Args:
        lines: the file.
        name: what to call it in an error.

    Raises:
        InputError: the first row that cannot be used: file, line, column, what to do.
    """
    rows = list(_rows(lines, name))
    if not rows:
        raise InputError(f"{name}: no rows; it needs a header with timestamp,negative and a row an interval")
    starts = sorted({start for start, *_ in rows})
    step = math.gcd(*(later - earlier for earlier, later in pairwise(starts))) or 1
    if step > DAY:
        raise InputError(f"{name}: rows are {step} minutes apart; counts per minute up to counts per day are read")
    spoken = {series for *_, series in rows}
    series = {text: _series(text, spoken) for text in spoken}
    cells = [
        Cell(start + step - 1, series[text], negative, negative if total is None else total)
        for start, negative, total, text in rows
    ]
    cells.sort(key=lambda cell: (cell.minute, cell.series))
    return Counts(cells, step, rows[0][2] is not None, {value: text for text, value in series.items()})


def _series(text: str, spoken: set[str]) -> Series:
    """A series of the program's own naming if its whole feed (`*/*/en`) is in the file; else a feed of its own."""
    try:
        series = Series.parse(text)
    except ValueError:
        return Series("", "", text)
    return series if f"*/*/{series.lang or '*'}" in spoken else Series("", "", text)


def _rows(lines: Iterable[str], name: str) -> Iterator[tuple[Minute, int, int | None, str]]:
    reader = csv.DictReader(lines)
    try:
        header = [column.strip().lstrip("\ufeff").lower() for column in reader.fieldnames or ()]
    except csv.Error as error:
        raise InputError(f"{name}, line 1: no CSV: {error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 ({error.reason} at byte {error.start})") from None
    reader.fieldnames = header
    missing = [column for column in COLUMNS[:2] if column not in header]
    if header and missing:
        raise InputError(
            f"{name}, line 1: no column {missing[0]}; the header reads timestamp,negative[,total][,series]"
        )
    for column in COLUMNS:
        if header.count(column) > 1:
            raise InputError(f"{name}, line 1: column {column} is there twice; leave one")
    seen: dict[tuple[Minute, str], int] = {}
    try:
        for row in reader:
            where = f"{name}, line {reader.line_num}"
            minute = _minute(row["timestamp"], where)
            negative = _count(row["negative"], "negative", where)
            total = _count(row["total"], "total", where) if "total" in header else None
            if total is not None and total < negative:
                raise InputError(f"{where}: total {total} is less than negative {negative}")
            series = (row.get("series") or "").strip()
            first = seen.setdefault((minute, series), reader.line_num)
            if first != reader.line_num:
                raise InputError(f"{where}: the same time and series as line {first}; add the two rows up")
            yield minute, negative, total, series
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: no CSV: {error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 ({error.reason} at byte {error.start})") from None


def _minute(text: str | None, where: str) -> Minute:
    try:
        time = datetime.fromisoformat((text or "").strip())
        since = (time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)) - EPOCH
    except (ValueError, OverflowError):
        raise InputError(f"{where}, column timestamp: {text!r} is no time; write 2026-03-02T14:05:00Z") from None
    minute, rest = divmod(since, timedelta(minutes=1))
    if rest:
        raise InputError(
            f"{where}, column timestamp: {text!r} is not on a whole minute; add the counts up in regular steps, from "
            "a minute to a day"
        )
    return minute


def _count(text: str | None, column: str, where: str) -> int:
    try:
        value = float((text or "").strip())
        if value < 0 or value != int(value) or value > 1e9:
            raise ValueError
    except (ValueError, OverflowError):
        raise InputError(f"{where}, column {column}: {text!r} is no count; write a whole number from 0") from None
    return int(value)
