"""Checkpoints of a run: only those that were written to their end count."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

_COMPLETE = "complete"
_NAME = re.compile(r"checkpoint-(\d+)")


class Complete(TrainerCallback):
    """Marks a checkpoint when all of it is on disk. Must be the last of a Trainer's callbacks."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and folder.is_dir():
            (folder / _COMPLETE).touch()


def last_complete(folder: Path) -> Path | None:
    """The latest whole checkpoint in a folder; None if there is none. Later ones, cut off in writing, are removed."""
    found = {int(match[1]): path for path in folder.glob("checkpoint-*") if (match := _NAME.fullmatch(path.name))}
    for step in sorted(found, reverse=True):
        if (found[step] / _COMPLETE).is_file():
            return found[step]
        shutil.rmtree(found[step], ignore_errors=True)
    return None
