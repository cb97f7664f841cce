"""In which number format a device multiplies fastest without spoiling what is learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from monitor.errors import InputError

_CPU_INFO = Path("/proc/cpuinfo")
_OWN_BF16 = ("avx512_bf16", "amx_bf16", " bf16")
"""What Linux calls a processor's own bfloat16 products (x86, x86, Arm)."""


def products(precision: str) -> dict[str, Any]:
    """TrainingArguments' `bf16` and `fp16` for a recipe's `schedule.precision`.

    A processor without bfloat16 of its own emulates it: the same step took 18 times as long as in float32 on one with
    AVX2 alone. So `auto` is bf16 only where the device has it.

    Raises:
        InputError: there is no GPU and fp16 was asked for, which no CPU has.
    """
    if precision == "fp16" and not torch.cuda.is_available():
        raise InputError("schedule.precision: fp16 needs a GPU; on this machine use bf16 or auto")
    if precision == "auto":
        precision = "bf16" if _has_bf16() else "fp32"
    return {"bf16": precision == "bf16", "fp16": precision == "fp16"}


def _has_bf16() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        flags = _CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(flag in flags for flag in _OWN_BF16)
