"""What is kept of a converted graph: a folder named after everything that decides what is in it.

That is the bundle's manifest (which has the hashes of its files and of its base), the processor's kind, the versions of
OpenVINO and of our conversion. Of an entry that is there the hashes are compared before it is used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from pathlib import Path

from monitor.understand.encoders import sha256
from monitor.understand.manifest import MANIFEST, Manifest
from monitor.understand.runtimes.openvino import core

log = logging.getLogger(__name__)
VERSION = 2
"""Counts up whenever `conversion.py` makes other graphs of the same network."""
UNUSED = 60 * 86_400
"""Seconds after which an entry that nobody has used is deleted, when another is written."""
GRAPH, WEIGHTS, NOTE = "graph.xml", "graph.bin", "graph.json"


def entry_of(folder: Path, cache: Path) -> Path:
    """Where the graph of a bundle stands among the entries of a cache, or would."""
    import openvino

    parts = [sha256(folder / MANIFEST), machine(), openvino.__version__, str(VERSION)]
    return cache / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def kept(entry: Path, manifest: Manifest) -> tuple[Path | None] | None:
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


def machine() -> str:
    """The processor as far as kernels are chosen by it."""
    able = sorted(core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    return f"{core().get_property('CPU', 'FULL_DEVICE_NAME')}: {', '.join(able)}"


def state(folder: Path, cache: Path | None) -> str:
    """In words, whether a bundle's graph is there; nothing is made or checked."""
    if cache is None or not (note := entry_of(folder, cache) / NOTE).is_file():
        return "will be made ready at its first use"
    try:
        told = json.loads(note.read_text(encoding="utf-8"))
        return f"runs on PyTorch ({told['refused']})" if told.get("refused") else "is ready"
    except (OSError, ValueError, AttributeError):
        return "is damaged and will be made ready anew"
