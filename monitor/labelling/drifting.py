"""What has changed: documents whose words and scores set the present apart from what came before or was labelled.

Each document is a set of features: its words, topics, sentiment and source. A feature's weight is the log-odds ratio
with an informative Dirichlet prior between now and before, in standard deviations (Monroe, Colaresi and Quinn 2008, as
in `monitor/alerts/words.py`); a document's drift is the mean of its five largest weights. How far the shares of topics
and of sentiment have moved as a whole is told by the population stability index, sum of (a - e) ln(a / e), which is
the symmetric Kullback-Leibler divergence of the two: by convention in credit scoring below 0.1 is stable, above 0.25 is
a shift.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from monitor.alerts.words import PRIOR, words_of
from monitor.documents import LABELS
from monitor.labelling.majority import Settled
from monitor.store.queries.candidates import Candidate

LEAST_Z = 1.64
LEAST_DOCUMENTS = 2
STRONGEST = 5
SHIFT = 0.1
_MARK = "\x1f"  # no word holds it


@dataclass(frozen=True, slots=True)
class Shift:
    """A share that moved: of documents with a topic, or of a sentiment. `index` is its part of the PSI, at least 0."""

    what: str
    before: float
    now: float
    index: float


@dataclass(frozen=True)
class Drift:
    """How the present differs.

    Attributes:
        against: what it was compared with: `labels` or `before`.
        compared: how many documents that was.
        weights: feature → standard deviations by which it is more frequent now.
        shifts: of topics and sentiments, the largest first.
    """

    against: str
    compared: int
    weights: dict[str, float] = field(default_factory=dict)
    shifts: tuple[Shift, ...] = ()

    def of(self, candidate: Candidate) -> tuple[float, tuple[str, ...]]:
        """How far a document stands for what is new, at least 0, and the features that say so, strongest first."""
        return self._of(features(candidate))

    def _of(self, found: Iterable[str]) -> tuple[float, tuple[str, ...]]:
        strong = sorted(((self.weights[name], name) for name in found if name in self.weights), reverse=True)
        top = strong[:STRONGEST]
        return sum(weight for weight, _ in top) / STRONGEST, tuple(name for _, name in top)


def features(candidate: Candidate) -> set[str]:
    """The words of a document and what was made of it, marked so that no word can be taken for it."""
    return (
        words_of(candidate.body)
        | {f"topic{_MARK}{topic}" for topic in candidate.topics}
        | {f"sentiment{_MARK}{candidate.label}", f"source{_MARK}{candidate.source}"}
    )


def plain(feature: str) -> str:
    """A feature as people read it: `fire`, `topic macro`."""
    return feature.replace(_MARK, " ")


def since_before(now: Sequence[Candidate], before: Sequence[Candidate]) -> Drift:
    """What sets `now` apart from earlier documents; near-duplicates should have been left out of both."""
    shifts = _shifts([(one.topics, one.label) for one in now], [(one.topics, one.label) for one in before])
    weights = _weights([features(one) for one in now], [features(one) for one in before])
    return Drift("before", len(before), weights, shifts)


def since_labelled(now: Sequence[Candidate], labelled: Sequence[Settled]) -> Drift:
    """What sets `now` apart from the labelled texts. Sources are not compared: labels do not keep them."""
    then = []
    for one in labelled:
        found = words_of(one.body) | {f"topic{_MARK}{topic}" for topic in one.topics or ()}
        then.append(found | ({f"sentiment{_MARK}{one.sentiment}"} if one.sentiment else set()))
    source = f"source{_MARK}"
    here = [{name for name in features(one) if not name.startswith(source)} for one in now]
    shifts = _shifts([(one.topics, one.label) for one in now], [(one.topics, one.sentiment) for one in labelled])
    return Drift("labels", len(labelled), _weights(here, then), shifts)


def _weights(now: Sequence[set[str]], before: Sequence[set[str]]) -> dict[str, float]:
    if not now or not before:
        return {}
    here, there = Counter(name for one in now for name in one), Counter(name for one in before for name in one)
    total_here, total_there = sum(here.values()), sum(there.values())
    strength = PRIOR * (total_here + total_there)
    found = {}
    for name, count in here.items():
        if count < LEAST_DOCUMENTS:
            continue
        prior = PRIOR * (count + there[name])
        above, below = count + prior, there[name] + prior
        rest_above, rest_below = total_here + strength - above, total_there + strength - below
        if rest_above <= 0 or rest_below <= 0:
            continue
        delta = math.log(above / rest_above) - math.log(below / rest_below)
        z = delta / math.sqrt(1 / above + 1 / below)
        if z >= LEAST_Z:
            found[name] = round(z, 4)
    return found


def _shifts(
    now: Sequence[tuple[Sequence[str] | None, str | None]], before: Sequence[tuple[Sequence[str] | None, str | None]]
) -> tuple[Shift, ...]:
    """The parts of the population stability index, for each topic (with it against without) and each sentiment."""
    found = []
    here, there = ([topics for topics, _ in rows if topics is not None] for rows in (now, before))
    if here and there:
        counts, other = (Counter(topic for topics in rows for topic in topics) for rows in (here, there))
        for topic in sorted(counts.keys() | other.keys()):
            a, e = _share(counts[topic], len(here), 2), _share(other[topic], len(there), 2)
            index = _index(a, e) + _index(1 - a, 1 - e)
            found.append(Shift(topic, other[topic] / len(there), counts[topic] / len(here), index))
    said, before_said = ([label for _, label in rows if label is not None] for rows in (now, before))
    if said and before_said:
        for label in LABELS:
            a = _share(said.count(label), len(said), len(LABELS))
            e = _share(before_said.count(label), len(before_said), len(LABELS))
            found.append(
                Shift(label, before_said.count(label) / len(before_said), said.count(label) / len(said), _index(a, e))
            )
    return tuple(sorted(found, key=lambda shift: (-shift.index, shift.what)))


def _share(count: int, total: int, classes: int) -> float:
    """A share that is never 0 or 1: half a document more in each class (Jeffreys)."""
    return (count + 0.5) / (total + 0.5 * classes)


def _index(a: float, e: float) -> float:
    return (a - e) * math.log(a / e)
