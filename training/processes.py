"""Several processes at one run (`accelerate launch`, `torchrun`): who writes, who waits for whom, what each has."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

from monitor.cores import cores

log = logging.getLogger(__name__)


def several() -> bool:
    """Whether this process was launched as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def first() -> bool:
    """Whether this process is the one that writes."""
    return int(os.environ.get("RANK", "0")) == 0


def count() -> int:
    """How many processes share the run."""
    return max(1, int(os.environ.get("WORLD_SIZE", "1")))


def threads() -> int:
    """CPU threads for this process: the cores it may use, shared with the other processes of this machine."""
    return max(1, cores() // max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def on_one_gpu(arguments: Any) -> Any:
    """TrainingArguments that keep this process to one GPU: of several, Trainer would make one slow DataParallel."""
    if arguments.n_gpu > 1:
        _tell(arguments.n_gpu)
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


@cache
def _tell(gpus: int) -> None:
    log.info("one of %d GPUs is used; start with `accelerate launch` or torchrun to use the others", gpus)


def wait() -> None:
    """Go on when all processes are here."""
    if several():
        from accelerate import PartialState

        PartialState().wait_for_everyone()


@contextmanager
def in_turn() -> Iterator[None]:
    """What is made within is made by the first process; the others come after it and find it made."""
    if not several():
        yield
        return
    from accelerate import PartialState

    with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
        yield


def end_unless_first() -> None:
    """End this process here, with success, if it only helped."""
    if not several():
        return
    from accelerate import PartialState

    state = PartialState()
    state.wait_for_everyone()
    state.destroy_process_group()
    if not first():
        raise SystemExit(0)
