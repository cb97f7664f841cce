"""PyTorch in float32 on the CPU, which every other way to compute a network is compared with; in bfloat16 on a GPU for
encoders that cannot be packed (`accelerated.py`).

Batch invariance. Matrix libraries choose how to add up by the shape of the matrices, so the same text can get
other last bits in other company. Here every forward pass over windows of one length has the same shape, whatever
is asked: windows are padded to a fixed ladder of lengths, a pass always has the same number of rows for its
length, and missing rows are filled with an empty text. What a text gets then depends on the text alone.

On a CPU each pass runs on one thread and several passes run at a time: threads that share one product wait for each
other at every step, which on a machine that does other work too cost more than half of the speed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from monitor.cores import cores
from monitor.errors import BundleError
from monitor.understand.manifest import WEIGHTS
from monitor.understand.network import Network
from monitor.understand.runtimes.onednn import pack
from monitor.understand.stored import build

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from monitor.understand.manifest import Manifest

log = logging.getLogger(__name__)
STEP = 8
"""Windows are padded to a multiple of this many tokens."""
TOKENS = 256
"""Padded tokens of a pass on a CPU: more is not faster, and would waste more on filling."""


class TorchBackend:
    """A network on one device.

    Args:
        network: on a CPU its linear layers are replaced by packed ones.
        max_tokens: of a window.
        pad: the id of the token that fills up.
        frame: the special tokens of an empty text.
        threads: passes computed at a time on a CPU; 0: as many as there are cores.
        tokens: padded tokens of a pass on a GPU.
    """

    def __init__(
        self,
        network: Network,
        *,
        max_tokens: int,
        pad: int,
        frame: tuple[int, ...],
        threads: int,
        device: str = "cpu",
        tokens: int = 4096,
    ) -> None:
        self._device = torch.device(device)
        self._network = network.eval().to(self._device)
        self.hidden = network.sentiment.in_features
        self._max_tokens, self._pad, self._frame = max_tokens, pad, frame
        if self._device.type == "cpu":
            self._tokens = TOKENS
            pack(self._network.encoder, TOKENS)
            torch.set_num_threads(1)
        else:
            self._tokens = tokens
            self._network.encoder.to(torch.bfloat16)
        count = (threads or cores()) if self._device.type == "cpu" else 1
        self._workers = ThreadPoolExecutor(count, thread_name_prefix="engine")

    def pooled(self, windows: Sequence[tuple[int, ...]]) -> NDArray[np.float32]:
        """Pooled states (windows, hidden) of framed token ids."""
        while True:
            try:
                return self._pooled(windows)
            except torch.OutOfMemoryError:
                if self._tokens // 2 < self._max_tokens:
                    raise
            self._tokens //= 2
            torch.cuda.empty_cache()
            log.warning("the GPU has too little memory: passes of %d tokens from now on (engine.tokens)", self._tokens)

    def _pooled(self, windows: Sequence[tuple[int, ...]]) -> NDArray[np.float32]:
        pooled = np.empty((len(windows), self.hidden), np.float32)
        ladder: dict[int, list[int]] = {}
        for index, window in enumerate(windows):
            ladder.setdefault(self._padded(len(window)), []).append(index)
        parts: list[list[int]] = []
        passes: list[Callable[[], NDArray[np.float32]]] = []
        for length, members in sorted(ladder.items(), reverse=True):
            rows = max(1, self._tokens // length)
            for begin in range(0, len(members), rows):
                parts.append(members[begin : begin + rows])
                passes.append(partial(self._forward, [windows[index] for index in parts[-1]], rows, length))
        for part, states in zip(parts, self._workers.map(_call, passes), strict=True):
            pooled[part] = states[: len(part)]
        return pooled

    def _padded(self, length: int) -> int:
        return min(-(-length // STEP) * STEP, self._max_tokens)

    @torch.inference_mode()
    def _forward(self, windows: Sequence[tuple[int, ...]], rows: int, length: int) -> NDArray[np.float32]:
        ids = np.full((rows, length), self._pad, np.int64)
        mask = np.zeros((rows, length), np.int64)
        for row in range(rows):
            window = windows[row] if row < len(windows) else self._frame
            ids[row, : len(window)] = window
            mask[row, : len(window)] = 1
        given = (torch.from_numpy(part).to(self._device) for part in (ids, mask))
        states: NDArray[np.float32] = self._network.pooled(*given).float().cpu().numpy()
        return states


def read_network(folder: Path, manifest: Manifest) -> tuple[Network, Tokenizer]:
    """The network of a checked encoder bundle, in float32 and eval mode, and its tokenizer.

    Raises:
        BundleError: its encoder cannot be had or does not fit.
        KeyError, ValueError: its tensors do not fit.
    """
    if manifest.encoder is None:
        raise ValueError("no encoder named")
    tensors = load_file(folder / WEIGHTS)
    if manifest.wide is not None:  # the heads beside it are not the network's
        tensors = {name: value for name, value in tensors.items() if not name.startswith("wide.")}
    taught = {name.removeprefix("encoder."): tensors.pop(name) for name in list(tensors) if name.startswith("encoder.")}
    encoder, tokenizer = build(folder, manifest.encoder, taught)
    network = Network(encoder, pooling=manifest.encoder.pooling, topics=len(manifest.topics))
    heads = {"sentiment.weight", "sentiment.bias", "topics.weight", "topics.bias"}
    if set(tensors) != heads:
        raise ValueError(f"tensors {sorted(set(tensors) ^ heads)} missing or unknown")
    network.load_state_dict({name: value.float() for name, value in tensors.items()}, strict=False)
    longest = int(getattr(encoder.config, "max_position_embeddings", manifest.encoder.max_tokens))
    if manifest.encoder.max_tokens > longest:
        raise BundleError(f"{folder}: max_tokens is over the {longest} positions of its encoder (engine.bundles)")
    return network.eval(), tokenizer


def padding(network: Network) -> int:
    """The id of the token that fills up."""
    return int(getattr(network.encoder.config, "pad_token_id", 0) or 0)


def _call(compute: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
    return compute()
