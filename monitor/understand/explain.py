"""Why a model said what it said of one text: how much each word spoke for it or against it.

What is explained is a sum of logits, divided by the temperature: for a sentiment its logit less the mean of the other
two, for a topic its own. The words' weights add up to the value for this text less the value for one of which nothing
is known (completeness). For n-grams that is exact; for transformers it is integrated gradients.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monitor.documents import LABELS, Label, Sentiment
from monitor.errors import BundleError, InputError
from monitor.understand.bundle import Bundle
from monitor.understand.manifest import MANIFEST, WEIGHTS, Manifest, check_files, damaged, read_manifest
from monitor.understand.runtimes import Attributing

_HAN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
# One Chinese character, a word or number of another script with what joins its parts, or any other sign.
_UNIT = re.compile(rf"[{_HAN}]|[^\W{_HAN}]+(?:['’.,&/-][^\W{_HAN}]+)*%?|\S")


@dataclass(frozen=True, slots=True)
class Word:
    """A word (or a Chinese piece), where it stands in the text as it was read, and its weight: above 0 it spoke for
    what is explained, below 0 against it."""

    text: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one thing was said of one text.

    Attributes:
        model: name@version.
        text: in the form the model read it.
        about: `sentiment`, or a topic's id.
        label: the sentiment, or the topic's id.
        probability: calibrated, of this label, in [0, 1].
        value, baseline: what is explained, for the text and for one of which nothing is known.
        words: in the order of the text; their weights add up to value - baseline, but for `gap`.
        method: how the weights were found.
        read, length: how many characters the model read, from the first, of how many the text has in that form.
    """

    model: str
    text: str
    about: str
    label: str
    probability: float
    value: float
    baseline: float
    words: tuple[Word, ...]
    method: str
    read: int
    length: int

    @property
    def gap(self) -> float:
        """What the weights lack of value - baseline."""
        return self.value - self.baseline - sum(word.weight for word in self.words)

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "model": self.model,
            "text": self.text,
            "about": self.about,
            "label": self.label,
            "probability": self.probability,
            "value": round(self.value, 6),
            "baseline": round(self.baseline, 6),
            "method": self.method,
            "read": self.read,
            "length": self.length,
            "words": [
                {"text": word.text, "start": word.start, "end": word.end, "weight": round(word.weight, 6)}
                for word in self.words
            ],
        }


class Explainer:
    """A model folder, loaded for explaining. On the CPU: one text at a time is asked for.

    Raises:
        BundleError: the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        manifest = read_manifest(folder)
        check_files(folder, manifest)
        try:
            self._runtime = _load(folder, manifest)
        except (KeyError, ValueError, RuntimeError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise damaged(folder / WEIGHTS, f"does not fit {MANIFEST} ({type(error).__name__}: {reason})") from error
        self.manifest = manifest
        self._bundle = Bundle(manifest, folder, self._runtime)

    def explain(self, text: str, *, label: Label | None = None, topic: str | None = None) -> Explanation:
        """Explain the sentiment of a text (the likeliest by default), or one of its topics.

        Raises:
            InputError: the model knows no such topic.
        """
        sentiment, topics = self._bundle.probabilities([text])
        temperature, known = self.manifest.temperature, self.manifest.topics
        direction = np.zeros(len(LABELS) + len(known))
        if topic is not None:
            if topic not in known:
                raise InputError(f"{self.manifest.model} knows no topic {topic!r}; it knows {', '.join(known)}")
            direction[len(LABELS) + known.index(topic)] = 1.0 / temperature.topics
            about, said, probability = topic, topic, float(topics[0, known.index(topic)])
        else:
            chosen = label or Sentiment(*sentiment[0].round(4).tolist()).label
            direction[: len(LABELS)] = -0.5 / temperature.sentiment
            direction[LABELS.index(chosen)] = 1.0 / temperature.sentiment
            about, said, probability = "sentiment", chosen, float(sentiment[0, LABELS.index(chosen)])
        found = self._runtime.attribute(text, direction)
        return Explanation(
            self.manifest.model,
            found.text,
            about,
            said,
            round(probability, 4),
            found.value,
            found.baseline,
            tuple(words(found.text, found.pieces)),
            found.method,
            found.read,
            found.length,
        )


def _load(folder: Path, manifest: Manifest) -> Attributing:
    if manifest.kind == "encoder":
        from monitor.understand.runtimes.gradients import GradientRuntime

        deep = GradientRuntime.load(folder, manifest)
        if manifest.wide is None:
            return deep
        from monitor.understand.runtimes.wide import WideExplained, read_heads

        return WideExplained(deep, read_heads(folder, manifest), manifest.wide, aimed=manifest.toward)
    if manifest.kind == "ngrams":
        from monitor.understand.runtimes.ngrams import NgramRuntime

        return NgramRuntime.load(folder, manifest)
    raise BundleError(f"{folder}: models of kind {manifest.kind} cannot be explained")


def words(text: str, pieces: Sequence[tuple[int, int, float]]) -> list[Word]:
    """The words of a text, each with the weights of its pieces added up.

    Args:
        pieces: (start, end, weight), ascending. What spans several words makes them one; what falls between words
            counts to the one before it.

    >>> [(word.text, word.weight) for word in words("profit rises", [(0, 3, 1.0), (3, 6, 2.0), (6, 12, 0.5)])]
    [('profit', 3.0), ('rises', 0.5)]
    """
    units = [match.span() for match in _UNIT.finditer(text)]
    if not units:
        return []
    groups = list(range(len(units)))  # unit → the first unit of its word
    weights = [0.0] * len(units)
    at = 0
    for start, end, weight in pieces:
        inside = text[start:end]
        if inside.strip():
            start, end = start + len(inside) - len(inside.lstrip()), end - (len(inside) - len(inside.rstrip()))
        while at + 1 < len(units) and units[at + 1][0] <= start:
            at += 1
        place = groups[at]
        weights[place] += weight
        last = at
        while last + 1 < len(units) and units[last + 1][0] < end:
            last += 1
            weights[place] += weights[last]
            weights[last] = 0.0
            groups[last] = place
    found: list[Word] = []
    for place, (start, end) in enumerate(units):
        if groups[place] == place:
            found.append(Word(text[start:end], start, end, weights[place]))
        else:
            first = found[-1]
            found[-1] = Word(text[first.start : end], first.start, end, first.weight)
    return found
