"""Makes a converted graph: builds the network, converts it, compares the answers, writes the entry.

`python -m monitor.understand.runtimes.making FOLDER ENTRY` does it in a process of its own.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from monitor.understand.encoders import sha256
from monitor.understand.manifest import Manifest, read_manifest
from monitor.understand.probabilities import calibrated
from monitor.understand.runtimes import conversion
from monitor.understand.runtimes.agreement import Agreement, compared
from monitor.understand.runtimes.encoder import Backend, EncoderRuntime, Heads
from monitor.understand.runtimes.entries import GRAPH, NOTE, WEIGHTS, machine, tidy
from monitor.understand.runtimes.openvino import OpenVinoBackend
from monitor.understand.runtimes.pytorch import TorchBackend, padding, read_network
from monitor.understand.runtimes.windows import frame

log = logging.getLogger(__name__)


def make(folder: Path, entry: Path) -> None:
    """Make the entry of a checked bundle, with a graph or with the reason why there is none.

    Raises:
        BundleError, KeyError, ValueError: the bundle's network cannot be built.
        OSError: the entry cannot be written.
    """
    manifest = read_manifest(folder)
    model, refused, agreement = made(folder, manifest)
    note: dict[str, Any] = {"model": manifest.model, "machine": machine()}
    note |= {"refused": refused} if refused else {}
    note |= {"agreement": asdict(agreement)} if agreement else {}
    _write(entry, model, note)


def made(folder: Path, manifest: Manifest) -> tuple[Any | None, str, Agreement | None]:
    """A graph that may be used, why there is none, and its agreement. Raises as `make` does."""
    if manifest.encoder is None:
        raise ValueError("no encoder named")
    started = time.monotonic()
    network, tokenizer = read_network(folder, manifest)
    most = manifest.encoder.max_tokens
    heads = Heads(
        {
            f"{name}.{part}": getattr(getattr(network, name), part).detach().numpy()
            for name in ("sentiment", "topics")
            for part in ("weight", "bias")
        }
    )
    texts = probe(manifest.languages)

    def answers(backend: Backend) -> Any:
        runtime = EncoderRuntime(backend, heads, tokenizer, max_tokens=most)
        return calibrated(runtime.logits(texts), manifest.temperature)

    agreement = None
    try:
        model = conversion.converted(network)
        # The converted graph first: the other packs the network's layers for itself.
        said = answers(OpenVinoBackend(model, threads=0))
        prefix, suffix = frame(tokenizer)
        plain = TorchBackend(network, max_tokens=most, pad=padding(network), frame=(*prefix, *suffix), threads=0)
        agreement = compared(answers(plain), said)
        refused = "" if agreement.good else str(agreement)
    except Exception as error:  # whatever the converter cannot do, PyTorch can
        model, refused = None, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if refused:
        log.warning(
            "model %s runs on PyTorch, slower: its graph for OpenVINO cannot be used (%s)", manifest.model, refused
        )
        return None, refused, agreement
    log.info("model %s made ready in %.1f s: %s", manifest.model, time.monotonic() - started, agreement)
    return model, "", agreement


def _write(entry: Path, model: Any | None, note: dict[str, Any]) -> None:
    import openvino

    part = entry.with_name(f".{entry.name}.{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        files = {}
        if model is not None:
            openvino.save_model(model, part / GRAPH, compress_to_fp16=False)
            files = {name: sha256(part / name) for name in (GRAPH, WEIGHTS)}
        (part / NOTE).write_text(json.dumps(note | {"files": files}, indent=1), encoding="utf-8")
        shutil.rmtree(entry, ignore_errors=True)
        try:
            part.rename(entry)
        except OSError:
            # Another process was quicker; what it wrote is as good.
            if not (entry / NOTE).is_file():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    tidy(entry.parent)


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


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]))
