"""Every way of teaching on the same texts: accuracy, weights that learn, time, memory.

    python benchmarks/tuning.py --data DATA [--texts 2000] [--epochs 2] [--encoder NAME] [--only "lora, FGM" …] [--json]

Reads `tfns.train.jsonl.gz` and `tfns.test.jsonl.gz` (or --train, --test) in the folder DATA. Each method runs in a
process of its own, so that its peak memory is its own; seconds are those of teaching alone. The rates are the usual
ones of each method, not tuned for these texts. Prints a Markdown table, or one JSON object a method.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
LORA = {"tuning": {"method": "lora"}, "schedule": {"rate": 6e-4}}
FULL = {"tuning": {"method": "full"}, "schedule": {"rate": 1e-4}}
METHODS: dict[str, dict[str, dict[str, Any]]] = {
    "heads alone": {"tuning": {"method": "heads"}},
    "full": FULL,
    "full, layer decay 0.8": {"tuning": FULL["tuning"], "schedule": {"rate": 2e-4, "layer_decay": 0.8}},
    "lora": LORA,
    "adalora": {"tuning": {"method": "adalora"}, "schedule": {"rate": 2e-3}},
    "ia3": {"tuning": {"method": "ia3"}, "schedule": {"rate": 5e-3}},
    "prefix": {"tuning": {"method": "prefix"}, "schedule": {"rate": 5e-3}},
    "prompt": {"tuning": {"method": "prompt"}, "schedule": {"rate": 5e-3}},
    "lora, focal loss": {**LORA, "loss": {"kind": "focal"}},
    "lora, class weights": {**LORA, "loss": {"class_weights": "balanced"}},
    "lora, R-Drop": {**LORA, "loss": {"rdrop": 1.0}},
    "lora, FGM": {**LORA, "loss": {"adversarial": 0.05}},
}


def taught(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Teach by one method in this process, and measure."""
    sys.path.insert(0, str(ROOT))
    import random

    from monitor.understand.encoders import load_tokenizer
    from training.bases import base_for
    from training.data.doubles import without_doubles
    from training.data.reading import read_examples
    from training.data.splits import held_out
    from training.finetune import Lesson, fine_tune, looked_at
    from training.recipe import Recipe
    from training.rows import Rows
    from training.tuning import counts

    logging.disable(logging.WARNING)
    sections = METHODS[name]
    schedule = {"epochs": given.epochs, "precision": "fp32", "seed": given.seed, **sections.get("schedule", {})}
    recipe = Recipe.model_validate(
        {
            "name": "tuning",
            "version": "0.0.0",
            "kind": "encoder",
            "languages": ["en"],
            "train": [{"file": given.train, "origin": "", "licence": ""}],
            "encoder": {"name": given.encoder},
            **sections,
            "schedule": schedule,
        }
    )
    rows = without_doubles(read_examples(given.data / given.train))
    if given.texts:
        rows = random.Random(given.seed).sample(rows, min(given.texts, len(rows)))
    test = read_examples(given.data / given.test)
    part, held = held_out(rows, recipe.held_out)
    with tempfile.TemporaryDirectory() as folder:
        base = base_for(recipe, rows, Path(folder))
        begun = time.perf_counter()
        topics = sorted({topic for row in part for topic in row.topics or ()}) or ["none"]
        network = fine_tune(recipe, Lesson(part, held, topics), base.folder, Path(folder))
        seconds = time.perf_counter() - begun
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size = counts(network)
        found = looked_at(network, Rows(test, topics, load_tokenizer(base.folder), recipe.schedule.max_tokens))
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.max_memory_allocated() / 2**20
    return {
        "method": name,
        "accuracy": round(found["sentiment_accuracy"], 4),
        "macro_f1": round(found["sentiment_macro_f1"], 4),
        "learn": size["learn"],
        "weights": size["weights"],
        "seconds": round(seconds, 1),
        "megabytes": round(memory),
        "texts": len(part),
        "epochs": given.epochs,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {os.cpu_count()} cores",
    }


def main() -> None:
    """Run every method and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--train", default="tfns.train.jsonl.gz")
    parser.add_argument("--test", default="tfns.test.jsonl.gz")
    parser.add_argument("--encoder", default=ENCODER)
    parser.add_argument("--texts", type=int, default=2000, help="texts taken at random; 0: all")
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--only", action="append", help="a method; may be given several times")
    parser.add_argument("--json", action="store_true", help="one JSON object a method")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(taught(given.one, given)))
        return
    wanted = given.only or list(METHODS)
    unknown = [name for name in wanted if name not in METHODS]
    if unknown:
        parser.error(f"there is no method {unknown[0]!r}; there are {', '.join(METHODS)}")
    if not given.json:
        print("| method | accuracy | macro-F1 | weights that learn | seconds | peak memory, MB |")
        print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for name in wanted:
        done = subprocess.run([sys.executable, *sys.argv, "--one", name], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(f"tuning: {name} failed, see above")
        row = json.loads(done.stdout.splitlines()[-1])
        if given.json:
            print(json.dumps(row), flush=True)
        else:
            share = row["learn"] / row["weights"]
            print(
                f"| {name} | {row['accuracy']:.4f} | {row['macro_f1']:.4f} | {row['learn']:,} ({share:.1%}) "
                f"| {row['seconds']:.0f} | {row['megabytes']:,} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
