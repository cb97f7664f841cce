"""Memory of the engine over many texts, none like another: `python benchmarks/engine_memory.py --texts 1000000`.

Every so many texts a line: texts so far, texts a second, megabytes held. Flat means that nothing is kept of a text.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

from monitor.settings import load
from monitor.understand.engine import Engine

WORDS = ["bank", "profit", "loss", "shares", "oil", "deal", "fraud", "record", "quarter", "bond", "market", "rises"]
WORDS += [
    "falls",
    "guidance",
    "outlook",
    "merger",
    "dividend",
    "chipmaker",
    "regulator",
    "lawsuit",
    "default",
    "yields",
]


def megabytes() -> float:
    """Resident memory of this process now."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this needs Linux' /proc")


def text(number: int, chance: random.Random) -> str:
    """A text that no other number gives, of the length of a tweet."""
    return f"{' '.join(chance.choices(WORDS, k=chance.randint(4, 40)))} {number}"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--every", type=int, default=50_000)
    parser.add_argument("--model", choices=["full", "fast"], default="fast")
    told = parser.parse_args()
    settings = load(overrides={"engine.model": told.model}).settings
    engine = Engine(settings.engine)
    chance = random.Random(1)
    begun, before = time.perf_counter(), 0
    for done in range(0, told.texts, told.batch):
        if done - before >= told.every:
            rate = (done - before) / (time.perf_counter() - begun)
            print(f"{done:>9,} texts  {rate:7.0f} texts/s  {megabytes():7.1f} MB", flush=True)
            begun, before = time.perf_counter(), done
        engine.score([text(number, chance) for number in range(done, done + told.batch)], ["en"] * told.batch)
    print(f"{told.texts:>9,} texts  {'':7}          {megabytes():7.1f} MB")


if __name__ == "__main__":
    main()
