"""Converted graphs, kept in the data folder: made once for a bundle and a kind of machine, and never trusted blindly.

An entry is a folder named after everything that decides what is in it: the bundle's manifest (which has the hashes of
its files and of its base), the processor's kind, the versions of OpenVINO and of our conversion. Before a graph is used
for the first time its answers are compared with PyTorch's in float32; one that differs too much is refused, which is
kept as well. Of an entry that is there the hashes are compared; a damaged one is made anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.understand.encoders import sha256
from monitor.understand.manifest import MANIFEST, Manifest
from monitor.understand.runtimes.openvino import core

log = logging.getLogger(__name__)
VERSION = 2
"""Counts up whenever `conversion.py` makes other graphs of the same network."""
MEAN, MOST = 0.01, 0.2
"""How much a calibrated probability may differ from float32's on the texts of the check: on average, and at most."""
UNUSED = 60 * 86_400
"""Seconds after which an entry that nobody has used is deleted, when another is written."""
GRAPH, WEIGHTS, NOTE = "graph.xml", "graph.bin", "graph.json"


@dataclass(frozen=True)
class Agreement:
    """How far a graph's calibrated probabilities lie from those of the network in float32.

    Attributes:
        texts: how many were compared.
        mean, most: of the absolute differences, over all classes and topics.
        labels: share of the texts whose likeliest sentiment is the same.
    """

    texts: int
    mean: float
    most: float
    labels: float

    @property
    def good(self) -> bool:
        """Whether the graph may be used."""
        return self.mean <= MEAN and self.most <= MOST

    def __str__(self) -> str:
        return (
            f"probabilities differ by {self.mean:.4f} on average and {self.most:.4f} at most on {self.texts} texts, "
            f"{self.labels:.1%} of the sentiments are the same"
        )


def compared(one: Sequence[NDArray[np.float64]], other: Sequence[NDArray[np.float64]]) -> Agreement:
    """The agreement of two answers: each (texts, 3) sentiment and (texts, topics) probabilities."""
    gaps = np.concatenate([np.abs(a - b).ravel() for a, b in zip(one, other, strict=True)])
    same = one[0].argmax(1) == other[0].argmax(1)
    # A network that gives no number agrees with nothing.
    if not np.isfinite(gaps).all():
        return Agreement(len(same), float("inf"), float("inf"), 0.0)
    return Agreement(len(same), float(gaps.mean()), float(gaps.max()), float(same.mean()))


def graph_for(folder: Path, manifest: Manifest, cache: Path | None) -> Any | None:
    """The graph of a checked bundle, as a path or, where it cannot be kept, itself; None where it has none.

    Args:
        cache: the folder of all entries; None keeps nothing.

    Raises:
        BundleError, KeyError, ValueError: the bundle's network cannot be built.
    """
    if cache is not None:
        entry = cache / _key(folder)
        if (kept := _kept(entry, manifest)) is not None:
            return kept[0]
        if _writable(cache):
            log.info("making model %s ready for this processor, once", manifest.model)
            # In a process of its own: what PyTorch takes for it, more than a gigabyte, goes with it.
            problem = make_apart(folder, entry)
            if (kept := _kept(entry, manifest)) is not None:
                return kept[0]
            log.warning("model %s: the graph could not be made apart (%s); it is made here", manifest.model, problem)
    from monitor.understand.runtimes.making import made

    return made(folder, manifest)[0]


def state(folder: Path, cache: Path | None) -> str:
    """In words, whether a bundle's graph is there; nothing is made or checked."""
    if cache is None or not (note := cache / _key(folder) / NOTE).is_file():
        return "will be made ready at its first use"
    try:
        told = json.loads(note.read_text(encoding="utf-8"))
        return f"runs on PyTorch ({told['refused']})" if told.get("refused") else "is ready"
    except (OSError, ValueError, AttributeError):
        return "is damaged and will be made ready anew"


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


def _kept(entry: Path, manifest: Manifest) -> tuple[Path | None] | None:
    """The graph of an entry, or that there is none to be had; None: it must be made (anew)."""
    if not entry.is_dir():
        return None
    try:
        note = json.loads((entry / NOTE).read_text(encoding="utf-8"))
        if note.get("refused"):
            log.warning("model %s runs on PyTorch, slower: %s", manifest.model, note["refused"])
            return (None,)
        whole = all(sha256(entry / name) == note["files"][name] for name in (GRAPH, WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        log.warning("%s: damaged; the graph of model %s is made anew", entry, manifest.model)
        return None
    try:
        os.utime(entry / NOTE)
    except OSError:  # a folder that is only read
        log.debug("%s: not marked as used", entry)
    return (entry / GRAPH,)


def tidy(cache: Path) -> None:
    """Delete the entries that nobody has used for long."""
    for note in cache.glob(f"*/{NOTE}"):
        if time.time() - note.stat().st_mtime > UNUSED:
            shutil.rmtree(note.parent, ignore_errors=True)


def _key(folder: Path) -> str:
    import openvino

    parts = [sha256(folder / MANIFEST), machine(), openvino.__version__, str(VERSION)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def machine() -> str:
    """The processor as far as kernels are chosen by it."""
    able = sorted(core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    return f"{core().get_property('CPU', 'FULL_DEVICE_NAME')}: {', '.join(able)}"
