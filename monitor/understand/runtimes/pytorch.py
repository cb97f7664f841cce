"""Transformer bundles on PyTorch: float32 on the CPU, bfloat16 on a GPU.

Batch invariance. Matrix libraries choose how to add up by the shape of the matrices, so the same text can get
other last bits in other company. Here every forward pass over windows of one length has the same shape, whatever
is asked: windows are padded to a fixed ladder of lengths, a pass always has the same number of rows for its
length, and missing rows are filled with an empty text. The heads run over fixed blocks of rows likewise. What a
text gets then depends on the text alone.

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
from monitor.errors import BundleError, SettingsError
from monitor.understand.network import Network
from monitor.understand.runtimes import Logits
from monitor.understand.runtimes.packed import pack
from monitor.understand.runtimes.windows import Splitter
from monitor.understand.stored import build

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from monitor.understand.manifest import Manifest

log = logging.getLogger(__name__)

STEP = 8
"""Windows are padded to a multiple of this many tokens."""
CPU_TOKENS = 256
"""Padded tokens of a pass on a CPU: more is not faster there, and would waste more on filling."""


class EncoderRuntime:
    """An encoder with merged adapters and its two heads, ready to run."""

    def __init__(
        self,
        network: Network,
        tokenizer: Tokenizer,
        *,
        max_tokens: int,
        pad: int,
        device: torch.device,
        threads: int,
        tokens: int,
    ) -> None:
        self.network = network.eval().to(device)
        self._device = device
        self._half = device.type == "cuda"
        if self._half:
            self.network.encoder.to(torch.bfloat16)
        self._splitter = Splitter(tokenizer, max_tokens)
        self._max_tokens = max_tokens
        self._pad = pad
        self._tokens = tokens if self._half else min(tokens, CPU_TOKENS)
        self._workers: ThreadPoolExecutor | None = None
        if device.type == "cpu":
            pack(self.network.encoder, self._tokens)
            torch.set_num_threads(1)
            self._workers = ThreadPoolExecutor(threads or cores(), thread_name_prefix="engine")

    @classmethod
    def load(cls, folder: Path, manifest: Manifest, *, device: str, threads: int, tokens: int) -> EncoderRuntime:
        """Build the network of a checked bundle; see `bundle.load_bundle`."""
        if manifest.encoder is None:
            raise ValueError("no encoder named")
        where = _device(device)
        network, tokenizer = read_network(folder, manifest)
        return cls(
            network,
            tokenizer,
            max_tokens=manifest.encoder.max_tokens,
            pad=padding(network),
            device=where,
            threads=threads,
            tokens=tokens,
        )

    def logits(self, texts: Sequence[str]) -> Logits:
        """Logits of each text; a long one is split into windows of about equal length, at most MAX_WINDOWS."""
        windows, starts, weights, cut = self._splitter.split(texts)
        # The same window twice (a retweet, a syndicated copy) is computed once.
        place: dict[tuple[int, ...], int] = {}
        rows = np.array([place.setdefault(window, len(place)) for window in windows], np.int64)
        sentiment, topics = self._heads(self._pooled(list(place)))
        return Logits(sentiment[rows], topics[rows], starts, weights, cut)

    def pooled(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """What the heads read of each text, (texts, hidden); of a long text the mean over its windows."""
        windows, starts, weights, _ = self._splitter.split(texts)
        states = self._pooled(windows)
        if len(starts) == len(windows):
            return states
        return np.add.reduceat(states * weights[:, None].astype(np.float32), starts, axis=0)

    def tokens(self, texts: Sequence[str]) -> int:
        """How many tokens are read of these texts, special ones included."""
        return sum(map(len, self._splitter.split(texts)[0]))

    def _pooled(self, windows: Sequence[tuple[int, ...]]) -> NDArray[np.float32]:
        """Pooled states (windows, hidden) of token ids."""
        pooled = np.empty((len(windows), self.network.sentiment.in_features), np.float32)
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
        run = self._workers.map if self._workers is not None else map
        for part, states in zip(parts, run(_call, passes), strict=True):
            pooled[part] = states[: len(part)]
        return pooled

    def _padded(self, length: int) -> int:
        return min(-(-length // STEP) * STEP, self._max_tokens)

    @torch.inference_mode()
    def _forward(self, windows: Sequence[tuple[int, ...]], rows: int, length: int) -> NDArray[np.float32]:
        ids = np.full((rows, length), self._pad, np.int64)
        mask = np.zeros((rows, length), np.int64)
        empty = (*self._splitter.prefix, *self._splitter.suffix)
        for row in range(rows):
            window = windows[row] if row < len(windows) else empty
            ids[row, : len(window)] = window
            mask[row, : len(window)] = 1
        states = self.network.pooled(torch.from_numpy(ids).to(self._device), torch.from_numpy(mask).to(self._device))
        return states.float().cpu().numpy()

    @torch.inference_mode()
    def _heads(self, pooled: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        block = 64
        count = len(pooled)
        padded = np.zeros((-(-count // block) * block, pooled.shape[1]), np.float32)
        padded[:count] = pooled
        parts = [self.network.heads(part.to(self._device)) for part in torch.from_numpy(padded).split(block)]
        if not parts:
            return np.empty((0, 3), np.float32), np.empty((0, self.network.topics.out_features), np.float32)
        sentiment = torch.cat([part[0] for part in parts]).cpu().numpy()
        topics = torch.cat([part[1] for part in parts]).cpu().numpy()
        return sentiment[:count], topics[:count]


def read_network(folder: Path, manifest: Manifest) -> tuple[Network, Tokenizer]:
    """The network of a checked encoder bundle, in float32 and eval mode, and its tokenizer.

    Raises:
        BundleError: its encoder cannot be had or does not fit.
        KeyError, ValueError: its tensors do not fit.
    """
    if manifest.encoder is None:
        raise ValueError("no encoder named")
    tensors = load_file(folder / "weights.safetensors")
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


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise SettingsError(f"engine.device is {name}, but there are {count} GPUs here; set it to auto or cpu")
    return device
