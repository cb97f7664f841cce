"""Understanding as one step: language, companies, fingerprint, topics and sentiment of each document.

A document that concerns several companies is also scored toward each of them, on the text marked for that company
(`toward.py`), in the same call of the engine as all other texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

from monitor.documents import Document, ShadowScore, Understanding
from monitor.settings import EngineSettings
from monitor.understand.asked import Asked
from monitor.understand.companies import Watchlist
from monitor.understand.engine import Engine, load_seat
from monitor.understand.language import detect
from monitor.understand.lineup import Lineup
from monitor.understand.novelty import fingerprint
from monitor.understand.shadow import Shadows
from monitor.understand.toward import aimed


class Reader:
    """Reads documents. Loading takes seconds: the models come up here.

    Raises:
        BundleError: a model folder cannot be used.
        SettingsError, InputError: the watch list or the taxonomy cannot be used.
    """

    def __init__(self, settings: EngineSettings, lineup: Lineup | None = None) -> None:
        """Load the models of a lineup, by default those the settings name; a shadow that fails to load is left out."""
        self.watchlist = Watchlist.load(settings.watchlist)
        self.engine = Engine(settings, lineup)
        loaded = {seat.key: bundle for seat, bundle in self.engine.seats}
        self.shadows = Shadows.load(
            lineup.shadows if lineup else (), lambda seat: loaded.get(seat.key) or load_seat(settings, seat)
        )
        self._most = settings.toward

    def renewed(self, engine: Engine, shadows: Shadows) -> Reader:
        """A reader like this one with other models."""
        other = copy(self)
        other.engine, other.shadows = engine, shadows
        return other

    def shadow(self, documents: Sequence[Document], understandings: Sequence[Understanding]) -> list[ShadowScore]:
        """What the models in shadow mode say of documents that were read. Never raises."""
        able = self.shadows.toward
        asked = [
            self._about(document, one.lang, one.companies, able)
            for document, one in zip(documents, understandings, strict=True)
        ]
        return self.shadows.score(documents, asked)

    def read(self, documents: Sequence[Document]) -> list[Understanding]:
        """What each document says, in order. No text makes it raise."""
        asked = self.asked(documents)
        scored = self.engine.score(
            [one.body for one in asked], [one.lang for one in asked], [one.aimed for one in asked]
        )
        return [
            Understanding(
                lang=one.lang,
                companies=one.companies,
                fingerprint=fingerprint(one.body),
                model=score.model if score else None,
                sentiment=score.sentiment if score else None,
                topics=score.topics if score else (),
                cut=score.cut if score else False,
                # Empty where the bundle tells no sentiment toward a company.
                toward=tuple(zip(one.targets, score.toward, strict=True)) if score and score.toward else (),
            )
            for one, score in zip(asked, scored, strict=True)
        ]

    def asked(self, documents: Sequence[Document]) -> list[Asked]:
        """What the engine is asked about each document."""
        able = self.engine.toward
        return [self._asked(document, able) for document in documents]

    def _asked(self, document: Document, able: frozenset[str]) -> Asked:
        body = document.body
        lang = detect(body, document.lang)
        return self._about(document, lang, self.watchlist.match(body, document.symbols), able)

    def _about(self, document: Document, lang: str, companies: tuple[str, ...], able: frozenset[str]) -> Asked:
        """What a model is asked; `able` are the languages in which it tells sentiment toward a company."""
        body = document.body
        if lang not in able or not 2 <= len(companies) <= self._most:
            return Asked(body, lang, companies, (), ())
        spans = self.watchlist.spans(body, document.symbols)
        # By first mention; those only the source named follow by symbol.
        targets = tuple(dict.fromkeys([*(symbol for _, _, symbol in spans), *companies]))
        return Asked(body, lang, companies, targets, tuple(aimed(body, spans, target, lang) for target in targets))
