"""How much of a machine this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def cores() -> int:
    """The processors this process may use: those of its affinity, and no more than a container's quota lets it."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = quota()
    # More threads than that would be stopped for most of each tenth of a second, all at the same time.
    return own if allowed is None else max(1, min(own, math.ceil(allowed)))


def quota(cgroup: Path = _CGROUP) -> float | None:
    """The processors' worth of time that Linux' control groups grant; None where there is no limit.

    Args:
        cgroup: where they are mounted; version 2 has `cpu.max` there, version 1 two files in `cpu`.
    """
    try:
        most, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
        return None if most == "max" else int(most) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        pass
    try:
        files = [cgroup / "cpu" / f"cpu.cfs_{name}_us" for name in ("quota", "period")]
        most_us, period_us = (int(file.read_text(encoding="ascii")) for file in files)
        return None if most_us < 0 else most_us / period_us
    except (OSError, ValueError, ZeroDivisionError):
        return None
