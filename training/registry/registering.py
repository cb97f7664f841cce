"""Registering: a bundle is copied into the registry and becomes a candidate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monitor.champions import registry_folder
from monitor.errors import InputError
from monitor.settings import Settings
from monitor.store.database import Database
from monitor.store.queries import models
from monitor.store.queries.models import Model
from monitor.understand.encoders import find_encoder, sha256
from monitor.understand.lineup import check_topics
from monitor.understand.manifest import MANIFEST, Manifest, check_files, read_manifest
from monitor.understand.topics import load_taxonomy
from training.registry.folders import LINEAGE, copy_in, place_of


def register(
    database: Database, settings: Settings, folder: Path, actor: str, lineage: Mapping[str, Any] | None = None
) -> Model:
    """Copy a bundle into the registry and add its row; registering the same bundle again changes nothing.

    Args:
        database: the live record.
        folder: the bundle. `lineage.json` and `taught.u64` in it are kept with it, see docs/models.md.
        actor: who does it.
        lineage: recipe, seed, versions, `parent` …, put over what lineage.json says.

    Raises:
        BundleError: the folder is no sound bundle, or its encoder cannot be had.
        InputError: there is another model of that name and version, or the registry cannot be written to.
        SettingsError: it gives topics that the taxonomy lacks.
    """
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    check_topics(manifest, load_taxonomy(settings.engine.topics))
    _check_encoder(folder, manifest)
    place, digest = place_of(manifest), sha256(folder / MANIFEST)
    known = described(folder, manifest) | dict(lineage or {})
    with database.transaction() as connection:
        there = models.find(connection, manifest.model)
    if there is not None and there.digest != digest:
        raise InputError(
            f"{manifest.model} is registered already and is another model; give this one another version "
            "(`version` in its recipe)"
        )
    copy_in(folder, registry_folder(settings), place, digest)
    with database.transaction() as connection:
        added = models.add(
            connection,
            model=manifest.model,
            languages=manifest.languages,
            folder=place,
            digest=digest,
            parent=known.get("parent"),
            lineage=known,
            metrics=manifest.metrics,
            actor=actor,
        )
        if added:
            models.note(connection, model=manifest.model, action="register", actor=actor, details={"from": str(folder)})
        found = models.find(connection, manifest.model)
    if found is None or found.digest != digest:
        raise InputError(f"somebody registered another {manifest.model} at this moment; give this one another version")
    return found


def described(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """What a bundle says of where it comes from: its data with their hashes, its encoder, and its lineage.json."""
    found: dict[str, Any] = {}
    if (folder / LINEAGE).is_file():
        try:
            found = json.loads((folder / LINEAGE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{folder / LINEAGE}: not readable as JSON: {error}") from None
        if not isinstance(found, dict) or not isinstance(found.get("parent"), str | None):
            raise InputError(f"{folder / LINEAGE}: not a JSON object, or its parent is not a model's name")
    found["training_data"] = [
        {"file": data.file, "sha256": data.sha256, "rows": data.rows, "licence": data.licence}
        for data in manifest.training_data
    ]
    if manifest.encoder is not None:
        found["encoder"] = {"name": manifest.encoder.name, "revision": manifest.encoder.revision}
    return found


def _check_encoder(folder: Path, manifest: Manifest) -> None:
    encoder = manifest.encoder
    if encoder is None or encoder.form == "whole":
        return
    if not Path(encoder.name).is_absolute() and (folder / encoder.name / "config.json").is_file():
        raise InputError(
            f"{folder / MANIFEST}: its encoder {encoder.name!r} is a folder beside it, which would stay behind; "
            "name it by an absolute path or a hub's name, or store the whole encoder in the bundle"
        )
    find_encoder(encoder.source, beside=folder)
