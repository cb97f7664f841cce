"""Where a bundle comes from: recipe, seed, versions and parent, for the registry and for running it again."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from monitor.understand.manifest import read_manifest
from training.corpus import Corpus
from training.recipe import Recipe
from training.registry.folders import LINEAGE
from training.registry.taught import write_taught

_PACKAGES = ("bellwether", "torch", "transformers", "peft", "accelerate", "scikit-learn", "tokenizers", "numpy")


def write_lineage(folder: Path, recipe: Recipe, corpus: Corpus) -> None:
    """Write `lineage.json` and the hashes of the taught texts beside a bundle (docs/models.md).

    Neither is a file of the bundle itself: it works without them, and they change no checksum.
    """
    write_taught(folder, (example.text for example in (*corpus.taught, *corpus.held)))
    (folder / LINEAGE).write_text(json.dumps(_lineage(recipe), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _lineage(recipe: Recipe) -> dict[str, Any]:
    found: dict[str, Any] = {
        "recipe": recipe.model_dump(mode="json", exclude_defaults=True),
        "seed": recipe.schedule.seed if recipe.kind == "encoder" else recipe.linear.seed,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "processor": platform.machine(),
    }
    if recipe.continual.bundle:
        found["parent"] = read_manifest(Path(recipe.continual.bundle)).model
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
