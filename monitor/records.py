"""Which record a command works on: the live one, or a replay's schema."""

from __future__ import annotations

import re

from sqlalchemy import text

from monitor.errors import InputError
from monitor.settings import Settings
from monitor.store import migrate
from monitor.store.database import Database

PREFIX = "replay_"


def open_record(settings: Settings, name: str | None, *, make: bool = False, fresh: bool = False) -> Database:
    """The live record (`name` None), whose tables must be current, or a replay's.

    Args:
        make: make or update a replay's tables. Without it a replay that is not there is an InputError.
        fresh: with `make`, remove what a replay of this name holds first.

    Raises:
        InputError: the name cannot be used, or there is no such replay.
        SchemaMismatch, DatabaseUnavailable: see `monitor.store`.
    """
    if name is None:
        database = Database(settings)
        migrate.require_current(database)
        return database
    database = Database(settings, schema_of(name))
    if make:
        if fresh:
            drop(database)
        migrate.upgrade(database)
    elif migrate.current(database) is None:
        known = ", ".join(names(database)) or "there is none"
        raise InputError(f"there is no replay {name!r} ({known}); make one with `bellwether replay --name {name} FEED`")
    return database


def in_group(settings: Settings, name: str | None) -> Settings:
    """The settings with the consumer group of a replay; unchanged for the live record (`name` None)."""
    if name is None:
        return settings
    kafka = settings.kafka.model_copy(update={"group": f"{settings.kafka.group}-{name}"})
    return settings.model_copy(update={"kafka": kafka})


def schema_of(name: str) -> str:
    """The schema of a replay. Raises InputError for a name that cannot be one."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_]{0,39}", name):
        raise InputError(f"a replay's name is lower-case letters, digits and _, 40 at most; {name!r} is not")
    return PREFIX + name


def names(database: Database) -> list[str]:
    """The replays there are."""
    with database.transaction() as connection:
        rows = connection.execute(
            text("SELECT nspname FROM pg_namespace WHERE nspname LIKE :pattern ORDER BY 1"), {"pattern": PREFIX + "%"}
        )
        return [row[0].removeprefix(PREFIX) for row in rows]


def drop(database: Database) -> None:
    """Remove a replay with all it holds."""
    if not database.schema.startswith(PREFIX):
        raise InputError(f"{database.schema} is no replay; nothing was removed")
    # Table by table: one statement would need a lock for every partition at once.
    with database.transaction() as connection:
        partitions = connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = :schema"), {"schema": database.schema}
        )
        tables = [row[0] for row in partitions]
    for start in range(0, len(tables), 200):
        with database.transaction() as connection:
            for table in tables[start : start + 200]:
                connection.execute(text(f'DROP TABLE IF EXISTS {database.schema}."{table}" CASCADE'))
    with database.transaction() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {database.schema} CASCADE"))
