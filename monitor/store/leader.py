"""One leader at a time: a Postgres advisory lock held by a connection of its own.

The lock belongs to the session, so it is free again the moment the leader's connection ends, however it ended.
It keeps two schedulers from doing the same work; that nothing is raised twice is guaranteed by the
transactions themselves, should an old leader not have noticed yet that it lost its connection.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from monitor.errors import DatabaseUnavailable
from monitor.store.database import Database

log = logging.getLogger(__name__)


def lock_of(schema: str) -> int:
    """The number of the advisory lock that the scheduler of a record's schema holds: 64 bits, signed."""
    digest = hashlib.blake2b(f"bellwether scheduler {schema}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


class Leadership:
    """The right to act as the scheduler of one record."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = lock_of(database.schema)
        self._connection: Any = None

    def held(self) -> bool:
        """Whether we lead now; tries to take the lead when nobody has it. Never raises for a lost server."""
        try:
            if self._connection is not None:
                self._connection.execute(text("SELECT 1"))
                return True
            connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            if connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": self._lock}).scalar():
                self._connection = connection
                return True
            connection.close()
        except (DBAPIError, DatabaseUnavailable) as error:
            log.debug("leadership: %s", error)
            self._forget()
            self._database.reset()
        return False

    def resign(self) -> None:
        """Let another one lead."""
        if self._connection is not None:
            try:
                self._connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": self._lock})
            except DBAPIError as error:
                log.debug("leadership: %s", error)
            self._forget()

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
