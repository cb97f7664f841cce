"""Runs that are killed go on as if nothing had happened, and several processes can share one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from monitor.understand.bundle import load_bundle
from tests.integration.test_training import write_labels, write_recipe
from tests.unit.models import make_encoder

ROOT = Path(__file__).parents[2]
NOISE = 1e-3
"""What the metrics of a run that was killed may differ by from those of an unbroken one. On one kind of processor with
the same number of threads they are the same; with others sums are added up in another order."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_labels(tmp_path / "train.jsonl", count=400, seed=1)
    write_labels(tmp_path / "test.jsonl", count=100, seed=2)
    make_encoder(tmp_path / "encoder")
    return tmp_path


def command(data: Path, out: Path, *settings: str) -> list[str]:
    plan = (
        f'kind = "encoder"\n[encoder]\nname = "{data / "encoder"}"\nmax_tokens = 64\n'
        "[schedule]\nepochs = 4\nbatch = 8\nrate = 4e-3\nhead_rate = 2e-2\nheld_out = 0.15\nmax_tokens = 48\n"
        'precision = "fp32"\nthreads = 1\nchecks = 3\n[tuning]\nrank = 4\n[pretrain]\nepochs = 2\nrate = 5e-4\n'
        "[augment]\nnumbers = 0.5\ncasing = 0.3\ntypos = 0.5\n"
    )
    recipe = write_recipe(data, plan)
    words = ["train", str(recipe), "--data", str(data), "--out", str(out)]
    for setting in settings:
        words += ["--set", setting]
    return ["-m", "monitor.cli", *words]


def started(arguments: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ.copy()
    )


def killed_when(process: subprocess.Popen[bytes], out: Path, pattern: str) -> None:
    """Kill a process, as the kernel does, once a checkpoint is on disk."""
    deadline = time.monotonic() + 240
    while not list(out.with_name(out.name + ".run").glob(pattern)):
        assert process.poll() is None, (process.stderr.read() if process.stderr else b"").decode()[-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_killed_run_ends_as_an_unbroken_one(data: Path, method: str) -> None:
    settings = [f"tuning.method={method}"]
    whole, broken = data / "whole", data / "broken"
    subprocess.run([sys.executable, *command(data, whole, *settings)], cwd=ROOT, check=True, capture_output=True)
    arguments = command(data, broken, *settings)
    killed_when(started(arguments), broken, "*/pretraining/checkpoint-*/complete")
    killed_when(started(arguments), broken, "*/checkpoints/checkpoint-*/complete")
    # Not the first checkpoint: one in the middle of a later epoch.
    killed_when(started(arguments), broken, "*/checkpoints/checkpoint-[7-9]*/complete")
    assert not broken.exists()
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    assert "goes on from" in done.stderr
    one, other = (json.loads((folder / "bundle.json").read_text(encoding="utf-8")) for folder in (whole, broken))
    for file, numbers in one["metrics"].items():
        for name, value in numbers.items():
            assert other["metrics"][file][name] == pytest.approx(value, abs=NOISE), (file, name)
    weights, others = (load_file(folder / "weights.safetensors") for folder in (whole, broken))
    assert all(np.array_equal(weights[name], others[name]) for name in weights)


def test_two_processes_teach_one_bundle(data: Path) -> None:
    out = data / "shared"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launch, *command(data, out, "schedule.epochs=3", "pretrain.epochs=1", "schedule.batch=4")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("small@0.0.1 is in") == 1
    bundle = load_bundle(out, device="cpu")
    assert bundle.manifest.metrics["test.jsonl"]["sentiment_accuracy"] > 0.6
    assert not out.with_name("shared.run").exists()
