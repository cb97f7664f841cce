"""The linear recipe over hashed character n-grams: support vectors for sentiment, logistic regression for topics.

On forum comments support vectors were a point better than logistic regression; temperature makes their margins
probabilities.
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import vstack

from monitor.documents import LABELS
from monitor.errors import InputError
from monitor.understand.manifest import Ngrams
from monitor.understand.runtimes.ngrams import Hasher, weighted
from training.corpus import Corpus
from training.data.examples import Example
from training.recipe import RECIPES, Recipe

log = logging.getLogger(__name__)


def teach(recipe: Recipe, corpus: Corpus, *, beside: bool = False) -> tuple[dict[str, NDArray[Any]], Ngrams]:
    """Weights for `runtimes.ngrams`, in float16. A topic that all or none of its texts have gets a row of zeros.

    Args:
        beside: the heads stand beside an encoder's and may leave the sentiment to it.

    Raises:
        InputError: no text carries a sentiment, or a class of it has no text, and there is no encoder to leave it to.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    plan = recipe.linear
    ngrams = Ngrams(plan.low, plan.high, plan.buckets)
    examples = corpus.taught
    log.info("%s: counting n-grams of %d texts", recipe.name, len(examples))
    counts = Hasher(ngrams).counts([example.text for example in examples])
    seen = np.bincount(counts.indices, minlength=plan.buckets)
    # Smoothed inverse document frequency; a bucket nobody filled gets none.
    idf = np.where(seen >= plan.least, np.log((1 + len(examples)) / (1 + seen)) + 1, 0.0)
    idf = idf.astype(np.float16).astype(np.float64)
    rows = weighted(counts, idf)
    labels, importance = sentiment_labels(recipe, examples)
    known = labels >= 0
    sentiment_rows, labels, importance = rows[known], labels[known], importance[known]
    if plan.words and plan.each_word:
        words, colours = _words_as_texts(plan.words)
        word_rows = weighted(Hasher(ngrams).counts(words), idf)
        sentiment_rows = vstack([sentiment_rows, word_rows]).tocsr()
        labels = np.concatenate([labels, colours])
        importance = np.concatenate([importance, np.full(len(words), plan.each_word)])
    missing = [label for place, label in enumerate(LABELS) if not (labels == place).any()]
    if missing and not beside:
        raise InputError(f"recipe {recipe.name}: no text taught is {' or '.join(missing)}")
    sentiment, sentiment_bias = np.zeros((len(LABELS), plan.buckets)), np.zeros(len(LABELS))
    if not missing:
        log.info("%s: sentiment from %d texts", recipe.name, len(labels))
        fitted = LinearSVC(C=plan.sentiment_c, random_state=plan.seed).fit(sentiment_rows, labels, importance)
        sentiment, sentiment_bias = fitted.coef_, fitted.intercept_
    weights, biases = [], []
    for topic in corpus.topics:
        labelled = np.array([_decided(example, topic) for example in examples])
        meant = np.array([topic in (example.topics or ()) for example in examples])[labelled].astype(int)
        log.info("%s: topic %s from %d texts", recipe.name, topic, int(meant.sum()))
        if meant.all() or not meant.any():
            weights.append(np.zeros(plan.buckets))
            biases.append(0.0)
            continue
        model = LogisticRegression(C=plan.topics_c, max_iter=300, tol=1e-3).fit(rows[labelled], meant)
        weights.append(model.coef_[0])
        biases.append(model.intercept_[0])
    tensors = {
        "idf": idf,
        "sentiment.weight": sentiment,
        "sentiment.bias": sentiment_bias,
        "topics.weight": np.array(weights).reshape(-1, plan.buckets),
        "topics.bias": np.array(biases),
    }
    return {name: np.ascontiguousarray(value.astype(np.float16)) for name, value in tensors.items()}, ngrams


def _decided(example: Example, topic: str) -> bool:
    """Whether a text's labeller said if it has the topic."""
    if example.topics is None:
        return False
    return example.among is None or topic in example.among or topic in example.topics


def sentiment_labels(recipe: Recipe, examples: Sequence[Example]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Each text's sentiment class (-1: none) and how much it counts.

    A label given by people counts 1. A text only said to be negative, or not, counts `negative_weight` as negative
    or neutral. Any other counts `words_weight` as what the recipe's word list makes of it.
    """
    plan = recipe.linear
    words = _read_words(plan.words) if plan.words else None
    labels = np.full(len(examples), -1)
    importance = np.ones(len(examples))
    for index, example in enumerate(examples):
        if example.sentiment is not None:
            labels[index] = LABELS.index(example.sentiment)
        elif example.negative is not None:
            if plan.negative_weight:
                labels[index] = LABELS.index("negative" if example.negative else "neutral")
                importance[index] = plan.negative_weight
        elif words is not None and plan.words_weight:
            labels[index] = _coloured(example.text, *words)
            importance[index] = plan.words_weight
    return labels, importance


def _coloured(text: str, positive: Sequence[str], negative: Sequence[str]) -> int:
    good = any(word in text for word in positive)
    bad = any(word in text for word in negative)
    if good and bad:
        return -1
    return LABELS.index("positive" if good else "negative" if bad else "neutral")


def _words_as_texts(name: str) -> tuple[list[str], NDArray[np.int64]]:
    """Every word of the list as a text of its own, with its class: rare words are learned too."""
    positive, negative = _read_words(name)
    colours = [LABELS.index("positive")] * len(positive) + [LABELS.index("negative")] * len(negative)
    return [*positive, *negative], np.array(colours)


def _read_words(name: str) -> tuple[list[str], list[str]]:
    path = Path(name) if "/" in name else RECIPES / "words" / name
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
        return list(tree["positive"]), list(tree["negative"])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: word list not readable: {error}") from None
    except (KeyError, TypeError):
        raise InputError(f"{path}: a word list has the lists positive and negative") from None
