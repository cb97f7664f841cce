"""The models that a candidate learned from: what they were taught it was taught, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from monitor.champions import registry_folder
from monitor.settings import Settings
from monitor.store.queries import models
from monitor.store.queries.models import Model
from monitor.understand.lineup import shipped
from monitor.understand.manifest import read_manifest
from training.data.taught import read_taught
from training.registry.registering import described


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A candidate, or a model that it learned from.

    Attributes:
        model: name@version.
        folder: where its `taught.u64` lies, if it has one.
        data: SHA-256 → name of each file that it or its teachers were taught.
    """

    model: str
    folder: Path
    data: Mapping[str, str]


def ancestry(connection: Connection, settings: Settings, model: Model) -> tuple[list[Ancestor], list[str]]:
    """The model, those it was taught on from and its teachers, and theirs; and those of which nothing is known.

    Each is looked for in the registry, then among the bundles that ship. One that is in neither is known all the same
    where a model that learned from it says that its own hashes hold all that it was taught (`taught_of`).
    """
    found: dict[str, Ancestor] = {}
    unknown: list[str] = []
    included: set[str] = set()
    waiting = [model.model]
    for name in waiting:
        row = models.find(connection, name)
        seat = next((seat for seat in (*shipped(), *shipped(fast=True)) if seat.model == name), None)
        if row is not None:
            folder, lineage = registry_folder(settings) / row.folder, {**row.lineage, "parent": row.parent}
        elif seat is not None:
            folder, lineage = seat.folder, described(seat.folder, read_manifest(seat.folder))
        else:
            unknown.append(name)
            continue
        included |= set(lineage.get("taught_of", ())) if read_taught(folder) is not None else set()
        teachers = lineage.get("teachers", ())
        data = [*lineage.get("training_data", ()), *(row for teacher in teachers for row in teacher["taught"])]
        found[name] = Ancestor(name, folder, {row["sha256"]: row["file"] for row in data})
        others = [lineage.get("parent"), *(teacher["model"] for teacher in teachers)]
        waiting += [other for other in others if other is not None and other not in waiting]
    return list(found.values()), [name for name in unknown if name not in included]
