"""The engine beside everything else that a user might have picked, on the same texts, in one run.

Each contender is loaded in a process of its own and waits; then they run in turn, round after round, so that a machine
that speeds up or slows down does it to all. Ratios are taken within a round.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np

from monitor.accelerators import gpus
from monitor.bench.contenders import NAMES, PACKAGES
from monitor.bench.peak import gpu_peak, peaks
from monitor.bench.prepare import Prepared, prepare
from monitor.bench.texts import RAW, texts_of
from monitor.progress import progress
from monitor.settings import Settings
from monitor.understand.encoders import find_encoder, load_tokenizer
from monitor.understand.manifest import read_manifest

BASE = "pipeline-32"
"""What the others are compared with."""
REFERENCES = {"engine": "engine-torch", "engine-fast": "engine-torch"}
"""Whose answers a contender's are compared with, where they are not those of `torch`."""


@dataclass
class Row:
    """What one contender reached.

    Attributes:
        seconds: by set, one entry a round.
        start: seconds from the start of its process to the first answer.
        memory: megabytes at most.
        differs: by set, mean and largest difference of the probabilities from float32's, and the share of equal labels.
        missing: why it was not measured; empty when it was.
    """

    name: str
    title: str
    numbers: str = "float32"
    seconds: dict[str, list[float]] = field(default_factory=dict)
    start: float = 0.0
    memory: float = 0.0
    differs: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    missing: str = ""


@dataclass
class Result:
    """The whole comparison; `texts`, `tokens`, `work` and `own` (operations; see `Prepared`) are of each set."""

    model: str
    device: str
    texts: dict[str, int]
    tokens: dict[str, int]
    work: dict[str, float]
    own: dict[str, float]
    peaks: dict[str, float]
    rows: list[Row]
    made_ready: float
    gpu_peak: float | None = None

    def rate(self, row: Row, which: str) -> list[float]:
        """Texts a second, one entry a round."""
        return [self.texts[which] / seconds for seconds in row.seconds.get(which, [])]

    def times(self, row: Row, which: str) -> list[float]:
        """How many times as fast as BASE, one entry a round."""
        base = next((other.seconds.get(which, []) for other in self.rows if other.name == BASE), [])
        return [slow / fast for slow, fast in zip(base, row.seconds.get(which, []), strict=False)]

    def share(self, row: Row, which: str) -> float | None:
        """Operations a second over the measured peak of its number format; None where either is not known."""
        peak = self.peaks.get(row.numbers)
        if row.name == "engine-fast" or not peak or not row.seconds.get(which) or self.device != "cpu":
            return None
        work = self.own if row.name.startswith("engine") else self.work
        return work[which] / statistics.median(row.seconds[which]) / 1e9 / peak

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure(
    settings: Settings,
    *,
    bundle: Path,
    fast: Path | None,
    feed: Path | None,
    texts: int,
    articles: int,
    rounds: int,
    names: Sequence[str],
) -> Result:
    """Run the comparison.

    Raises:
        InputError: the feed holds too few texts.
        BundleError: the bundle cannot be used.
    """
    manifest = read_manifest(bundle)
    with tempfile.TemporaryDirectory(prefix="bellwether-bench-") as place, ExitStack() as stack:
        folder = Path(place)
        told = {
            "bundle": str(bundle),
            "fast": str(fast) if fast else "",
            "device": "cuda" if gpus() else "cpu",
            "threads": settings.engine.threads,
            "cache": str(folder / "graphs"),
        }
        described = manifest.encoder
        base = (
            bundle if described is None or described.form == "whole" else find_encoder(described.source, beside=bundle)
        )
        chosen = texts_of(feed, manifest.languages[0], load_tokenizer(base), texts, articles)
        ready = prepare(bundle, folder, chosen, told)
        rows = [_row(name, fast) for name in names]
        made = _made_ready(folder, "engine")
        if any(row.name == "engine-fast" and not row.missing for row in rows):
            _made_ready(folder, "engine-fast")
        measured = [row for row in rows if not row.missing]
        counts = {name: len(part) for name, part in chosen.items() if part}
        with progress("measuring", len(measured) * (1 + rounds * len(counts))) as bar:
            done = 0
            children: dict[str, Child] = {}
            for row in measured:
                try:
                    child = stack.enter_context(started(row.name, folder))
                    row.start, row.numbers = child.ready, child.numbers
                    children[row.name] = child
                except ChildError as error:
                    row.missing = str(error)
                done += 1
                bar.update(done, row.name)
            for number in range(rounds):
                for which in counts:
                    for row in measured:
                        if row.name in children:
                            _run(children[row.name], row, which, keep=number == 0)
                        done += 1
                        bar.update(done, f"round {number + 1}: {row.name}, {which}")
        _compare(rows, folder, list(counts))
        return Result(
            manifest.model,
            str(told["device"]),
            counts,
            ready.tokens,
            ready.work,
            ready.own,
            peaks(settings.engine.threads),
            rows,
            made,
            gpu_peak(),
        )


