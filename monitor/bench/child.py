"""The process of one contender: loads it, then runs what it is told, line by line (JSON in, JSON out).

A process each, so that start-up and peak memory are its own and libraries do not fight for threads. It waits silently
while others are measured.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from monitor.bench.memory import peak_megabytes

STARTED = time.perf_counter()


def main() -> None:
    """`python -m monitor.bench.child NAME FOLDER`."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        _serve(name, folder, answers)
    except Exception as error:
        _say(answers, error=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        sys.exit(1)


def _serve(name: str, folder: Path, answers: TextIO) -> None:
    import numpy as np

    from monitor.bench.contenders import make
    from monitor.bench.contenders.plain_torch import told_of

    texts: dict[str, list[str]] = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    contender = make(name, folder, told_of(folder))
    contender.sentiment(["a"])
    _say(answers, ready=time.perf_counter() - STARTED, numbers=contender.numbers)
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        part = texts[asked["set"]]
        begun = time.perf_counter()
        found = contender.sentiment(part)
        seconds = time.perf_counter() - begun
        if asked.get("keep"):
            np.save(folder / f"{name}.{asked['set']}.npy", found)
        _say(answers, seconds=seconds, memory=peak_megabytes())


def _say(answers: TextIO, **said: Any) -> None:
    answers.write(json.dumps(said) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
