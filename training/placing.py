"""Files and folders that are there whole or not at all, whenever a run is cut off."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def placed(path: Path) -> Iterator[Path]:
    """Where to write the file or folder that is to be at `path`; it is put there when all of it is written.

    What was at `path` before stays until then, and for good if the writing fails.
    """
    part = path.with_name(f".{path.name}.part")
    _remove(part)
    try:
        yield part
        if part.is_dir():
            _remove(path)
        part.replace(path)
    finally:
        _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
