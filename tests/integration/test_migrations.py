"""The migrations make what `schema.py` describes, and can be taken back; on Debian's Postgres too."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from monitor.errors import SchemaMismatch
from monitor.settings import Settings
from monitor.store import migrate, partitions
from monitor.store.database import Database
from monitor.store.queries import labels
from monitor.store.schema import metadata
from monitor.store.writer import Writer
from tests.integration.test_writer import LATENESS, NOON, batch, read


def tables(connection: Connection) -> set[str]:
    rows = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"))
    return {row[0] for row in rows}


def test_migrated_tables_are_those_of_the_schema(database: Database) -> None:
    with database.transaction() as connection:
        context = MigrationContext.configure(connection)
        differences = list(_flat(compare_metadata(context, metadata)))
    # Comments describe the tables to readers of schema.py; they are not kept in the database.
    found = [difference for difference in differences if "comment" not in str(difference[0])]
    assert [str(difference[1]) for difference in found] == ["schema_version"]


def _flat(differences: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    for difference in differences:
        if isinstance(difference, list):
            yield from _flat(difference)
        else:
            yield difference


def test_downgrade_leaves_nothing_and_upgrade_comes_back(database: Database) -> None:
    Writer(database, "g", LATENESS).write(batch([read(0)]))
    migrate.downgrade(database, "base")
    with database.transaction() as connection:
        assert tables(connection) == {"schema_version"}
    assert migrate.current(database) is None
    with pytest.raises(SchemaMismatch, match="bellwether migrate"):
        migrate.require_current(database)
    migrate.upgrade(database)
    migrate.require_current(database)
    assert Writer(database, "g", LATENESS).write(batch([read(0)])).documents == 1


def test_labels_given_before_they_kept_a_kind_take_it_from_their_documents(database: Database) -> None:
    Writer(database, "g", LATENESS).write(batch([read(0), read(1)]))
    with database.transaction() as connection:
        kinds = dict(connection.execute(text("SELECT key, kind FROM documents")).all())
        first, second = kinds
        labels.give(connection, first, "Mei", sentiment="negative")
        labels.give(connection, second, "Mei", sentiment="negative")
        connection.execute(text("DELETE FROM documents WHERE key = :key"), {"key": second})
    migrate.downgrade(database, "0002")
    migrate.upgrade(database)
    with database.transaction() as connection:
        assert {one.key: one.kind for one in labels.listed(connection)} == {first: kinds[first], second: None}


def test_each_day_and_month_gets_its_partition(database: Database) -> None:
    Writer(database, "g", LATENESS).write(batch([read(0), read(1, at=NOON.replace(month=4))]))
    with database.transaction() as connection:
        assert partitions.existing(connection) == [
            "company_scores_20260302",
            "company_scores_20260402",
            "documents_20260302",
            "documents_20260402",
            "rollups_202603",
            "rollups_202604",
            "scores_20260302",
            "scores_20260402",
            "shadow_scores_20260302",
            "shadow_scores_20260402",
        ]


@pytest.fixture
def debian_postgres(tmp_path: Path) -> Iterator[str]:
    """A server made with Debian's PostgreSQL, on a free loopback port."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("Debian's PostgreSQL is not installed")
    tools, data = found[-1].parent, tmp_path / "pg"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user: str | None = None
    if os.geteuid() == 0:
        user = "postgres"  # the server refuses to run as root
        for folder in (tmp_path, *tmp_path.parents[:3]):
            folder.chmod(0o755)
        data.mkdir()
        shutil.chown(data, user, pwd.getpwnam(user).pw_gid)

    def tool(*arguments: str) -> None:
        subprocess.run([str(tools / arguments[0]), *arguments[1:]], user=user, check=True, capture_output=True, cwd="/")

    tool("initdb", "--auth=trust", "-U", "bellwether", "-D", str(data))
    options = f"-h 127.0.0.1 -p {port} -k {data} -c fsync=off"
    tool("pg_ctl", "-w", "-D", str(data), "-l", str(data / "log"), "-o", options, "start")
    yield f"postgresql://bellwether@127.0.0.1:{port}/postgres"
    tool("pg_ctl", "-w", "-D", str(data), "-m", "immediate", "stop")


def test_record_works_on_debians_postgres(debian_postgres: str, make_settings: Callable[..., Settings]) -> None:
    database = Database(make_settings(database_url=debian_postgres))
    migrate.upgrade(database)
    writer = Writer(database, "g", LATENESS)
    assert writer.write(batch([read(0), read(1)])).documents == 2
    assert writer.write(batch([read(2, id="0")], begin=2)).repeated == 1
    migrate.downgrade(database, "base")
    database.close()
