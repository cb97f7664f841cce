"""How far two people agree beyond chance: Cohen's kappa.

Source: J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20(1),
1960.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from uuid import UUID

from monitor.store.queries.labels import Given


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two people agree on what both labelled.

    `kappa` lies in [-1, 1]: 1 is full agreement, 0 what chance would give. None where both always said the same one
    thing, so that chance would agree as well and nothing can be told.
    """

    first: str
    second: str
    on: str
    shared: int
    same: float
    kappa: float | None


def kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Cohen's kappa of the answers of two people to the same questions: (p_o - p_e) / (1 - p_e).

    >>> kappa([("a", "a"), ("a", "b"), ("b", "b"), ("b", "b")])
    0.5
    """
    number = len(pairs)
    observed = sum(a == b for a, b in pairs) / number
    one, other = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    expected = sum(one[answer] * other[answer] for answer in one) / number**2
    return None if expected == 1.0 else (observed - expected) / (1.0 - expected)


def agreements(given: Iterable[Given]) -> list[Agreement]:
    """The agreement of every two people who labelled the same documents, on sentiment and on topics.

    Sentiment toward companies counts with that of whole texts. For topics each document gives one yes or no for every
    topic that either of the two ever chose on what both labelled.
    """
    sentiment: dict[str, dict[tuple[UUID, str], str]] = {}
    topics: dict[str, dict[UUID, frozenset[str]]] = {}
    for one in given:
        if one.sentiment is not None:
            sentiment.setdefault(one.actor, {})[one.key, one.company] = one.sentiment
        if one.topics is not None:
            topics.setdefault(one.actor, {})[one.key] = frozenset(one.topics)
    found = []
    for first, second in combinations(sorted(sentiment), 2):
        mine, other = sentiment[first], sentiment[second]
        answers = [(mine[place], other[place]) for place in mine if place in other]
        if answers:
            found.append(_agreement(first, second, "sentiment", len(answers), answers))
    for first, second in combinations(sorted(topics), 2):
        chosen, also = topics[first], topics[second]
        shared = [key for key in chosen if key in also]
        every = frozenset[str]().union(*(chosen[key] | also[key] for key in shared))
        decided = [(topic in chosen[key], topic in also[key]) for key in shared for topic in sorted(every)]
        if decided:
            found.append(_agreement(first, second, "topics", len(shared), decided))
    return found


def _agreement(first: str, second: str, on: str, shared: int, pairs: Sequence[tuple[Hashable, Hashable]]) -> Agreement:
    return Agreement(first, second, on, shared, sum(a == b for a, b in pairs) / len(pairs), kappa(pairs))
