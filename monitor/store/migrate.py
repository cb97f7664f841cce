"""Making and changing the tables: Alembic, run in the schema of one database."""

from __future__ import annotations

from importlib import resources
from typing import Any

from sqlalchemy import text

from monitor.errors import SchemaMismatch
from monitor.store.database import Database

# Any number will do as long as it stays the same: two programs that start together migrate one after the other.
_LOCK = 0x62656C6C


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the tables to `revision`, making the schema if it is not there."""
    _run(database, "upgrade", revision)


def downgrade(database: Database, revision: str) -> None:
    """Take the tables back to `revision` (`base`: nothing is left)."""
    _run(database, "downgrade", revision)


def current(database: Database) -> str | None:
    """The revision the tables are at; None when there are none."""
    with database.transaction() as connection:
        there = connection.execute(
            text("SELECT to_regclass(:name)"), {"name": f"{database.schema}.schema_version"}
        ).scalar()
        if there is None:
            return None
        return connection.execute(text("SELECT version_num FROM schema_version")).scalar()


def head() -> str:
    """The revision this program is made for."""
    from alembic.script import ScriptDirectory

    return str(ScriptDirectory.from_config(_config()).get_current_head())


def require_current(database: Database) -> None:
    """Raise SchemaMismatch unless the tables are at this program's revision."""
    found, wanted = current(database), head()
    if found != wanted:
        state = "there are no tables" if found is None else f"the tables are at revision {found}"
        raise SchemaMismatch(
            f"{state} in schema {database.schema} ({database.where}), this program needs {wanted}; "
            "run `bellwether migrate`"
        )


def _config() -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(resources.files("migrations")))
    return config


def _run(database: Database, direction: str, revision: str) -> None:
    from alembic import command

    config = _config()
    with database.transaction() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {database.schema}"))
        config.attributes["connection"] = connection
        config.attributes["schema"] = database.schema
        getattr(command, direction)(config, revision)
