"""Converted graphs, kept in the data folder: made once for a bundle and a kind of machine, and never trusted blindly.

Before a graph is used for the first time its answers are compared with PyTorch's in float32; one that differs too much
is refused, which is kept as well. One that is damaged is made anew.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from monitor.understand.manifest import Manifest
from monitor.understand.runtimes.entries import entry_of, kept

log = logging.getLogger(__name__)


def graph_for(folder: Path, manifest: Manifest, cache: Path | None) -> Any | None:
    """The graph of a checked bundle, as a path or, where it cannot be kept, itself; None where it has none.

    Args:
        cache: the folder of all entries; None keeps nothing.

    Raises:
        BundleError, KeyError, ValueError: the bundle's network cannot be built.
    """
    if cache is not None:
        entry = entry_of(folder, cache)
        if (found := kept(entry, manifest)) is not None:
            return found[0]
        if _writable(cache):
            log.info("making model %s ready for this processor, once", manifest.model)
            # In a process of its own: what PyTorch takes for it, more than a gigabyte, goes with it.
            problem = make_apart(folder, entry)
            if (found := kept(entry, manifest)) is not None:
                return found[0]
            log.warning("model %s: the graph could not be made apart (%s); it is made here", manifest.model, problem)
    from monitor.understand.runtimes.making import made

    return made(folder, manifest)[0]


def make_apart(folder: Path, entry: Path) -> str:
    """Have an entry made by another process; why that failed, or "" if it did not."""
    command = [sys.executable, "-m", "monitor.understand.runtimes.making", str(folder), str(entry)]
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        _, said = process.communicate()
    finally:
        process.kill()  # nothing, unless we are being stopped
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
    return (last[:300] or f"status {process.returncode}") if process.returncode else ""


def _writable(cache: Path) -> bool:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            return True
    except OSError as error:
        reason = error.strerror or error
        log.warning("%s: cannot be written (%s); graphs are made at each start (data.dir)", cache, reason)
        return False
