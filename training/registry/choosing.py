"""Which model is meant by a name on the command line."""

from __future__ import annotations

import difflib

from sqlalchemy import Connection

from monitor.errors import InputError
from monitor.store.queries import models
from monitor.store.queries.models import Model


def chosen(connection: Connection, name: str) -> Model:
    """The model of this name@version, or of this name if it has only one version.

    Raises:
        InputError: there is none, or there are several.
    """
    found = models.find(connection, name)
    if found is not None:
        return found
    every = models.every(connection)
    versions = [model for model in every if model.model.rpartition("@")[0] == name]
    if len(versions) == 1:
        return versions[0]
    if versions:
        raise InputError(f"{name} has several versions; say which: {', '.join(model.model for model in versions)}")
    near = difflib.get_close_matches(name, [model.model for model in every], n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else "; `bellwether models list` shows them"
    raise InputError(f"the registry has no model {name}{hint}")
