"""Several processes at one run (`accelerate launch`, `torchrun`): which one writes, and who waits for whom."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def several() -> bool:
    """Whether this process was launched as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def first() -> bool:
    """Whether this process is the one that writes."""
    return int(os.environ.get("RANK", "0")) == 0


def count() -> int:
    """How many processes share the run."""
    return max(1, int(os.environ.get("WORLD_SIZE", "1")))


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