def _row(name: str, fast: Path | None) -> Row:
    row = Row(name, NAMES[name])
    lacking = [package for package in PACKAGES.get(name, ()) if find_spec(package) is None]
    if lacking:
        row.missing = f"{', '.join(lacking)} not installed (pip install 'bellwether[bench]')"
    if name == "engine-fast" and fast is None:
        row.missing = "no fast model for this language"
    return row


def _made_ready(folder: Path, name: str) -> float:
    """Seconds it takes to make a bundle's graph: what only the very first start pays."""
    begun = time.perf_counter()
    with started(name, folder):
        first = time.perf_counter() - begun
    begun = time.perf_counter()
    with started(name, folder):
        return max(0.0, first - (time.perf_counter() - begun))


def _run(child: Child, row: Row, which: str, *, keep: bool) -> None:
    try:
        said = child.ask(set=which, keep=keep)
        if keep:  # the first run of a set also makes kernels: it warms up
            said = child.ask(set=which)
    except ChildError as error:
        row.missing = row.missing or str(error)
        return
    row.seconds.setdefault(which, []).append(said["seconds"])
    row.memory = max(row.memory, said["memory"])


def _compare(rows: Sequence[Row], folder: Path, sets: Sequence[str]) -> None:
    for row in rows:
        for which in sets:
            reference = folder / f"{REFERENCES.get(row.name, 'torch')}.{which}.npy"
            own = folder / f"{row.name}.{which}.npy"
            # Texts as they come are other texts to everybody who does not clean them.
            ours = row.name.startswith("engine")
            if row.name in ("torch", "engine-torch") or (which == RAW and not ours):
                continue
            if own.is_file() and reference.is_file():
                one, other = np.load(reference), np.load(own)
                gaps = np.abs(one - other)
                same = float((one.argmax(1) == other.argmax(1)).mean())
                row.differs[which] = (float(gaps.mean()), float(gaps.max()), same)


class ChildError(Exception):
    """A contender's process ended, with the reason it gave."""


class Child:
    """A contender in its process."""

    def __init__(self, process: subprocess.Popen[str], log: IO[str]) -> None:
        self._process, self._log = process, log
        said = self._answer()
        self.ready: float = said["ready"]
        self.numbers: str = said["numbers"]

    def ask(self, **told: Any) -> dict[str, Any]:
        """One command and its answer."""
        if self._process.stdin is None:
            raise ChildError("no way to ask")
        try:
            self._process.stdin.write(json.dumps(told) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ChildError(self._last_words()) from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise ChildError(self._last_words())
        said: dict[str, Any] = json.loads(line)
        if "error" in said:
            raise ChildError(said["error"])
        return said

    def _last_words(self) -> str:
        self._process.wait()
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().splitlines() if line.strip()]
        return lines[-1][:300] if lines else f"ended with status {self._process.returncode}"


@contextmanager
def started(name: str, folder: Path) -> Iterator[Child]:
    """The process of a contender, ended at the end.

    Raises:
        ChildError: it could not be loaded.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "monitor.bench.child", name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield Child(process, log)
        finally:
            if process.stdin:
                process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()


def report(result: Result, line: Callable[[str], None], machine: str) -> None:
    """Print a comparison for people."""
    line(f"{machine}; {result.model}")
    line("measured peak: " + ", ".join(f"{name} {rate:.0f} GFLOP/s" for name, rate in result.peaks.items()))
    gpu = "none here; the GPU path was not measured" if result.gpu_peak is None else f"{result.gpu_peak:.0f} TFLOP/s"
    line(f"GPU, bfloat16: {gpu}")
    for which, count in result.texts.items():
        tokens = result.tokens[which]
        line("")
        line(f"{which}: {count} texts, {tokens / count:.1f} tokens each; median (least to most) of the rounds")
        line(f"{'':52}{'texts/s':>20} {'tokens/s':>9} {f'x {BASE}':>20} {'of peak':>8} {'MB':>6} {'start':>7}  differs")
        for row in result.rows:
            if not row.seconds.get(which):
                line(f"{row.title:52}not measured: {row.missing}")
                continue
            rate = statistics.median(result.rate(row, which))
            share = result.share(row, which)
            gap = row.differs.get(which)
            line(
                f"{row.title:52}{_spread(result.rate(row, which), '.0f'):>20} {rate * tokens / count:>9,.0f} "
                f"{_spread(result.times(row, which), '.2f'):>20} {'' if share is None else f'{share:.0%}':>8} "
                f"{row.memory:>6.0f} {row.start:>6.1f}s  "
                + ("" if gap is None else f"{gap[0]:.4f} mean, {gap[1]:.3f} most, {gap[2]:.1%} labels equal")
            )
    line("")
    line(f"making the engine's graph, at the very first start only: {result.made_ready:.1f} s")


def _spread(values: Sequence[float], form: str) -> str:
    if not values:
        return ""
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


__all__ = ["BASE", "Prepared", "Result", "Row", "measure", "report"]
