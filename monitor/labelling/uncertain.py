"""How unsure a model was of a document: the smallest margin of its decisions.

Margin sampling: T. Scheffer, C. Decomain, S. Wrobel, "Active hidden Markov models for information extraction", IDA
2001; surveyed by B. Settles, "Active learning literature survey", 2009, section 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.store.queries.candidates import Candidate

Thresholds = Mapping[str, Mapping[str, float]]
"""name@version → topic → the probability from which a text is said to have it."""
_ELSE = 0.5


@dataclass(frozen=True, slots=True)
class Margin:
    """How far the nearest other decision was, in [0, 1]; 0: a tie. `about` is `sentiment` or a topic's id."""

    margin: float
    about: str


def margin(candidate: Candidate, thresholds: Thresholds) -> Margin:
    """The smallest margin of a document's decisions.

    For sentiment it is the likeliest class's calibrated probability less the next one's. For a topic it is twice the
    distance of its probability from its threshold, which at a threshold of one half is the same thing. Topics that
    stayed below their thresholds are not stored, so they cannot count.

    Args:
        thresholds: of models that are not there one half is taken.
    """
    _, second, first = sorted((candidate.negative, candidate.neutral, candidate.positive))
    found = [Margin(max(0.0, first - second), "sentiment")]
    known = thresholds.get(candidate.model, {})
    for topic, probability in zip(candidate.topics, candidate.probabilities, strict=True):
        found.append(Margin(max(0.0, 2 * (probability - known.get(topic, _ELSE))), topic))
    return min(found, key=lambda one: (one.margin, one.about != "sentiment", one.about))
