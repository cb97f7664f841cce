"""Linear heads over character n-grams beside an encoder's: taught on the same texts, weighed on the held-out ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.documents import LABELS
from monitor.understand.bundle import Bundle
from monitor.understand.manifest import Wide
from monitor.understand.probabilities import sigmoid, softmax
from monitor.understand.quantised import quantise
from monitor.understand.runtimes import Logits
from monitor.understand.runtimes.wide import PREFIX, WideRuntime, added
from monitor.understand.toward import is_marked
from training import linear
from training.calibrate import least
from training.corpus import Corpus
from training.data.examples import Example
from training.recipe import Recipe

SHARES: tuple[float, ...] = (0.0, *np.geomspace(0.1, 10.0, 41).round(3).tolist())
"""Shares that are tried."""
BITS = 8
NEGATIVE = LABELS.index("negative")


def wide_of(recipe: Recipe, corpus: Corpus) -> tuple[dict[str, NDArray[Any]], Wide]:
    """The tensors of the linear heads under the names a bundle uses, matrices in BITS unless it stores float16.

    What the texts do not label, or of which they hold a single class, the linear heads say nothing of.
    """
    tensors, ngrams = linear.teach(recipe, corpus, beside=True)
    found: dict[str, NDArray[Any]] = {}
    for name, value in tensors.items():
        if recipe.storage.bits < 16 and value.ndim == 2:
            found[f"{PREFIX}{name}.codes"], found[f"{PREFIX}{name}.scales"] = quantise(value.astype(np.float32), BITS)
        else:
            found[PREFIX + name] = value
    return found, Wide(ngrams)


def weighed(bundle: Bundle, held: Sequence[Example]) -> Bundle:
    """The bundle with the shares of its linear heads that make the held-out labels likeliest.

    For each share the best temperature is taken, so that a share is not chosen for being sure of itself: that of plain
    texts first, then that of marked ones with the one temperature both have in the bundle. A task that the held-out
    texts do not label keeps the share 0. A bundle without linear heads is given back as it is.
    """
    runtime = bundle.runtime
    if not isinstance(runtime, WideRuntime):
        return bundle
    texts = [example.text for example in held]
    deep, heads = runtime.deep.logits(texts), runtime.heads.logits(texts)
    marked = np.array([runtime.aimed and is_marked(text) for text in texts], bool)
    topics = _best(_topics_loss(held, bundle.manifest.topics), lambda share: added(deep, heads, 0.0, share))
    plain = _best(_sentiment_loss(held, ~marked), lambda share: added(deep, heads, share, 0.0))
    both = _sentiment_loss(held, marked | ~marked) if _sentiment_loss(held, marked) else None
    toward = _best(both, lambda share: added(deep, heads, np.where(marked, share, plain).astype(np.float32), 0.0))
    wide = replace(runtime.wide, sentiment=plain, topics=topics, toward=toward)
    manifest = replace(bundle.manifest, wide=wide)
    return replace(
        bundle, manifest=manifest, runtime=WideRuntime(runtime.deep, runtime.heads, wide, aimed=runtime.aimed)
    )


Loss = Callable[[Logits, float], float]


def _best(loss: Loss | None, mixed: Callable[[float], Logits]) -> float:
    """The share with the least loss at its own best temperature; of equals the smallest."""
    if loss is None:
        return 0.0
    found = []
    for share in SHARES:
        logits = mixed(share)
        warm = least(lambda t, logits=logits: loss(logits, t))  # type: ignore[misc]
        found.append(round(loss(logits, warm), 6))
    return SHARES[int(np.argmin(found))]


def _sentiment_loss(held: Sequence[Example], asked: NDArray[np.bool_]) -> Loss | None:
    """Negative log-likelihood of the labels of the texts that are asked about; None where none has one."""
    truth = np.array([-1 if row.sentiment is None else LABELS.index(row.sentiment) for row in held])
    bad = np.array([-1 if row.negative is None or row.sentiment is not None else int(row.negative) for row in held])
    named, told = np.flatnonzero(asked & (truth >= 0)), np.flatnonzero(asked & (bad >= 0))
    if not len(named) + len(told):
        return None

    def loss(logits: Logits, warm: float) -> float:
        said = logits.pooled(softmax(logits.sentiment.astype(np.float64) / warm)).clip(1e-12, 1 - 1e-12)
        negative = said[told, NEGATIVE]
        likely = np.concatenate([said[named, truth[named]], np.where(bad[told] == 1, negative, 1 - negative)])
        return float(-np.log(likely).mean())

    return loss


def _topics_loss(held: Sequence[Example], topics: Sequence[str]) -> Loss | None:
    labelled = np.array([row.topics is not None for row in held], bool)
    if not labelled.any() or not topics:
        return None
    rows = [row for row in held if row.topics is not None]
    truth = np.array([[topic in (row.topics or ()) for topic in topics] for row in rows])
    asked = truth | np.array([[row.among is None or topic in row.among for topic in topics] for row in rows])

    def loss(logits: Logits, warm: float) -> float:
        said = logits.pooled(sigmoid(logits.topics.astype(np.float64) / warm))[labelled].clip(1e-12, 1 - 1e-12)
        return float(-np.where(truth, np.log(said), np.log1p(-said))[asked].mean())

    return loss
