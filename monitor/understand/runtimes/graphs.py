"""Converted graphs, kept in the data folder: made once for a bundle and a kind of machine, and never trusted blindly.

An entry is a folder named after everything that decides what is in it: the bundle's manifest (which has the hashes of
its files and of its base), the processor's kind, the versions of OpenVINO and of our conversion. Before a graph is used
for the first time its answers are compared with PyTorch's in float32; one that differs too much is refused, which is
kept as well. Of an entry that is there the hashes are compared; a damaged one is made anew.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from monitor.understand.encoders import sha256
from monitor.understand.manifest import MANIFEST, Manifest

if TYPE_CHECKING:
    from monitor.understand.network import Network

log = logging.getLogger(__name__)
VERSION = 1
"""Counts up whenever `conversion.py` makes other graphs of the same network."""
MEAN, MOST = 0.01, 0.2
"""How much a calibrated probability may differ from float32's on the texts of the check: on average, and at most."""
UNUSED = 60 * 86_400
"""Seconds after which an entry that nobody has used is deleted, when another is written."""
_GRAPH, _WEIGHTS, _NOTE = "graph.xml", "graph.bin", "graph.json"


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


def graph_for(
    folder: Path,
    manifest: Manifest,
    cache: Path | None,
    network: Callable[[], Network],
    check: Callable[[Any, Network], Agreement],
) -> Any | None:
    """The graph of a checked bundle, as a path or, where it cannot be kept, itself; None where it has none.

    Args:
        cache: the folder of all entries; None keeps nothing.
        network: gives the bundle's network; called when the graph must be made.
        check: compares a graph's answers with a network's.
    """
    entry = cache / _key(folder) if cache is not None else None
    if entry is not None and (kept := _kept(entry, manifest)) is not None:
        return kept[0]
    model, refused, agreement = _made(manifest, network, check)
    if entry is None:
        return model
    note: dict[str, Any] = {"model": manifest.model, "machine": _machine()}
    note |= {"refused": refused} if refused else {}
    note |= {"agreement": asdict(agreement)} if agreement else {}
    try:
        _write(entry, model, note)
    except OSError as error:
        log.warning("%s: cannot be written (%s); graphs are made at each start (data.dir)", entry, error.strerror)
        return model
    return entry / _GRAPH if model is not None else None


def _made(
    manifest: Manifest, network: Callable[[], Network], check: Callable[[Any, Network], Agreement]
) -> tuple[Any | None, str, Agreement | None]:
    """A graph that may be used, why there is none, and its agreement."""
    from monitor.understand.runtimes.conversion import converted

    started = time.monotonic()
    whole = network()
    agreement = None
    try:
        model = converted(whole)
        agreement = check(model, whole)
        refused = "" if agreement.good else str(agreement)
    except Exception as error:  # whatever the converter cannot do, PyTorch can
        model, refused = None, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if refused:
        log.warning(
            "model %s runs on PyTorch, slower: its graph for OpenVINO cannot be used (%s)", manifest.model, refused
        )
        return None, refused, agreement
    log.info(
        "model %s made ready for this processor in %.1f s: %s", manifest.model, time.monotonic() - started, agreement
    )
    return model, "", agreement


def _kept(entry: Path, manifest: Manifest) -> tuple[Path | None] | None:
    """The graph of an entry, or that there is none to be had; None: it must be made (anew)."""
    if not entry.is_dir():
        return None
    try:
        note = json.loads((entry / _NOTE).read_text(encoding="utf-8"))
        if note.get("refused"):
            log.warning("model %s runs on PyTorch, slower: %s", manifest.model, note["refused"])
            return (None,)
        whole = all(sha256(entry / name) == note["files"][name] for name in (_GRAPH, _WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        log.warning("%s: damaged; the graph of model %s is made anew", entry, manifest.model)
        return None
    try:
        os.utime(entry / _NOTE)
    except OSError:  # a folder that is only read
        log.debug("%s: not marked as used", entry)
    return (entry / _GRAPH,)


def _write(entry: Path, model: Any | None, note: dict[str, Any]) -> None:
    import openvino

    part = entry.with_name(f".{entry.name}.{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        files = {}
        if model is not None:
            openvino.save_model(model, part / _GRAPH, compress_to_fp16=False)
            files = {name: sha256(part / name) for name in (_GRAPH, _WEIGHTS)}
        (part / _NOTE).write_text(json.dumps(note | {"files": files}, indent=1), encoding="utf-8")
        shutil.rmtree(entry, ignore_errors=True)
        try:
            part.rename(entry)
        except OSError:
            # Another process was quicker; what it wrote is as good.
            if not (entry / _NOTE).is_file():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    _tidy(entry.parent)


def _tidy(cache: Path) -> None:
    for note in cache.glob(f"*/{_NOTE}"):
        if time.time() - note.stat().st_mtime > UNUSED:
            shutil.rmtree(note.parent, ignore_errors=True)


def _key(folder: Path) -> str:
    import openvino

    parts = [sha256(folder / MANIFEST), _machine(), openvino.__version__, str(VERSION)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def _machine() -> str:
    """The processor as far as kernels are chosen by it."""
    import openvino

    core = openvino.Core()
    able = sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    return f"{core.get_property('CPU', 'FULL_DEVICE_NAME')}: {', '.join(able)}"


def probe(languages: Sequence[str], count: int = 48) -> list[str]:
    """Texts for the check: of each language some of the sample feed, then odd ones, short, long and empty."""
    found: dict[str, list[str]] = {language: [] for language in languages}
    feed = Path(str(resources.files("monitor.sample") / "feed.jsonl.gz"))
    with gzip.open(feed, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            of = found.get(row.get("lang", ""))
            if of is not None and len(of) < count:
                of.append(row.get("text") or row.get("title") or "")
            if all(len(of) == count for of in found.values()):
                break
    texts = [text for of in found.values() for text in of]
    return [*texts, "", "a", " ".join(texts[:12]), "profit 银行 " * 300]
