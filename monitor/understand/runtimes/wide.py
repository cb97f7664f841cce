"""An encoder with linear heads over character n-grams beside it: what it understands, and what it need only have seen.

Source: Cheng et al. 2016, "Wide & Deep Learning for Recommender Systems". The linear heads read a text as one,
as far as `ngrams.MAX_CHARS`, and remember rare phrases that a small encoder smooths over; their logits, times a share
that was chosen on held-out texts, are added to those of each of the encoder's windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from monitor.understand.manifest import WEIGHTS, Manifest, Wide
from monitor.understand.quantised import BLOCK, restore
from monitor.understand.runtimes import Attributing, Attribution, Logits, Runtime
from monitor.understand.runtimes.ngrams import NgramRuntime
from monitor.understand.toward import is_marked

PREFIX = "wide."
"""Before the names of the linear heads' tensors in a bundle."""
Deep = TypeVar("Deep", bound=Runtime)


class WideRuntime(Generic[Deep]):
    """An encoder's runtime and the linear heads, whose logits are added up.

    Attributes:
        deep: the encoder's.
        heads: the linear ones.
        wide: their shares.
        aimed: texts may be marked for one company, and these have a share of their own; in a bundle that was not
            taught so, a marker is a word like any other.
    """

    def __init__(self, deep: Deep, heads: NgramRuntime, wide: Wide, *, aimed: bool) -> None:
        self.deep, self.heads, self.wide, self.aimed = deep, heads, wide, aimed
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="n-grams")

    def logits(self, texts: Sequence[str]) -> Logits:
        """Logits of each window; the linear heads' are the same for all windows of a text."""
        heads = self._beside.submit(self.heads.logits, texts)  # while the encoder's passes are computed
        deep = self.deep.logits(texts)
        return added(deep, heads.result(), self._shares(texts), self.wide.topics)

    def tokens(self, texts: Sequence[str]) -> int | None:
        """How many tokens the encoder reads of these texts; None where its runtime does not count."""
        count = getattr(self.deep, "tokens", None)
        return None if count is None else int(count(texts))

    def _shares(self, texts: Sequence[str]) -> NDArray[np.float32]:
        wide = self.wide
        marked = [self.aimed and is_marked(text) for text in texts]
        return np.where(marked, np.float32(wide.toward), np.float32(wide.sentiment))


def added(deep: Logits, heads: Logits, sentiment: NDArray[np.float32] | float, topics: float) -> Logits:
    """The encoder's logits and shares of the linear heads' added up.

    Args:
        heads: one row a text.
        sentiment: (texts,) shares of the linear heads' sentiment.
    """
    ends = np.append(deep.starts[1:], len(deep.sentiment)) if len(deep.starts) else deep.starts
    row = np.repeat(np.arange(len(deep.starts)), ends - deep.starts)
    share = np.broadcast_to(np.asarray(sentiment, np.float32), len(deep.starts))[row]
    return Logits(
        deep.sentiment + share[:, None] * heads.sentiment[row],
        deep.topics + np.float32(topics) * heads.topics[row],
        deep.starts,
        deep.weights,
        deep.cut | heads.cut,
    )


class WideExplained(WideRuntime[Attributing]):
    """The same for explaining: each character gets what both parts give it."""

    def attribute(self, text: str, direction: NDArray[np.float64]) -> Attribution:
        """Shares of the pieces of `text` in `direction` (3 + topics,) times its logits."""
        deep = self.deep.attribute(text, direction)
        share = np.full(len(direction), self.wide.topics)
        share[:3] = self._shares([text])[0]
        linear = self.heads.attribute(text, direction * share)
        alike = deep.text.startswith(linear.text)
        pieces = (*deep.pieces, *linear.pieces) if alike else deep.pieces
        # Where the linear heads read the text in another form, their part can be given to no word.
        baseline = deep.baseline + (linear.baseline if alike else linear.value)
        return Attribution(
            deep.text,
            tuple(sorted(pieces)),
            deep.value + linear.value,
            baseline,
            f"{deep.method}, n-grams {linear.method if alike else 'not shown'}",
            # As far as both parts read.
            min(deep.read, linear.read),
            deep.length,
        )


def read_heads(folder: Path, manifest: Manifest) -> NgramRuntime:
    """The linear heads of a checked bundle. Raises KeyError or ValueError when its tensors do not fit."""
    from safetensors.numpy import load_file

    if manifest.wide is None:
        raise ValueError("no linear heads described")
    tensors = load_file(folder / WEIGHTS)
    topics = len(manifest.topics)
    found = {name.removeprefix(PREFIX): value for name, value in tensors.items() if name.startswith(PREFIX)}
    for part, rows in (("sentiment", 3), ("topics", topics)):
        _unpack(found, f"{part}.weight", (rows, manifest.wide.ngrams.buckets))
    return NgramRuntime.of(found, manifest.wide.ngrams, topics)


def with_blank_topic(tensors: Mapping[str, NDArray[Any]], wide: Wide, topics: int) -> dict[str, NDArray[Any]]:
    """A bundle's tensors with one more topic in the linear heads, of which they say nothing (logit 0).

    Args:
        topics: how many there are so far.
    """
    found, name = dict(tensors), f"{PREFIX}topics.weight"
    _unpack(found, name, (topics, wide.ngrams.buckets))
    found[name] = np.concatenate([found[name].astype(np.float16), np.zeros((1, wide.ngrams.buckets), np.float16)])
    bias = found[f"{PREFIX}topics.bias"]
    found[f"{PREFIX}topics.bias"] = np.append(bias, np.zeros(1, bias.dtype))
    return found


def _unpack(tensors: dict[str, NDArray[Any]], name: str, shape: tuple[int, int]) -> None:
    """Read a matrix of few bits back, in place."""
    if f"{name}.codes" in tensors:
        codes, scales = tensors.pop(f"{name}.codes"), tensors.pop(f"{name}.scales")
        tensors[name] = restore(codes, scales, codes.size * 8 // (max(1, len(scales)) * BLOCK), shape)
