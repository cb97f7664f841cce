"""Label noise: which labels of a set are probably wrong, by confident learning.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", Journal of Artificial
Intelligence Research 70 (2021). A model that never saw a text gives its probabilities; a text counts as confidently of
a class when its probability of that class is at least what texts of that label get on average. Texts that are
confidently of another class than their label say how often labels are confused, and are the suspects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.documents import LABELS
from monitor.errors import InputError
from monitor.progress import progress
from training.data.examples import Example
from training.data.splits import folds

Probabilities = NDArray[np.float64]
Classes = NDArray[np.int64]

FOLDS = 5
LEAST = 20
"""Texts with a label below which nothing can be said of its noise."""
_MOST = 60_000
"""Texts looked at; of a larger set an even sample."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label that is probably wrong.

    Attributes:
        index: which of the examples.
        given: the label it carries.
        likely: the label it more likely is.
        margin: probability of the given label less that of the likely one, below 0; the lower, the surer.
    """

    index: int
    given: str
    likely: str
    margin: float


@dataclass(frozen=True)
class Noise:
    """What is known of the wrong labels of one question.

    Attributes:
        about: `sentiment`, `topics`, `negative`, or the topic whose presence or absence is judged.
        classes: the labels, in the order of the matrix.
        joint: shape (given, true): estimated share of all texts with that given and that true label; sums to 1.
        suspects: the surest first.
        texts: how many were looked at.
    """

    about: str
    classes: Sequence[str]
    joint: Probabilities
    suspects: Sequence[Suspect]
    texts: int

    @property
    def share(self) -> float:
        """Estimated share of wrong labels."""
        return float(1 - np.trace(self.joint))


def confident_joint(given: Classes, probabilities: Probabilities) -> tuple[NDArray[np.int64], Classes]:
    """Count the texts that are confidently of a class, by the label given (equations 1 and 2 of the paper).

    Args:
        given: shape (texts,), classes from 0; each class is given at least once.
        probabilities: shape (texts, classes), from a model that did not learn from the text in question.

    Returns: the counts, shape (given, true), and of each text its confident class or -1 where there is none.
    """
    classes = probabilities.shape[1]
    thresholds = np.array([probabilities[given == label, label].mean() for label in range(classes)])
    above = probabilities >= thresholds - 1e-12
    # Where a text is confidently of several classes, the likeliest counts.
    confident = np.where(above, probabilities, -1.0).argmax(axis=1)
    confident = np.where(above.any(axis=1), confident, -1)
    counts = np.zeros((classes, classes), dtype=np.int64)
    known = confident >= 0
    np.add.at(counts, (given[known], confident[known]), 1)
    return counts, confident


def joint(counts: NDArray[np.int64], given: Classes) -> Probabilities:
    """The joint distribution of given and true labels: each row brought to its label's share (equation 3)."""
    sizes = np.bincount(given, minlength=len(counts)).astype(float)
    rows = counts.sum(axis=1, keepdims=True)
    # A label no text of which is confident of anything is taken to be right.
    shares = np.where(rows > 0, counts / np.maximum(rows, 1), np.eye(len(counts)))
    found: Probabilities = shares * sizes[:, None] / sizes.sum()
    return found


def judge(about: str, given: Classes, probabilities: Probabilities, classes: Sequence[str]) -> Noise:
    """The noise of given labels under out-of-sample probabilities; arguments as for `confident_joint`.

    Suspects are the texts off the diagonal of the confident joint, by normalised margin.

    Raises:
        InputError: a class is given to no text, or the shapes do not fit.
    """
    if probabilities.shape != (len(given), len(classes)):
        raise InputError(
            f"{about}: {len(given)} labels of {len(classes)} classes need probabilities of that shape, "
            f"not {probabilities.shape}"
        )
    missing = [name for label, name in enumerate(classes) if not (given == label).any()]
    if missing:
        raise InputError(f"{about}: no text is {' or '.join(missing)}: leave that class out")
    counts, confident = confident_joint(given, probabilities)
    rows = np.arange(len(given))
    margins = probabilities[rows, given] - probabilities[rows, confident]
    # Thresholds of two classes differ: a text may be confidently of one while its own label is the likelier.
    wrong = np.flatnonzero((confident >= 0) & (margins < 0))
    # Ties go to the earlier text, so that the ranking is the same every time.
    wrong = wrong[np.lexsort((wrong, margins[wrong]))]
    suspects = [
        Suspect(index, classes[given[index]], classes[confident[index]], round(float(margins[index]), 4))
        for index in wrong.tolist()
    ]
    return Noise(about, classes, joint(counts, given), suspects, len(given))


