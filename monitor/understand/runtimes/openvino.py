"""OpenVINO on the CPU: weights in 8 bits, activations quantised on the fly, token by token.

Batch invariance. A pass holds windows laid end to end; for attention each has a row of its own, which is filled up to
a multiple of 16 slots with tokens that it does not see. Each token's activations are scaled by their own largest
value, and products of 8-bit integers add up exactly in whatever order a kernel takes them; so what shares a pass
changes no bit. A network that is not laid out as BERT gets windows of exactly one length in a pass, nothing padded.

Each pass runs on one thread (a stream), and as many run at a time as there are threads.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.cores import cores
from monitor.understand.runtimes.laying import laid
from monitor.understand.runtimes.rounds import alike, packed

TOKENS = 512
"""Tokens of a pass at most, unless one window has more: more is not faster, and shares the work less evenly."""
_STEP, _SMALL = 64, 16
"""The tokens of a pass are filled up to a multiple of the first, a small one's of the second: few shapes."""
_ALIKE = 4
"""A slot costs about a sixth of a token: a window a quarter as long as its row brings more than the row costs, one a
tenth as long does not."""

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
        self._threads = count
        self._packed = len(model.inputs) > 1
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
            self._forward([(0, 0)])
        self._workers = ThreadPoolExecutor(count, thread_name_prefix="engine")

    def pooled(self, windows: Sequence[tuple[int, ...]]) -> NDArray[np.float32]:
        """Pooled states (windows, hidden) of framed token ids."""
        found = np.empty((len(windows), self.hidden), np.float32)
        lengths = [len(window) for window in windows]
        if self._packed:
            parts = list(packed(lengths, tokens_each(sum(lengths), self._threads), _ALIKE))
        else:
            parts = list(alike(lengths, TOKENS))
        chosen = ([windows[index] for index in part] for part in parts)
        for part, states in zip(parts, self._workers.map(self._forward, chosen), strict=True):
            found[part] = states
        return found

    def _forward(self, windows: Sequence[tuple[int, ...]]) -> NDArray[np.float32]:
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._compiled.create_infer_request()
        if self._packed:
            count = sum(map(len, windows))
            step = _STEP if count > _STEP else _SMALL
            inputs = laid(windows, -(-count // step) * step)
        else:
            inputs = [np.array(windows, np.int64)]
        states: NDArray[np.float32] = request.infer(inputs)[0].copy()
        return states


def tokens_each(count: int, threads: int) -> int:
    """Tokens of each pass where there are so many in all: as even a share for each thread as may be, TOKENS at most."""
    passes = -(-count // (TOKENS * threads)) * threads
    return min(TOKENS, -(-count // (max(1, passes) * _STEP)) * _STEP)
