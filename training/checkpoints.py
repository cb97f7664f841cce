"""Checkpoints of a run: only those that are whole count, and patience goes on where they stopped."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from training import processes
from training.placing import placed

_COMPLETE = "complete"
_NAME = re.compile(r"checkpoint-(\d+)")


class Complete(TrainerCallback):
    """Marks a checkpoint when all of it is on disk, by its files and their sizes: it may be cut off in deletion, too.

    Must be the last of a Trainer's callbacks.
    """

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        processes.wait()  # each writes its own random state
        if state.is_world_process_zero and folder.is_dir():
            files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != _COMPLETE]
            sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
            with placed(folder / _COMPLETE) as part:
                part.write_text(json.dumps(sizes), encoding="utf-8")


class Patience(TrainerCallback):
    """Ends a run after so many looks without gain. They are counted in the record that checkpoints hold, so a run that
    goes on counts on; transformers' own callback would begin again."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        self._decide(state, control)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        self._decide(state, control)

    def _decide(self, state: Any, control: Any) -> None:
        scores = [row["eval_score"] for row in state.log_history if "eval_score" in row]
        if scores and len(scores) - 1 - scores.index(max(scores)) >= self._looks:
            control.should_training_stop = True


def last_complete(folder: Path) -> Path | None:
    """The latest whole checkpoint in a folder; None if there is none. Later ones, cut off, are removed."""
    found = {int(match[1]): path for path in folder.glob("checkpoint-*") if (match := _NAME.fullmatch(path.name))}
    for step in sorted(found, reverse=True):
        if _is_whole(found[step]):
            return found[step]
        shutil.rmtree(found[step], ignore_errors=True)
    return None


def _is_whole(checkpoint: Path) -> bool:
    try:
        sizes = json.loads((checkpoint / _COMPLETE).read_text(encoding="utf-8"))
        return all((checkpoint / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False
