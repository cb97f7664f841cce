"""What every run of `transformers.Trainer` here is told alike: device, number format, record, seed."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from training import processes
from training.precision import products
from training.recipe import Schedule


def arguments(schedule: Schedule, record: Path, **own: Any) -> Any:
    """TrainingArguments for a run.

    Args:
        record: the folder of TensorBoard's record.
        own: what is this run's own.
    """
    from transformers import TrainingArguments

    os.environ["TENSORBOARD_LOGGING_DIR"] = str(record)
    gpu = torch.cuda.is_available()
    return processes.on_one_gpu(
        TrainingArguments(
            **products(schedule.precision),
            use_cpu=not gpu,
            dataloader_pin_memory=gpu,
            remove_unused_columns=False,
            report_to=reporters(),
            seed=schedule.seed,
            warmup_steps=schedule.warmup,
            weight_decay=schedule.weight_decay,
            **own,
        )
    )


def reporters() -> list[str]:
    """TensorBoard, and Weights & Biases where it is installed and an account is set."""
    wanted = ["tensorboard"]
    mode = os.environ.get("WANDB_MODE", "online")
    if find_spec("wandb") and (mode == "offline" or (mode != "disabled" and os.environ.get("WANDB_API_KEY"))):
        wanted.append("wandb")
    return wanted
