"""Whether the record can be reached and changed: asked by every open page, answered once for all of them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from monitor.errors import DatabaseUnavailable
from monitor.store.database import Database
from monitor.store.queries import curves

# Pages that ask within this many seconds of each other get one answer.
_FRESH = 0.5


@dataclass(frozen=True, slots=True)
class Beat:
    """`revision` changes whenever a page should look again; `well`: Postgres answered."""

    well: bool
    revision: str


class Pulse:
    """Asks the record for its revision.

    While one thread waits for Postgres the others are told what was last known, so that a server that does not
    answer cannot use up every thread.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asking = threading.Lock()
        self._last = Beat(True, "")
        self._asked: float | None = None
        # A new start and each recovery count as a change: what was asked meanwhile may have come to nothing.
        self._epoch = time.time_ns()

    def beat(self) -> Beat:
        """The latest answer, asked anew unless it is fresh."""
        if not self._asking.acquire(blocking=self._asked is None):
            return self._last
        try:
            if self._asked is None or time.monotonic() - self._asked >= _FRESH:
                self._last = self._ask()
                self._asked = time.monotonic()
            return self._last
        finally:
            self._asking.release()

    def _ask(self) -> Beat:
        try:
            with self._database.transaction() as connection:
                revision = curves.revision(connection)
        except DatabaseUnavailable:
            return Beat(False, self._last.revision)
        if not self._last.well:
            self._epoch += 1
        return Beat(True, f"{self._epoch}|{revision}")
