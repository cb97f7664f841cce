"""Understanding as one step: language, companies, fingerprint, topics and sentiment of each document."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.documents import Document, Understanding
from monitor.settings import EngineSettings
from monitor.understand.companies import Watchlist
from monitor.understand.engine import Engine
from monitor.understand.language import detect
from monitor.understand.novelty import fingerprint


class Reader:
    """Reads documents. Loading takes seconds: the models come up here.

    Raises:
        BundleError: a model folder cannot be used.
        SettingsError, InputError: the watch list or the taxonomy cannot be used.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.watchlist = Watchlist.load(settings.watchlist)
        self.engine = Engine(settings)

    def read(self, documents: Sequence[Document]) -> list[Understanding]:
        """What each document says, in order. No text makes it raise."""
        bodies = [document.body for document in documents]
        langs = [detect(body, document.lang) for body, document in zip(bodies, documents, strict=True)]
        scored = self.engine.score(bodies, langs)
        return [
            Understanding(
                lang=lang,
                companies=self.watchlist.match(body, document.symbols),
                fingerprint=fingerprint(body),
                model=score.model if score else None,
                sentiment=score.sentiment if score else None,
                topics=score.topics if score else (),
            )
            for document, body, lang, score in zip(documents, bodies, langs, scored, strict=True)
        ]
