"""Fixtures that need no server of their own: settings, and a Postgres shared by the whole session."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.settings import Settings, load
from monitor.store import migrate
from monitor.store.database import Database

pytest_plugins = ["tests.kafka.fixtures"]

_schemas = itertools.count(1)


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own BELLWETHER_… variables and bellwether.toml must not reach the tests."""
    for name in list(os.environ):
        if name.startswith("BELLWETHER_") and not name.startswith("BELLWETHER_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder whose embedded Postgres the whole session shares."""
    folder = tmp_path_factory.mktemp("data")
    folder.chmod(0o755)
    return folder


@pytest.fixture
def make_settings(postgres_folder: Path) -> Callable[..., Settings]:
    """Settings on the session's Postgres; keyword arguments are written `section_key="value"`."""

    def make(**values: object) -> Settings:
        overrides = {"data.dir": str(postgres_folder)}
        overrides |= {name.replace("_", ".", 1): str(value) for name, value in values.items()}
        return load({}, overrides).settings

    return make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """The default settings on the session's Postgres."""
    return make_settings()


@pytest.fixture
def schema() -> str:
    """A schema name no other test uses."""
    return f"test_{os.getpid()}_{next(_schemas)}"


@pytest.fixture
def database(settings: Settings, schema: str) -> Iterator[Database]:
    """A fresh, migrated record of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = Database(settings, schema)
        migrate.upgrade(found)
    yield found
    with found.engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    found.close()
