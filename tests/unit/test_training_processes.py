"""What a process of a training run takes of its machine."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from training import processes


def test_threads_are_the_cores_a_process_may_use_shared_with_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    cores = os.sched_getaffinity(0)
    assert processes.threads() == len(cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert processes.threads() == max(1, len(cores) // 2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(4 * len(cores)))
    assert processes.threads() == 1
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    os.sched_setaffinity(0, {min(cores)})
    try:
        assert processes.threads() == 1
    finally:
        os.sched_setaffinity(0, cores)


def test_one_process_keeps_to_one_gpu_and_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from transformers import TrainingArguments

    caplog.set_level(logging.INFO)
    for _ in range(2):
        arguments = TrainingArguments(
            output_dir=str(tmp_path), per_device_train_batch_size=3, use_cpu=True, report_to=[]
        )
        arguments._n_gpu = 5  # what it finds on a machine with five
        assert arguments.train_batch_size == 15
        assert processes.on_one_gpu(arguments).n_gpu == 1
        assert arguments.train_batch_size == 3
    said = [record.message for record in caplog.records if "GPUs" in record.message]
    assert said == ["one of 5 GPUs is used; start with `accelerate launch` or torchrun to use the others"]
    arguments._n_gpu = 0
    assert processes.on_one_gpu(arguments).n_gpu == 0
