"""Logits to calibrated probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.understand.manifest import Temperature
from monitor.understand.runtimes import Logits


def calibrated(logits: Logits, temperature: Temperature) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities of (texts, 3) sentiment classes and (texts, topics) topics.

    A text longer than a window is the mean of its windows' probabilities, weighted by their tokens.
    """
    sentiment = softmax(logits.sentiment.astype(np.float64) / temperature.sentiment)
    topics = sigmoid(logits.topics.astype(np.float64) / temperature.topics)
    return logits.pooled(sentiment), logits.pooled(topics)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row-wise softmax."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return total


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Element-wise logistic function, sound for any finite input."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))