# --- a quick model's probabilities -----------------------------------------------------------------------------------


def label_noise(examples: Sequence[Example], *, seed: int = 13) -> list[Noise]:
    """The noise of sentiment, negative or not, and topics, judged by a linear model over hashed n-grams, fold by fold.

    Sentiment is one question, and so are topics where each text has exactly one. Otherwise each topic is a question
    of its own, present or absent. A label fewer than `LEAST` texts carry is not judged. `Suspect.index` is the place
    in `examples`.
    """
    sentiment = [i for i, example in enumerate(examples) if example.sentiment is not None]
    yes_or_no = [i for i, example in enumerate(examples) if example.negative is not None]
    topical = [i for i, example in enumerate(examples) if example.topics is not None]
    questions: list[tuple[str, list[int], list[str]]] = []
    if sentiment:
        questions.append(("sentiment", sentiment, [str(examples[i].sentiment) for i in sentiment]))
    if yes_or_no:
        said = ["negative" if examples[i].negative else "not negative" for i in yes_or_no]
        questions.append(("negative", yes_or_no, said))
    if topical and all(len(examples[i].topics or ()) == 1 for i in topical):
        questions.append(("topics", topical, [(examples[i].topics or ("",))[0] for i in topical]))
    else:
        for topic in sorted({topic for i in topical for topic in examples[i].topics or ()}):
            asked = [i for i in topical if examples[i].among is None or topic in (examples[i].among or ())]
            said = [topic if topic in (examples[i].topics or ()) else f"not {topic}" for i in asked]
            questions.append((topic, asked, said))
    found: list[Noise] = []
    rows: dict[bytes, tuple[Any, NDArray[np.int64]]] = {}
    with progress("label noise", len(questions) * FOLDS) as bar:
        for number, (about, places, said) in enumerate(questions):
            places, given, classes = _judged(places, said)
            if len(classes) < 2:
                continue
            key = np.array(places).tobytes()
            if key not in rows:  # topics share their texts
                chosen = [examples[i] for i in places]
                rows = {key: (_features([e.text for e in chosen]), np.array(folds(chosen, FOLDS, seed=seed)))}
            features, fold = rows[key]
            probabilities = np.zeros((len(places), len(classes)))
            for part in range(FOLDS):
                bar.update(number * FOLDS + part, about)
                here = fold == part
                probabilities[here] = _fitted(features[~here], given[~here], features[here], len(classes), seed)
            noise = judge(about, given, probabilities, classes)
            suspects = [Suspect(places[s.index], s.given, s.likely, s.margin) for s in noise.suspects]
            found.append(Noise(about, classes, noise.joint, suspects, noise.texts))
    return found


def _judged(places: list[int], said: list[str]) -> tuple[list[int], Classes, list[str]]:
    """The texts that are judged, their classes as numbers, and the names of these."""
    step = -(-len(places) // _MOST)
    places, said = places[::step], said[::step]
    names, counts = np.unique(said, return_counts=True)
    enough = {str(name) for name, count in zip(names, counts, strict=True) if count >= LEAST}
    order = [label for label in LABELS if label in enough] + sorted(enough - set(LABELS))
    number = {name: place for place, name in enumerate(order)}
    kept = [(place, number[name]) for place, name in zip(places, said, strict=True) if name in enough]
    return [place for place, _ in kept], np.array([label for _, label in kept], dtype=np.int64), order


def _features(texts: Sequence[str]) -> Any:
    """TF-IDF of hashed words, word pairs and character n-grams, shape (texts, buckets)."""
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    from monitor.understand.runtimes.ngrams import fold

    folded = [fold(text) for text in texts]
    words = HashingVectorizer(ngram_range=(1, 2), n_features=2**18, alternate_sign=False, norm=None)
    pieces = HashingVectorizer(
        analyzer="char_wb", ngram_range=(2, 4), n_features=2**18, alternate_sign=False, norm=None
    )
    parts = [
        TfidfTransformer(sublinear_tf=True).fit_transform(vectoriser.transform(folded))
        for vectoriser in (words, pieces)
    ]
    return hstack(parts).tocsr()


def _fitted(known: Any, labels: Classes, unknown: Any, classes: int, seed: int) -> Probabilities:
    """Probabilities of the unknown rows, shape (rows, classes), by logistic regression learned from the known."""
    from sklearn.linear_model import SGDClassifier

    model = SGDClassifier(loss="log_loss", alpha=1e-4, max_iter=20, tol=None, average=True, random_state=seed)
    model.fit(known, labels)
    found = np.zeros((unknown.shape[0], classes))
    found[:, model.classes_] = model.predict_proba(unknown)
    return found
