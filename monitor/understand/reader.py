"""Understanding as one step: language, companies, fingerprint, topics and sentiment of each document.

A document that concerns several companies is also scored toward each of them, on the text marked for that company
(`toward.py`), in the same call of the engine as all other texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from monitor.documents import Document, Understanding
from monitor.settings import EngineSettings
from monitor.understand.companies import Watchlist
from monitor.understand.engine import Engine
from monitor.understand.language import detect
from monitor.understand.novelty import fingerprint
from monitor.understand.toward import aimed


class Asked(NamedTuple):
    """What the engine is asked about one document.

    `aimed` are the texts marked for each of `targets`; both are empty where the whole text's sentiment counts for all
    of `companies`.
    """

    body: str
    lang: str
    companies: tuple[str, ...]
    targets: tuple[str, ...]
    aimed: tuple[str, ...]


class Reader:
    """Reads documents. Loading takes seconds: the models come up here.

    Raises:
        BundleError: a model folder cannot be used.
        SettingsError, InputError: the watch list or the taxonomy cannot be used.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.watchlist = Watchlist.load(settings.watchlist)
        self.engine = Engine(settings)
        self._most = settings.toward

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
        companies = self.watchlist.match(body, document.symbols)
        if lang not in able or not 2 <= len(companies) <= self._most:
            return Asked(body, lang, companies, (), ())
        spans = self.watchlist.spans(body, document.symbols)
        # By first mention; those only the source named follow by symbol.
        targets = tuple(dict.fromkeys([*(symbol for _, _, symbol in spans), *companies]))
        return Asked(body, lang, companies, targets, tuple(aimed(body, spans, target, lang) for target in targets))
