"""Which bundle reads which language: the settings, else the champions of the registry, else the bundles that ship.

`engine.bundles`, when set, is all that counts and the registry is not asked. Imports no model library.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monitor.errors import DatabaseUnavailable
from monitor.settings import Settings
from monitor.store.database import Database
from monitor.store.queries import models
from monitor.store.queries.models import Active
from monitor.understand.lineup import Lineup, Seat, shipped, standing

log = logging.getLogger(__name__)


def registry_folder(settings: Settings) -> Path:
    """The folder that holds the registry's models."""
    return settings.engine.models.expanduser().absolute() if settings.engine.models else settings.data.dir / "models"


@contextmanager
def registry_of(settings: Settings, database: Database) -> Iterator[Database]:
    """The record that holds the registry: the live one, whichever record is worked on."""
    if database.schema == settings.database.schema_name:
        yield database
        return
    live = Database(settings)
    try:
        yield live
    finally:
        live.close()


def ask(settings: Settings, registry: Database) -> tuple[Active, ...]:
    """Champions and shadows of the registry; none where it is not to be asked, or there is none yet.

    Raises:
        DatabaseUnavailable: Postgres cannot be reached.
    """
    if settings.engine.bundles:
        return ()
    with registry.transaction() as connection:
        return models.active(connection) if models.exists(connection, registry.schema) else ()


def lineup_of(settings: Settings, active: tuple[Active, ...]) -> Lineup:
    """Who reads what, given what the registry says. Raises BundleError for a manifest that cannot be read."""
    return standing(settings.engine) if settings.engine.bundles else registered(settings, active)


def registered(settings: Settings, active: tuple[Active, ...]) -> Lineup:
    """Who reads what by the registry alone: its champions, and the bundles that ship where it has none."""
    folder = registry_folder(settings)
    champions = [
        Seat(folder / row.folder, row.model, row.serves, "registry", row.digest) for row in active if row.serves
    ]
    shadows = [
        Seat(folder / row.folder, row.model, beside, "registry", row.digest)
        for row in active
        if row.shadow and (beside := tuple(language for language in row.languages if language not in row.serves))
    ]
    taken = {language for seat in champions for language in seat.languages}
    return Lineup((*champions, *shipped(without=taken, fast=settings.engine.model == "fast")), tuple(shadows))


def lineup(settings: Settings, database: Database) -> Lineup:
    """Who reads what now. `database` may be any record; the registry of the live one is asked."""
    with registry_of(settings, database) as registry:
        return lineup_of(settings, ask(settings, registry))


def lineup_without_record(settings: Settings) -> Lineup:
    """Who reads what, for commands that need no record: the registry is asked only where there is one, and in reach."""
    if settings.engine.bundles or (settings.database.url is None and not (settings.data.dir / "postgres").is_dir()):
        return standing(settings.engine)
    database = Database(settings)
    try:
        return lineup(settings, database)
    except DatabaseUnavailable as error:
        log.warning("the registry was not asked, so the bundles that ship read: %s", error)
        return standing(settings.engine)
    finally:
        database.close()
