"""The engine: routes each text to the bundle of its language and turns probabilities into decisions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from monitor.documents import Sentiment, TopicScore
from monitor.settings import EngineSettings
from monitor.understand.bundle import Bundle, load_bundle
from monitor.understand.lineup import Lineup, Seat, check_seat, check_topics, standing
from monitor.understand.manifest import Manifest
from monitor.understand.runtimes.cached import CachedRuntime
from monitor.understand.topics import load_taxonomy

log = logging.getLogger(__name__)

DIGITS = 4
"""Probabilities are rounded to this many decimals before anything is decided on them or stored."""


@dataclass(frozen=True)
class Scored:
    """What a model says of one text.

    `model` is name@version. `topics` are those whose probability reaches the topic's threshold, highest first;
    of equals the one that comes first in the alphabet. There may be none. `toward` are the sentiments of the texts
    marked for single companies, in the order they were given; empty where the model was not taught on such texts.
    `cut`: the text is longer than the model reads.
    """

    model: str
    sentiment: Sentiment
    topics: tuple[TopicScore, ...]
    toward: tuple[Sentiment, ...] = ()
    cut: bool = False


class Engine:
    """All bundles of a lineup, loaded.

    A text's scores depend on the text alone: not on the batch it came in, nor on the order.

    Raises:
        BundleError: a model folder cannot be used; cheap checks of all come before the first is loaded.
        SettingsError: the taxonomy or the device cannot be used, or a model knows a topic the taxonomy does not.
    """

    def __init__(self, settings: EngineSettings, lineup: Lineup | None = None) -> None:
        """Load a lineup; without one, the bundles of the settings."""
        lineup = lineup or standing(settings)
        taxonomy = load_taxonomy(settings.topics)
        for seat in lineup.seats:
            check_topics(check_seat(seat), taxonomy)
        self._seat([(seat, load_seat(settings, seat)) for seat in lineup.seats])
        for seat in lineup.seats:
            log.info("model %s reads %s", seat.model, ", ".join(seat.languages))

    @classmethod
    def of(cls, seats: Sequence[tuple[Seat, Bundle]]) -> Engine:
        """An engine of bundles that are loaded already."""
        engine = cls.__new__(cls)
        engine._seat(seats)
        return engine

    def _seat(self, seats: Sequence[tuple[Seat, Bundle]]) -> None:
        self.seats = tuple(seats)
        self._bundles = {language: loaded for seat, loaded in seats for language in seat.languages}

    @property
    def languages(self) -> frozenset[str]:
        """The languages some bundle covers (ISO 639-1)."""
        return frozenset(self._bundles)

    @property
    def models(self) -> Mapping[str, str]:
        """Language → name@version of the bundle that reads it."""
        return {language: loaded.manifest.model for language, loaded in self._bundles.items()}

    @property
    def toward(self) -> frozenset[str]:
        """The languages whose bundle tells sentiment toward a company from a text marked for it."""
        return frozenset(language for language, loaded in self._bundles.items() if loaded.manifest.toward)

    @property
    def lookups(self) -> Mapping[str, tuple[int, int]]:
        """name@version of each bundle with a score cache → texts it was asked about, and those it remembered."""
        return {
            loaded.manifest.model: (loaded.runtime.asked, loaded.runtime.found)
            for loaded in self._bundles.values()
            if isinstance(loaded.runtime, CachedRuntime)
        }

    @property
    def remembered(self) -> tuple[int, int]:
        """How many texts the loaded bundles were asked about, and of how many they remembered the answer."""
        asked, found = zip((0, 0), *self.lookups.values(), strict=True)
        return sum(asked), sum(found)

    def score(
        self, texts: Sequence[str], langs: Sequence[str], aimed: Sequence[Sequence[str]] | None = None
    ) -> list[Scored | None]:
        """Score each text with the bundle of its language; None where no bundle covers it.

        No text makes it raise: empty ones, 100,000 characters, lone surrogates get a score like any other.

        Args:
            aimed: for each text, the same text marked for single companies (`toward.aimed`); they share the passes of
                the rest. Left out where the bundle was not taught on such texts.
        """
        found: list[Scored | None] = [None] * len(texts)
        groups: dict[int, list[int]] = {}
        for index, lang in enumerate(langs):
            if lang in self._bundles:
                groups.setdefault(id(self._bundles[lang]), []).append(index)
        for members in groups.values():
            loaded = self._bundles[langs[members[0]]]
            marked = [aimed[index] if aimed and loaded.manifest.toward else () for index in members]
            logits = loaded.runtime.logits([*(texts[index] for index in members), *chain(*marked)])
            sentiment, topics = loaded.calibrated(logits)
            decided = decide(loaded.manifest, sentiment[: len(members)], topics[: len(members)])
            rest = iter(np.round(sentiment[len(members) :], DIGITS).tolist())
            for place, (index, scored, each) in enumerate(zip(members, decided, marked, strict=True)):
                toward = tuple(Sentiment(*next(rest)) for _ in each)
                found[index] = replace(scored, toward=toward, cut=place in logits.cut)
        return found


def decide(manifest: Manifest, sentiment: NDArray[np.float64], topics: NDArray[np.float64]) -> list[Scored]:
    """Probabilities (texts, 3) and (texts, topics) to scores, everything decided on rounded values."""
    sentiment = np.round(sentiment, DIGITS)
    topics = np.round(topics, DIGITS)
    least = np.array([manifest.thresholds[topic] for topic in manifest.topics])
    model = manifest.model
    scored = []
    for three, row, passed in zip(sentiment.tolist(), topics.tolist(), topics >= least, strict=True):
        named = [TopicScore(manifest.topics[place], row[place]) for place in np.flatnonzero(passed)]
        named.sort(key=lambda topic: (-topic.probability, topic.id))
        scored.append(Scored(model, Sentiment(*three), tuple(named)))
    return scored


def load_seat(settings: EngineSettings, seat: Seat) -> Bundle:
    """Check and load the bundle of a seat, run as the settings say. Raises as `Engine` does."""
    check_topics(check_seat(seat), load_taxonomy(settings.topics))
    bundle = load_bundle(
        seat.folder,
        device=settings.device,
        runtime=settings.runtime,
        threads=settings.threads,
        tokens=settings.tokens,
        cache=settings.graphs,
    )
    return replace(bundle, runtime=CachedRuntime(bundle.runtime, settings.cache)) if settings.cache else bundle
