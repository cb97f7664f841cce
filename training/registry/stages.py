"""What else may be done with a model: put it aside, let it score in shadow mode, copy it out of the registry."""

from __future__ import annotations

from pathlib import Path

from monitor.champions import registry_folder
from monitor.errors import InputError
from monitor.settings import Settings
from monitor.store.database import Database
from monitor.store.queries import models
from monitor.store.queries.models import Model
from monitor.understand.lineup import Seat, check_seat, check_topics
from monitor.understand.topics import load_taxonomy
from training.registry.choosing import chosen
from training.registry.folders import copy_out


def archive(database: Database, name: str, *, actor: str, reason: str = "") -> Model:
    """Put a model aside; its folder and its row stay. Raises InputError for one that serves."""
    with database.transaction() as connection:
        models.lock(connection)
        model = chosen(connection, name)
        if model.serves:
            raise InputError(
                f"{model.model} is the champion of {', '.join(model.serves)}; promote another or roll it back first"
            )
        models.archive(connection, model.model)
        models.note(connection, model=model.model, action="archive", actor=actor, reason=reason, details={})
        return chosen(connection, model.model)


def set_shadow(database: Database, settings: Settings, name: str, on: bool, *, actor: str) -> Model:
    """Begin or end a model's shadow mode.

    Raises:
        InputError: it is archived, or serves all its languages.
        BundleError, SettingsError: consumers could not load it.
    """
    with database.transaction() as connection:
        models.lock(connection)
        model = chosen(connection, name)
        if on:
            if set(model.languages) <= set(model.serves):
                raise InputError(f"{model.model} is the champion of all its languages: there is nothing to shadow")
            if model.stage == "archived":
                raise InputError(f"{model.model} is archived; register it anew under another version to try it again")
            seat = _seat(settings, model)
            check_topics(check_seat(seat), load_taxonomy(settings.engine.topics))
        if model.shadow != on:
            models.set_shadow(connection, model.model, on)
            action = "shadow" if on else "unshadow"
            models.note(connection, model=model.model, action=action, actor=actor, details={})
        return chosen(connection, model.model)


def export(database: Database, settings: Settings, name: str, folder: Path) -> Model:
    """Copy a model's bundle out of the registry, checked. Raises InputError if `folder` holds something."""
    with database.transaction() as connection:
        model = chosen(connection, name)
    seat = _seat(settings, model)
    check_seat(seat)
    copy_out(seat.folder, folder)
    return model


def _seat(settings: Settings, model: Model) -> Seat:
    return Seat(registry_folder(settings) / model.folder, model.model, model.languages, "registry", model.digest)
