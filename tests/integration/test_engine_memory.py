"""Nothing is kept of a text but what the score cache may keep: memory is flat however many texts pass."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.unit.models import WORDS, make_bundle, make_encoder

CODE = """
    import random, sys
    from pathlib import Path
    from monitor.settings import EngineSettings
    from monitor.understand.engine import Engine

    def held():
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

    bundle, words = Path(sys.argv[1]), sys.argv[2].split(",")
    engine = Engine(EngineSettings(bundles=[bundle], device="cpu", threads=2, cache=2_000))
    chance = random.Random(3)
    for done in range(0, 100_000, 500):
        if done in (20_000, 99_500):
            print(held())
        texts = [" ".join(chance.choices(words, k=chance.randint(1, 25))) + f" {n}" for n in range(done, done + 500)]
        engine.score(texts, ["en"] * 500)
"""


def test_memory_is_flat_over_a_hundred_thousand_texts(tmp_path: Path) -> None:
    """As `benchmarks/engine_memory.py` shows of a million with the models that ship."""
    bundle = make_bundle(tmp_path / "bundle", make_encoder(tmp_path / "encoder"))
    command = [sys.executable, "-c", textwrap.dedent(CODE), str(bundle), ",".join(WORDS)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    early, late = map(float, said)
    # 80,000 texts at a kilobyte each would be 80 MB.
    assert late - early < 25, (early, late)


def test_texts_of_the_benchmark_are_all_different() -> None:
    import runpy

    text = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "engine_memory.py"))["text"]
    chance = random.Random(1)
    assert len({text(number, chance) for number in range(5_000)}) == 5_000
