"""Speed: what a bundle costs on this machine, measured in a process of its own.

python -m training.evaluation.speed FOLDER < texts (one JSON string a line)
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitor.cores import cores
from monitor.errors import BundleError

ENOUGH = 1000
"""Texts that are timed at most."""
LONGEST = 600.0  # seconds until the measurement is given up


def speed_report(folder: Path, texts: Sequence[str]) -> dict[str, Any]:
    """Start a fresh process that loads the bundle and reads `texts`.

    `texts`, `texts_per_second`, `tokens_per_second` (None for a bundle without tokens), `characters_per_second`,
    `start_seconds` (until the first answer, libraries included), `peak_megabytes` (of resident memory), `device` and
    `cores` (those the process may use).

    Raises:
        BundleError: the process failed, or could not be started.
    """
    given = "\n".join(json.dumps(text) for text in texts[:ENOUGH])
    try:
        done = subprocess.run(  # noqa: S603 - our own module, no shell
            [sys.executable, "-m", "training.evaluation.speed", str(folder.absolute())],
            input=given,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
            cwd=Path(__file__).parents[2],
        )
    except subprocess.TimeoutExpired:
        raise BundleError(f"{folder}: its speed could not be measured in {LONGEST:.0f} s; use --quick") from None
    except OSError as error:
        raise BundleError(f"{folder}: its speed could not be measured: {error.strerror}") from None
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise BundleError(f"{folder}: its speed could not be measured: {last[0]}")
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise BundleError(f"{folder}: its speed could not be measured: {done.stdout[:200]!r}") from None
    return found


def _main(folder: Path) -> None:
    started = time.perf_counter()
    from monitor.understand.bundle import load_bundle

    texts = [json.loads(line) for line in sys.stdin if line.strip()]
    bundle = load_bundle(folder)
    bundle.probabilities(texts[:1])
    ready = time.perf_counter()
    bundle.probabilities(texts[:64])  # pages and caches are warm from here on
    begun = time.perf_counter()
    bundle.probabilities(texts)
    seconds = time.perf_counter() - begun
    count = getattr(bundle.runtime, "tokens", None)
    tokens = None if count is None else count(texts)
    torch = sys.modules.get("torch")
    print(
        json.dumps(
            {
                "texts": len(texts),
                "texts_per_second": round(len(texts) / seconds, 1),
                "tokens_per_second": None if tokens is None else round(tokens / seconds, 1),
                "characters_per_second": round(sum(map(len, texts)) / seconds, 1),
                "start_seconds": round(ready - started, 2),
                "peak_megabytes": _peak(),
                "device": "cuda" if torch is not None and torch.cuda.is_available() else "cpu",
                "cores": cores(),
            }
        )
    )


def _peak() -> float:
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (2**20 if sys.platform == "darwin" else 2**10), 1)  # bytes there, kilobytes here


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
