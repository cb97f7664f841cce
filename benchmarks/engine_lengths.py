"""Speed of the engine by the length of texts and by how many are asked about at a time, as a table and a picture.

    python benchmarks/engine_lengths.py --out docs/engine-lengths.png

Each cell is the best of three runs over texts of one length, none like another.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

from monitor.bench.texts import texts_of
from monitor.settings import load
from monitor.understand.encoders import find_encoder, load_tokenizer
from monitor.understand.engine import Engine
from monitor.understand.manifest import read_manifest

LENGTHS = (8, 16, 32, 64, 120, 300, 1000)
BATCHES = (1, 8, 64, 512)
TOKENS = 12_000  # of one run


def of_length(words: list[str], tokens: int, count: int, chance: random.Random) -> list[str]:
    """Texts of about so many tokens; most words of the list are one or two."""
    return [" ".join(chance.choices(words, k=max(1, tokens * 3 // 4))) for _ in range(count)]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="picture (png, svg or pdf)")
    parser.add_argument("--model", choices=["full", "fast"], default="full")
    told = parser.parse_args()
    settings = load(overrides={"engine.model": told.model, "engine.cache": "0"}).settings
    engine = Engine(settings.engine)
    (bundle,) = (bundle for seat, bundle in engine.seats if "en" in seat.languages)
    described = read_manifest(bundle.folder).encoder
    base = bundle.folder
    if described is not None and described.form != "whole":
        base = find_encoder(described.source, beside=bundle.folder)
    tokenizer = load_tokenizer(base)
    words = " ".join(texts_of(None, "en", tokenizer, 200, 0)["cleaned"]).split()
    chance = random.Random(5)
    rates: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    print(f"{'tokens':>8}" + "".join(f"{f'{batch} at a time':>16}" for batch in BATCHES) + "   (tokens/s)")
    for length in LENGTHS:
        count = max(8, min(1_024, TOKENS // length))
        texts = of_length(words, length, count, chance)
        read = sum(len(found.ids) for found in tokenizer.encode_batch(texts))
        for batch in BATCHES:
            best = float("inf")
            for _ in range(3):
                begun = time.perf_counter()
                for begin in range(0, count, batch):
                    part = texts[begin : begin + batch]
                    engine.score(part, ["en"] * len(part))
                best = min(best, time.perf_counter() - begun)
            rates[batch].append(read / best)
        print(f"{read / count:>8.0f}" + "".join(f"{rates[batch][-1]:>16,.0f}" for batch in BATCHES), flush=True)
    if told.out:
        draw(rates, told.out)


def draw(rates: dict[int, list[float]], out: Path) -> None:
    """The picture: a line a batch size."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for batch, line in rates.items():
        axes.plot(LENGTHS, line, marker="o", markersize=4, label=f"{batch} at a time")
    axes.set_xscale("log", base=2)
    axes.set_xticks(LENGTHS, [str(length) for length in LENGTHS])
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("tokens of a text (about)")
    axes.set_ylabel("tokens a second")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(title="texts", fontsize=8, title_fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(out, dpi=130)


if __name__ == "__main__":
    main()
