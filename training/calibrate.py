"""Calibration: temperatures and topic thresholds, chosen on held-out texts only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from monitor.documents import LABELS
from monitor.understand.bundle import Bundle
from monitor.understand.probabilities import sigmoid, softmax
from monitor.understand.runtimes import Logits
from training.data.examples import Example

GRID = np.round(np.arange(0.10, 0.51, 0.02), 2)
"""Thresholds that are tried. For calibrated probabilities the one with the best F1 is half that F1, so never over 0.5
(Lipton et al. 2014, "Optimal Thresholding of Classifiers to Maximize F1 Measure"); higher ones would be chance."""
ENOUGH = 25
"""A topic with fewer held-out texts than this takes the threshold that is best over all topics."""


def calibrated(bundle: Bundle, held: Sequence[Example]) -> Bundle:
    """The bundle with the temperatures and thresholds that fit the held-out examples best.

    Temperatures minimise the negative log-likelihood (Guo et al. 2017, section 4.2); a threshold maximises its
    topic's F1. What `held` does not label is left as it was, and topics that a text's labeller could not choose
    (`Example.among`) do not count.
    """
    manifest = bundle.manifest
    temperature, thresholds = manifest.temperature, dict(manifest.thresholds)
    rows = [example for example in held if example.sentiment is not None]
    if rows:
        logits = bundle.runtime.logits([example.text for example in rows])
        truth = np.array([LABELS.index(example.sentiment) for example in rows if example.sentiment])
        temperature = replace(temperature, sentiment=_sentiment_temperature(logits, truth))
    rows = [example for example in held if example.topics is not None]
    if rows and manifest.topics:
        logits = bundle.runtime.logits([example.text for example in rows])
        labels = np.array([[topic in (row.topics or ()) for topic in manifest.topics] for row in rows])
        asked = np.array([[row.among is None or topic in row.among for topic in manifest.topics] for row in rows])
        temperature = replace(temperature, topics=_topics_temperature(logits, labels, asked | labels))
        probability = logits.pooled(sigmoid(logits.topics.astype(np.float64) / temperature.topics))
        # A topic the labeller could not choose counts as not said: it must not pull a threshold up.
        chosen = best_thresholds(np.where(asked | labels, probability, -1.0), labels)
        thresholds = dict(zip(manifest.topics, chosen, strict=True))
    return replace(bundle, manifest=replace(manifest, temperature=temperature, thresholds=thresholds))


def _sentiment_temperature(logits: Logits, truth: NDArray[np.int64]) -> float:
    raw = logits.sentiment.astype(np.float64)

    def loss(t: float) -> float:
        likely = logits.pooled(softmax(raw / t))[np.arange(len(truth)), truth]
        return float(-np.log(likely.clip(1e-12)).mean())

    return least(loss)


def _topics_temperature(logits: Logits, labels: NDArray[np.bool_], asked: NDArray[np.bool_]) -> float:
    raw = logits.topics.astype(np.float64)

    def loss(t: float) -> float:
        yes = logits.pooled(sigmoid(raw / t)).clip(1e-12, 1 - 1e-12)
        return float(-np.where(labels, np.log(yes), np.log1p(-yes))[asked].mean())

    return least(loss)


def least(loss: Callable[[float], float]) -> float:
    """The temperature between 0.1 and 10 with the least loss."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(lambda x: loss(float(np.exp(x))), bounds=(np.log(0.1), np.log(10.0)), method="bounded")
    return round(float(np.exp(found.x)), 4)


def best_thresholds(probability: NDArray[np.float64], labels: NDArray[np.bool_]) -> list[float]:
    """For each column the grid value with the best F1; columns with few texts share one that is best over all.

    Of equals the middle one is taken.
    """
    shared = _best(probability.ravel(), labels.ravel())
    return [
        _best(probability[:, index], labels[:, index]) if labels[:, index].sum() >= ENOUGH else shared
        for index in range(labels.shape[1])
    ]


def _best(probability: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    said = probability[None, :] >= GRID[:, None]
    f1 = 2 * (said & labels).sum(1) / np.maximum(1, said.sum(1) + labels.sum())
    equals = np.flatnonzero(f1 >= f1.max() - 1e-9)
    return float(GRID[equals[len(equals) // 2]])
