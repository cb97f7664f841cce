"""The connection to Postgres: the embedded one or the one `database.url` names, and one schema in it."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from monitor.errors import DatabaseUnavailable, SettingsError
from monitor.settings import Settings
from monitor.shown import masked
from monitor.store.embedded import EmbeddedPostgres

log = logging.getLogger(__name__)
Result = TypeVar("Result")

# Class 08 is a lost connection, 57P0x a server that stops or starts, 53300 a full one, 40001 and 40P01 a
# transaction that only has to be tried again.
_PASSING = re.compile(r"08...|57P0.|53300|40001|40P01")


class Database:
    """A pool of connections whose search path is one schema.

    Args:
        settings: the tree; `database` and `data` are read.
        schema: the schema to work in; the live record's by default.

    The pool is made at the first use, and made again when the embedded server had to be started anew.
    """

    def __init__(self, settings: Settings, schema: str | None = None) -> None:
        self.settings = settings
        self.schema = schema or settings.database.schema_name
        self._engine: Engine | None = None
        self._making = threading.Lock()
        self._embedded = EmbeddedPostgres(settings.data.dir / "postgres") if settings.database.url is None else None

    @property
    def where(self) -> str:
        """Where the record is, fit to be shown."""
        if self.settings.database.url is not None:
            return masked(self.settings.database.url.get_secret_value())
        return f"embedded Postgres in {self.settings.data.dir / 'postgres'}"

    @property
    def engine(self) -> Engine:
        """The pool. Raises DatabaseUnavailable or SettingsError when it cannot be made."""
        with self._making:
            if self._engine is None:
                self._engine = self._make_engine()
            return self._engine

    def _make_engine(self) -> Engine:
        raw = self._embedded.url() if self._embedded else self.settings.database.url.get_secret_value()  # type: ignore[union-attr]
        try:
            url = make_url(raw)
        except ArgumentError:
            raise SettingsError(
                "database.url (BELLWETHER_DATABASE_URL) is no URL; write postgresql://user:password@host:5432/name"
            ) from None
        if url.get_backend_name() not in {"postgresql", "postgres"}:
            raise SettingsError(
                f"database.url (BELLWETHER_DATABASE_URL) must be postgresql://…, not {url.drivername}://…"
            )
        engine = create_engine(
            url.set(drivername="postgresql+psycopg2"),
            pool_size=self.settings.database.pool,
            max_overflow=2,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": 10,
                "application_name": "bellwether",
                # Half-open connections are noticed within a minute, also while nothing is sent.
                "keepalives_idle": 20,
                "keepalives_interval": 10,
                "keepalives_count": 3,
            },
        )
        schema = self.schema

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute(f"SET search_path TO {schema}, public")
                cursor.execute("SET timezone TO 'UTC'")
            connection.commit()

        return engine

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction: committed at the end of the block, rolled back when it raises.

        Raises:
            DatabaseUnavailable: the server cannot be reached, or went away; nothing of the block was kept
                (or, if it went away during the commit itself, all of it was).
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except (OperationalError, InterfaceError, DBAPIError) as error:
            if not is_passing(error):
                raise
            self.reset()
            raise DatabaseUnavailable(
                f"Postgres cannot be reached ({self.where}: {_first_line(error)}); "
                "check database.url (BELLWETHER_DATABASE_URL)"
            ) from error

    def reset(self) -> None:
        """Forget the pool; the next use makes it anew (and starts the embedded server if it was killed)."""
        engine = self._engine
        if engine is not None:
            engine.dispose()
            if self._embedded is not None:
                self._engine = None

    def ping(self) -> str:
        """The server's version. Raises DatabaseUnavailable."""
        with self.transaction() as connection:
            return str(connection.execute(text("SHOW server_version")).scalar_one())

    def persist(self, work: Callable[[], Result], *, what: str, stopping: Callable[[], bool] = lambda: False) -> Result:
        """Do `work`, waiting and trying again for as long as Postgres is away.

        Says so once when the trouble begins and once when it is over. Raises what `work` raises for any other
        reason, and DatabaseUnavailable when `stopping()` turns true while waiting.
        """
        pause, waited, said = 0.2, 0.0, False
        while True:
            try:
                result = work()
            except DatabaseUnavailable as error:
                if stopping():
                    raise
                if not said:
                    log.warning("%s; %s waits and tries again", error, what)
                    said = True
                time.sleep(pause)
                waited, pause = waited + pause, min(pause * 2, 10.0)
                continue
            if said:
                log.info("Postgres is back after %.0f s; %s goes on", waited, what)
            return result

    def close(self) -> None:
        """Return every connection. The embedded server stops when the last process that uses it ends."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def is_passing(error: DBAPIError) -> bool:
    """Whether trying again later can help."""
    code = getattr(error.orig, "pgcode", None)
    if code:
        return bool(_PASSING.fullmatch(code))
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0][:300] if lines else type(error.orig).__name__
