"""OpenVINO on the CPU: weights in 8 bits, activations quantised on the fly, token by token.

Batch invariance. A pass holds windows of exactly one length, so nothing is padded and no window sees another. Each
token's activations are scaled by their own largest value, and products of 8-bit integers add up exactly in whatever
order a kernel takes them; so how many windows share a pass changes no bit, and no pass is filled up.

Each pass runs on one thread (a stream), and as many run at a time as there are threads.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.cores import cores

TOKENS = 512
"""Tokens of a pass at most, unless one window has more: more is not faster, and shares the work less evenly."""


_FIRST = threading.Lock()


@lru_cache(maxsize=1)
def core() -> Any:
    """OpenVINO's own state, one for the whole process and never given up.

    It lays an alternate stack for signals under the thread that makes it, and takes its memory back when it goes, maybe
    by another thread: the next signal would then end the process.
    """
    import openvino

    return openvino.Core()


class OpenVinoBackend:
    """A converted graph (`conversion.py`): token ids (windows, length) to pooled states (windows, hidden).

    Args:
        graph: an `openvino.Model` or the path of one (`.xml`).
        threads: passes computed at a time; 0: as many as there are cores.
    """

    def __init__(self, graph: Any, *, threads: int) -> None:
        count = threads or cores()
        model = core().read_model(graph) if isinstance(graph, Path) else graph
        self.hidden = int(model.output(0).get_partial_shape()[1].get_length())
        self._compiled = core().compile_model(
            model,
            "CPU",
            {
                "NUM_STREAMS": count,
                "INFERENCE_NUM_THREADS": count,
                # One scale a token: groups as long as a state. A wider layer has several.
                "DYNAMIC_QUANTIZATION_GROUP_SIZE": self.hidden,
                # Two busy processes would fight for the cores they both were pinned to.
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._own = threading.local()
        with _FIRST:
            # What OpenVINO's Python part makes at the first use of each of its functions it makes under a lock of its
            # own, which one thread waits for while it holds Python's, and the other the other way round: for good.
            self._forward(np.zeros((1, 2), np.int64))
        self._workers = ThreadPoolExecutor(count, thread_name_prefix="engine")

    def pooled(self, windows: Sequence[tuple[int, ...]]) -> NDArray[np.float32]:
        """Pooled states (windows, hidden) of framed token ids."""
        pooled = np.empty((len(windows), self.hidden), np.float32)
        parts = list(passes([len(window) for window in windows]))
        batches = (np.array([windows[index] for index in part], np.int64) for part in parts)
        for part, states in zip(parts, self._workers.map(self._forward, batches), strict=True):
            pooled[part] = states
        return pooled

    def _forward(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._compiled.create_infer_request()
        states: NDArray[np.float32] = request.infer([ids])[0].copy()
        return states


def passes(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Which windows share a pass: those of one length, the longest first so that no thread is left with one at the end.

    A pass has 1, 2, 4, 8 … windows: OpenVINO makes kernels for every shape it meets and keeps them, so the fewer shapes
    there are, the sooner all are made and the less memory they take.

    >>> list(passes([3, 5, 3, 3]))
    [[1], [0, 2], [3]]
    """
    alike: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        alike.setdefault(length, []).append(index)
    for length, members in sorted(alike.items(), reverse=True):
        most = max(1, TOKENS // length)
        while members:
            rows = 1 << (min(len(members), most).bit_length() - 1)
            yield members[:rows]
            members = members[rows:]
