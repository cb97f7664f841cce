"""GPUs: bfloat16, windows packed without padding, one CUDA graph a device.

Batch invariance. Every pass has the same shape: so many tokens and so many windows, what is missing filled with empty
windows. A kernel is chosen by the shape, and each window is computed by itself within it; so a text's bits depend on
the text, the kind of GPU and `engine.tokens` alone.

Passes are recorded once as a CUDA graph, so that launching them costs nothing; token ids go to the device from pinned
memory while the pass before is computed. Several GPUs hold a copy of the network each and take the next pass in turn.
A device that has too little memory for a pass gets passes of half the size from then on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monitor.understand.network import Network
from monitor.understand.runtimes.laying import fill
from monitor.understand.runtimes.packed import PackedEncoder
from monitor.understand.runtimes.rounds import SHORT, packed

log = logging.getLogger(__name__)
TOKENS = 16_384
"""Tokens of a pass where the settings name no number: enough to keep the largest GPU busy."""
OLDEST = (8, 0)
"""The compute capability from which PyTorch has attention over windows of any length (Ampere)."""


class AcceleratedBackend:
    """A network on GPUs; on a CPU, for tests, the same passes without graphs.

    Args:
        devices: one copy of the network on each.
        max_tokens: of a window.
        tokens: of a pass; 0: TOKENS.

    Raises:
        ValueError: the encoder cannot be packed, or a GPU is too old for it.
    """

    def __init__(self, network: Network, *, devices: Sequence[str], max_tokens: int, tokens: int) -> None:
        for name in devices:
            if name.startswith("cuda") and torch.cuda.get_device_capability(name) < OLDEST:
                raise ValueError(f"{torch.cuda.get_device_name(name)} has no attention over packed windows")
        encoder = PackedEncoder(network).eval().requires_grad_(False)
        self.hidden = encoder.hidden
        self._longest = max_tokens
        self._tokens = max(tokens or TOKENS, max_tokens)
        self._devices = [Device(encoder, torch.device(name), max_tokens) for name in devices]
        self._workers = ThreadPoolExecutor(len(devices), thread_name_prefix="engine")
        self._one_at_a_time = threading.Lock()

    def pooled(self, windows: Sequence[tuple[int, ...]]) -> NDArray[np.float32]:
        """Pooled states (windows, hidden) of framed token ids."""
        found = np.empty((len(windows), self.hidden), np.float32)
        with self._one_at_a_time:  # a device's buffers hold one pass
            while True:
                try:
                    self._run(windows, found)
                    return found
                except torch.OutOfMemoryError:
                    if self._tokens // 2 < self._longest:
                        raise
                self._halve()

    def _run(self, windows: Sequence[tuple[int, ...]], found: NDArray[np.float32]) -> None:
        """Compute all windows into their rows of `found`."""
        rounds = packed([len(window) for window in windows], self._tokens)
        taking = threading.Lock()

        def work(device: Device) -> None:
            device.prepare(self._tokens)
            waiting: tuple[list[int], Pass] | None = None
            while True:
                with taking:
                    part = next(rounds, None)
                if part is not None:
                    launched = part, device.launch([windows[index] for index in part])
                if waiting is not None:
                    found[waiting[0]] = waiting[1].result()
                if part is None:
                    return
                waiting = launched

        working = [self._workers.submit(work, device) for device in self._devices]
        wait(working)  # all of them, also when one fails: they share the buffers
        for done in working:
            done.result()

    def _halve(self) -> None:
        self._tokens //= 2
        log.warning(
            "the GPU has too little memory for passes of %d tokens: %d from now on (engine.tokens)",
            2 * self._tokens,
            self._tokens,
        )
        for device in self._devices:
            device.forget()


@dataclass
class Pass:
    """A pass that was launched: where its answer will be, and when."""

    answer: Tensor
    count: int
    done: torch.cuda.Event | None

    def result(self) -> NDArray[np.float32]:
        """Pooled states (windows, hidden); waits for them."""
        if self.done is not None:
            self.done.synchronize()
        states: NDArray[np.float32] = self.answer[: self.count].numpy().copy()
        return states


class Device:
    """A copy of the network on one device, with the buffers of its passes."""

    def __init__(self, encoder: PackedEncoder, device: torch.device, longest: int) -> None:
        self._device = device
        self._gpu = device.type == "cuda"
        self._encoder = deepcopy(encoder).to(device)
        if self._gpu:
            self._encoder.to(torch.bfloat16)
        self._longest = longest
        self._tokens = 0
        self._turn = 0
        self._inputs: list[Tensor] = []
        self._staged: list[list[Tensor]] = []
        self._answers: list[Tensor] = []
        self._graph: torch.cuda.CUDAGraph | None = None
        self._states: Tensor | None = None

    def prepare(self, tokens: int) -> None:
        """Make the buffers of passes of so many tokens, and record the graph; nothing if they are there."""
        if tokens == self._tokens:
            return
        self.forget()
        windows = max(1, tokens // SHORT)
        shapes = ((tokens, torch.int64), (tokens, torch.int64), (windows + 1, torch.int32))
        self._inputs = [torch.zeros(size, dtype=kind, device=self._device) for size, kind in shapes]
        # Two sets: one is filled while the other is still read.
        self._staged = [
            [torch.zeros(size, dtype=kind, pin_memory=self._gpu) for size, kind in shapes] for _ in range(2)
        ]
        self._answers = [torch.zeros(windows, self._encoder.hidden, pin_memory=self._gpu) for _ in range(2)]
        if self._gpu:
            self._graph, self._states = self._recorded()
        self._tokens = tokens

    def forget(self) -> None:
        """Give the memory of the passes back."""
        self._tokens, self._graph, self._states = 0, None, None
        self._inputs, self._staged, self._answers = [], [], []
        if self._gpu:
            torch.cuda.empty_cache()

    @torch.inference_mode()
    def launch(self, windows: Sequence[tuple[int, ...]]) -> Pass:
        """Start a pass over windows that fit into one."""
        self._turn ^= 1
        staged, answer = self._staged[self._turn], self._answers[self._turn]
        ids, positions, bounds = (part.numpy() for part in staged)
        fill(ids, positions, bounds, windows)
        if not self._gpu:
            answer.copy_(self._encoder(*staged, self._longest))
            return Pass(answer, len(windows), None)
        with torch.cuda.device(self._device):
            for here, there in zip(staged, self._inputs, strict=True):
                there.copy_(here, non_blocking=True)
            self._graph.replay()  # type: ignore[union-attr]
            answer.copy_(self._states, non_blocking=True)  # type: ignore[arg-type]
            done = torch.cuda.Event()
            done.record()
        return Pass(answer, len(windows), done)

    @torch.inference_mode()
    def _recorded(self) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        with torch.cuda.device(self._device):
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):  # libraries set themselves up, which must not be recorded
                for _ in range(3):
                    self._encoder(*self._inputs, self._longest)
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            # Other devices are made ready by other threads at the same time.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                states = self._encoder(*self._inputs, self._longest)
        return graph, states
