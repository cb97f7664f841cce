"""The registry's folder: NAME/VERSION for each model, copied in whole or not at all, and never changed."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from uuid import uuid4

from monitor.errors import BundleError, InputError
from monitor.understand.encoders import sha256
from monitor.understand.manifest import MANIFEST, Manifest, check_files, read_manifest
from training.data.taught import TAUGHT

LINEAGE = "lineage.json"
BESIDE = (LINEAGE, TAUGHT)
"""What training may leave in a bundle's folder for the registry; a bundle works without."""

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


def place_of(manifest: Manifest) -> str:
    """The folder of a model, below the registry's. Raises InputError for a name that can be none."""
    for what, value in (("name", manifest.name), ("version", manifest.version)):
        if not _PART.fullmatch(value):
            raise InputError(
                f"{MANIFEST}: {what} {value!r} cannot name a folder; use letters, digits and . _ + -, 100 at most"
            )
    return f"{manifest.name}/{manifest.version}"


def copy_in(source: Path, registry: Path, place: str, digest: str) -> None:
    """Copy a checked bundle to its place, unless it is there already.

    It is copied under another name, checked and then renamed, so that nobody ever sees half of it.

    Raises:
        InputError: the folder cannot be written, or another model lies there.
        BundleError: the copy is not what was copied.
    """
    target = registry / place
    if (target / MANIFEST).is_file() and sha256(target / MANIFEST) == digest:
        check_files(target, read_manifest(target))
        return
    if target.exists():
        raise InputError(f"{target} holds something else; look at it and remove it, or raise the version")
    made = [] if registry.is_dir() else [registry.parent]
    partial = target.with_name(f".{target.name}.{uuid4().hex[:8]}.partial")
    try:
        partial.mkdir(parents=True)
        _copy(source, partial)
        if sha256(partial / MANIFEST) != digest:
            raise BundleError(f"{source / MANIFEST} changed while it was copied; try again")
        check_files(partial, read_manifest(partial))
        _keep(partial)
        try:
            partial.rename(target)
        except OSError:
            # Somebody registered the same bundle at the same moment.
            if not (target / MANIFEST).is_file() or sha256(target / MANIFEST) != digest:
                raise
        for folder in (target.parent, registry, *made):
            _keep(folder)
    except OSError as error:
        raise InputError(
            f"{target}: cannot be written: {error.strerror}; check engine.models (BELLWETHER_ENGINE_MODELS)"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def copy_out(source: Path, target: Path) -> None:
    """Copy a model's folder somewhere else. Raises InputError if there is something, or it cannot be written."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} is not empty; name a folder that is not there yet")
    try:
        target.mkdir(parents=True, exist_ok=True)
        _copy(source, target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror}") from None


def _copy(source: Path, target: Path) -> None:
    names = [MANIFEST, *read_manifest(source).files, *(name for name in BESIDE if (source / name).is_file())]
    for name in names:
        with (source / name).open("rb") as read, (target / name).open("wb") as write:
            shutil.copyfileobj(read, write, 1 << 20)
            write.flush()
            # Its row may not outlive it: a power cut must not leave a champion of zero bytes.
            os.fsync(write.fileno())


def _keep(folder: Path) -> None:
    """Make sure that a power cut leaves a folder's entries as they are: files that are whole need their names, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
