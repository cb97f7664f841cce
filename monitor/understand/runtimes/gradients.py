"""Transformer bundles for explaining: integrated gradients over the embeddings of the tokens.

Source: M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017. The path leads in a
straight line from a text of nothing but padding, between the same special tokens, to the text itself; the integral is
taken by Gauss-Legendre quadrature, with twice the nodes until what is missing of completeness is small.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monitor.cores import cores
from monitor.understand.network import Network, pool
from monitor.understand.runtimes import Attribution, Logits
from monitor.understand.runtimes.pytorch import padding, read_network
from monitor.understand.runtimes.windows import Splitter, Window

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from monitor.understand.manifest import Manifest

NODES = 32
"""Nodes of the quadrature at first."""
MOST_NODES = 256
SMALL = 0.02
"""Share of value - baseline that may be missing."""
_TOKENS = 1024  # of one pass


class GradientRuntime:
    """An encoder and its two heads in float32 on the CPU, whose gradients can be taken."""

    def __init__(self, network: Network, tokenizer: Tokenizer, *, max_tokens: int, pad: int) -> None:
        self._network = network.eval().requires_grad_(False)
        self._splitter = Splitter(tokenizer, max_tokens)
        self._embed = network.encoder.get_input_embeddings()  # type: ignore[operator]
        self._pad = pad

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> GradientRuntime:
        """Build the network of a checked bundle. Raises as `read_network` does."""
        if manifest.encoder is None:
            raise ValueError("no encoder named")
        network, tokenizer = read_network(folder, manifest)
        # Passes over a dozen tokens: threads that share them took twice as long on two cores with other work.
        torch.set_num_threads(1)
        return cls(network, tokenizer, max_tokens=manifest.encoder.max_tokens, pad=padding(network))

    @torch.inference_mode()
    def logits(self, texts: Sequence[str]) -> Logits:
        """Logits of each text's windows, one window after the other."""
        windows, starts, weights, cut = self._splitter.split(texts)
        rows = [self._network(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long)) for ids in windows]
        sentiment, topics = (torch.cat([row[part] for row in rows]).numpy() for part in (0, 1))
        return Logits(sentiment, topics, starts, weights, cut)

    def attribute(self, text: str, direction: NDArray[np.float64]) -> Attribution:
        """Integrated gradients of each token, the windows weighted by how much of the text they hold.

        Args:
            direction: (3 + topics,), what of each logit is added up.
        """
        toward = torch.tensor(direction, dtype=torch.float32)
        pieces: list[tuple[int, int, float]] = []
        value = baseline = 0.0
        windows = self._splitter.windows(text)
        # One thread a window, as many as there are cores: a long text takes a minute.
        with ThreadPoolExecutor(min(cores(), len(windows))) as workers:
            found = list(workers.map(self._integrated, windows, [toward] * len(windows)))
        for window, (shares, high, low) in zip(windows, found, strict=True):
            value, baseline = value + window.weight * high, baseline + window.weight * low
            pieces += [
                (start, end, window.weight * share) for (start, end), share in zip(window.offsets, shares, strict=True)
            ]
        read, length = self._splitter.reach(text)
        return Attribution(
            self._splitter.read(text), tuple(pieces), value, baseline, "integrated gradients", read, length
        )

    def _integrated(self, window: Window, toward: Tensor) -> tuple[list[float], float, float]:
        """The tokens' shares, and the value at the text and at the baseline."""
        prefix, suffix = self._splitter.prefix, self._splitter.suffix
        framed = self._embedded((*prefix, *window.ids, *suffix))
        blank = self._embedded((*prefix, *[self._pad] * len(window.ids), *suffix))
        with torch.inference_mode():
            low, high = (float(self._values(point[None], toward)[0]) for point in (blank, framed))
        inside = slice(len(prefix), len(prefix) + len(window.ids))
        nodes = NODES
        while True:
            shares = self._quadrature(blank, framed, toward, nodes)[inside]
            missing = abs(high - low - float(shares.sum()))
            if missing <= SMALL * max(abs(high - low), 0.1) or nodes >= MOST_NODES:
                return shares.tolist(), high, low
            nodes *= 2

    def _quadrature(self, blank: Tensor, framed: Tensor, toward: Tensor, nodes: int) -> Tensor:
        """(tokens,) integral of the gradient along the path, times the way."""
        places, weights = np.polynomial.legendre.leggauss(nodes)
        total = torch.zeros_like(framed)
        rows = max(1, _TOKENS // len(framed))
        for begin in range(0, nodes, rows):
            at = torch.tensor((places[begin : begin + rows] + 1) / 2, dtype=torch.float32)[:, None, None]
            weight = torch.tensor(weights[begin : begin + rows] / 2, dtype=torch.float32)[:, None, None]
            points = (blank + at * (framed - blank)).requires_grad_(True)
            (gradient,) = torch.autograd.grad(self._values(points, toward).sum(), points)
            total += (weight * gradient).sum(0)
        return (total * (framed - blank)).sum(-1)

    def _embedded(self, ids: Sequence[int]) -> Tensor:
        with torch.no_grad():
            found: Tensor = self._embed(torch.tensor(ids))
        return found

    def _values(self, points: Tensor, toward: Tensor) -> Tensor:
        """(rows,) values of (rows, length, hidden) embeddings."""
        mask = torch.ones(points.shape[:2], dtype=torch.long)
        states = self._network.encoder(inputs_embeds=points, attention_mask=mask).last_hidden_state
        sentiment, topics = self._network.heads(pool(states.float(), mask, self._network.pooling))
        return torch.cat([sentiment, topics], dim=1) @ toward
