"""Shadow mode: models that score the same texts beside those that serve, to be compared later.

What they say is kept apart and nothing is judged on it. Nothing they do can harm a batch: a shadow that fails is
left out, and one that fails RETRIES batches in a row is not asked again until the lineup changes.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from monitor.documents import Document, ShadowScore
from monitor.understand.engine import decide

if TYPE_CHECKING:
    from monitor.understand.asked import Asked
    from monitor.understand.bundle import Bundle
    from monitor.understand.lineup import Seat

log = logging.getLogger(__name__)
RETRIES = 3


class Shadows:
    """The shadows of a lineup, loaded."""

    def __init__(self, seats: Sequence[tuple[Seat, Bundle]] = ()) -> None:
        self.seats = tuple(seats)
        self._failed: Counter[str] = Counter()

    @classmethod
    def load(cls, seats: Sequence[Seat], load: Callable[[Seat], Bundle]) -> Shadows:
        """Load what can be loaded; what cannot is refused with one line in the log."""
        loaded = []
        for seat in seats:
            try:
                loaded.append((seat, load(seat)))
            except Exception as error:
                log.warning("model %s does not score in shadow mode: %s", seat.model, error)
            else:
                log.info("model %s scores %s in shadow mode", seat.model, ", ".join(seat.languages))
        return cls(loaded)

    @property
    def toward(self) -> frozenset[str]:
        """The languages in which some shadow tells sentiment toward a company."""
        return frozenset(lang for seat, bundle in self.seats if bundle.manifest.toward for lang in seat.languages)

    def score(self, documents: Sequence[Document], asked: Sequence[Asked]) -> list[ShadowScore]:
        """What each shadow says of the documents in its languages, as a whole and toward companies. Never raises.

        Args:
            asked: what there is to ask about each document.
        """
        found: list[ShadowScore] = []
        for seat, bundle in self.seats:
            if self._failed[seat.model] >= RETRIES:
                continue
            chosen = [
                (document, one) for document, one in zip(documents, asked, strict=True) if one.lang in seat.languages
            ]
            if not chosen:
                continue
            marked = [one.aimed if bundle.manifest.toward else () for _, one in chosen]
            try:
                sentiment, topics = bundle.probabilities([*(one.body for _, one in chosen), *chain(*marked)])
                scored = decide(bundle.manifest, sentiment, topics)
            except Exception as error:
                self._failed[seat.model] += 1
                rests = " and is not asked again" if self._failed[seat.model] >= RETRIES else ""
                log.warning("model %s failed in shadow mode%s: %s", seat.model, rests, error)
                continue
            self._failed[seat.model] = 0
            rest = iter(scored[len(chosen) :])
            for (document, one), score, each in zip(chosen, scored, marked, strict=False):
                toward = tuple((target, next(rest).sentiment) for target, _ in zip(one.targets, each, strict=False))
                said = (score.model, score.sentiment, score.topics, toward)
                found.append(ShadowScore(document.published_at, document.key, *said))
        return found
