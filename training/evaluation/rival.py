"""Whom a bundle is compared with: a folder, a bundle that ships, or a model of the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from monitor.champions import registered, registry_folder
from monitor.errors import InputError
from monitor.records import open_record
from monitor.settings import Settings
from monitor.store.queries import models
from monitor.understand.bundle import SHIPPED, Bundle, load_bundle
from monitor.understand.lineup import Seat, check_seat
from training.registry.choosing import chosen

CHAMPION = "champion"


def load_named(name: str) -> Bundle:
    """The bundle in a folder, or one that ships (en, zh). Raises BundleError if it cannot be used."""
    shipped = {path.name: path for path in SHIPPED}
    folder = Path(name)
    return load_bundle(folder if folder.exists() else shipped.get(name, folder))


def load_rival(name: str, languages: Sequence[str], settings: Settings) -> Bundle:
    """The bundle meant by `name`: as `load_named`, or `champion`, or NAME@VERSION of the registry.

    Args:
        languages: those whose champion is meant; the shipped bundle where the registry has none.

    Raises:
        InputError: the registry has no such model, or these languages have no champion or several.
        BundleError: it cannot be used.
        DatabaseUnavailable: the registry was asked and cannot be reached.
    """
    if Path(name).exists() or (name != CHAMPION and "@" not in name):
        return load_named(name)
    with closing(open_record(settings, None)) as database, database.transaction() as connection:
        if name == CHAMPION:
            seat = _champion(languages, registered(settings, models.active(connection)).by_language)
        else:
            model = chosen(connection, name)
            folder = registry_folder(settings) / model.folder
            seat = Seat(folder, model.model, model.languages, "registry", model.digest)
    check_seat(seat)
    return load_bundle(seat.folder)


def _champion(languages: Sequence[str], serving: Mapping[str, Seat]) -> Seat:
    seats = {serving[language].model: serving[language] for language in languages if language in serving}
    if not seats:
        raise InputError(f"nobody reads {', '.join(languages)} yet, so there is no champion; leave --against away")
    if len(seats) > 1:
        raise InputError(
            f"{', '.join(languages)} have several champions; say which with --against: {', '.join(sorted(seats))}"
        )
    return next(iter(seats.values()))
