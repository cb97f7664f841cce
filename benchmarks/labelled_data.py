"""How long a large labelled file takes from disk to what a run would teach, and how much memory.

    python benchmarks/labelled_data.py [--rows 1000000]

Writes a file of random words into a temporary folder, reads it, looks for contradicting copies, drops copies and near
copies. Prints one JSON object: seconds of each step and the peak of memory after it.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.data.doubles import conflicts, without_doubles
from training.data.near import first_copies, marked
from training.data.reading import read_examples

LABELS = ("negative", "neutral", "positive")


def write(path: Path, rows: int) -> None:
    """A JSON-lines file of texts of 6 to 18 words out of 20,000."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(3, 9))) for _ in range(20_000)]
    with path.open("w", encoding="utf-8") as out:
        for _ in range(rows):
            text = " ".join(draw.choices(words, k=draw.randint(6, 18)))
            out.write(json.dumps({"text": text, "lang": "en", "sentiment": draw.choice(LABELS)}) + "\n")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    steps: dict[str, dict[str, float]] = {}

    def measured(name: str, work: Callable[[], list[Any]]) -> list[Any]:
        started = time.perf_counter()
        found = work()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        steps[name] = {"seconds": round(time.perf_counter() - started, 1), "peak_mb": peak, "found": len(found)}
        return found

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.jsonl"
        write(path, rows)
        examples = measured("read", lambda: read_examples(path))
        measured("conflicts", lambda: conflicts(examples))
        single = measured("copies", lambda: without_doubles(examples))
        measured("near copies", lambda: first_copies(marked([row.text for row in single])))
    print(json.dumps({"rows": rows, **steps}))


if __name__ == "__main__":
    main()
