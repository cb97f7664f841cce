"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere. Standard output stays free."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

EVERY = 10.0  # seconds between plain lines


class Progress(Protocol):
    """What long work tells of itself."""

    def update(self, done: float, note: str = "") -> None:
        """`done` in the unit of the total; `note` is shown beside it."""

    def say(self, line: str) -> None:
        """Print a line above the bar, to standard output."""


@contextmanager
def progress(title: str, total: float) -> Iterator[Progress]:
    """Show the progress of a piece of work whose size is `total` (bytes, documents …)."""
    if sys.stderr.isatty():
        with _bar(title, total) as bar:
            yield bar
    else:
        lines = _Lines(title, total)
        yield lines
        lines.end()


@contextmanager
def _bar(title: str, total: float) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    console = Console(stderr=True)
    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=console) as rich:
        task = rich.add_task(title, total=total or None, note="")

        class Bar:
            def update(self, done: float, note: str = "") -> None:
                rich.update(task, completed=done, note=note)

            def say(self, line: str) -> None:
                # Standard output may be the same terminal: the bar must step aside.
                rich.stop()
                print(line, flush=True)
                rich.start()

        yield Bar()


class _Lines:
    def __init__(self, title: str, total: float) -> None:
        self._title = title
        self._total = total
        self._started = self._shown = time.monotonic()
        self._last = ""

    def update(self, done: float, note: str = "") -> None:
        share = f"{min(100.0, 100.0 * done / self._total):.0f} %" if self._total else f"{done:.0f}"
        self._last = f"{self._title}: {share} {note}".rstrip()
        if time.monotonic() - self._shown >= EVERY:
            self._show()

    def say(self, line: str) -> None:
        print(line, flush=True)

    def end(self) -> None:
        if self._last:
            self._show()

    def _show(self) -> None:
        self._shown = time.monotonic()
        print(f"{self._last} ({self._shown - self._started:.0f} s)", file=sys.stderr, flush=True)
