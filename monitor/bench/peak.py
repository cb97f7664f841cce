"""How many operations a second this machine's matrix units reach in each number format: the yardstick for an engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from monitor.cores import cores

ROWS, INNER, COLUMNS = 512, 384, 1_536
SECONDS = 0.6
"""How long each format is measured."""


def peaks(threads: int = 0) -> dict[str, float]:
    """GFLOP/s (two operations a multiplication and addition) by number format, over all cores.

    Products of the shape of an encoder's largest layer, one thread each, as many at a time as there are cores; the
    best of several stretches, since a peak is what can be reached at all. A format that is missing cannot be had here.
    """
    import torch

    torch.set_num_threads(1)
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    found = {name: _rate(_linear(kind), threads or cores()) for name, kind in kinds.items()}
    small = torch.randint(-127, 127, (ROWS, INNER), dtype=torch.int8)
    other = torch.randint(-127, 127, (INNER, COLUMNS), dtype=torch.int8)
    found["int8"] = _rate(lambda: torch._int_mm(small, other), threads or cores())
    return found


def gpu_peak() -> float | None:
    """TFLOP/s of bfloat16 products on the first GPU; None where there is none."""
    import torch

    if not torch.cuda.is_available():
        return None
    size = 8_192
    left, right = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    best = 0.0
    for _ in range(5):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(10):
            left @ right
        torch.cuda.synchronize()
        best = max(best, 10 * 2 * size**3 / (time.perf_counter() - begun))
    return best / 1e12


def _linear(kind: Any) -> Callable[[], object]:
    """The product as the engine computes it: by oneDNN with weights laid out ahead, where that is to be had."""
    import torch

    from monitor.understand.runtimes.onednn import pack

    network = torch.nn.Sequential(torch.nn.Linear(INNER, COLUMNS)).to(kind)
    pack(network, ROWS)
    values = torch.randn(ROWS, INNER, dtype=kind)
    return lambda: network(values)


def _rate(product: Callable[[], object], threads: int) -> float:
    import torch

    counts = [0] * threads
    best = 0.0
    with torch.inference_mode():
        product()
    for _ in range(3):
        over = threading.Event()

        def work(place: int, over: threading.Event = over) -> None:
            with torch.inference_mode():
                while not over.is_set():
                    product()
                    counts[place] += 1

        counts[:] = [0] * threads
        workers = [threading.Thread(target=work, args=(place,)) for place in range(threads)]
        begun = time.perf_counter()
        for worker in workers:
            worker.start()
        over.wait(SECONDS / 3)
        over.set()
        for worker in workers:
            worker.join()
        best = max(best, sum(counts) * 2 * ROWS * INNER * COLUMNS / (time.perf_counter() - begun))
    return best / 1e9
