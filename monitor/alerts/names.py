"""What companies, topics and series are called, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.documents import Series
from monitor.settings import EngineSettings

_LANGUAGES = {"en": "English", "zh": "Chinese"}


@dataclass(frozen=True)
class Names:
    """Names by symbol and by topic id; what has none is called by its symbol or id."""

    companies: Mapping[str, str] = field(default_factory=dict)
    topics: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, settings: EngineSettings) -> Names:
        """The English names of the watch list and the taxonomy. Raises SettingsError."""
        # Lists of names, no models: both modules read a small file and nothing else.
        from monitor.understand.topics import load_taxonomy
        from monitor.understand.watchlist import SHIPPED_WATCHLIST, read_companies

        return cls(
            {company.symbol: company.name("en") for company in read_companies(settings.watchlist or SHIPPED_WATCHLIST)},
            {topic.id: topic.name("en") for topic in load_taxonomy(settings.topics)},
        )

    def company(self, symbol: str) -> str:
        """The company's name."""
        return self.companies.get(symbol, symbol)

    def topic(self, topic: str) -> str:
        """The topic's name."""
        return self.topics.get(topic, topic)

    def series(self, series: Series) -> str:
        """What a series is about, short enough for a subject line.

        >>> names = Names({"HLVN": "Halvern Bank"}, {"legal": "Law and regulation"})
        >>> names.series(Series("legal", "HLVN", "en")), names.series(Series("", "CANG", "zh"))
        ('Halvern Bank, Law and regulation', 'CANG (Chinese)')
        >>> names.series(Series("", "", "en"))
        'All documents'
        """
        parts = [self.company(series.company)] if series.company else []
        parts += [self.topic(series.topic)] if series.topic else []
        about = ", ".join(parts) or "All documents"
        return about if series.lang == "en" else f"{about} ({self.language(series.lang)})"

    def documents(self, series: Series) -> str:
        """The documents of a series, for a sentence.

        >>> Names({"HLVN": "Halvern Bank"}).documents(Series("", "HLVN", "en"))
        'English documents on Halvern Bank (HLVN)'
        >>> Names().documents(Series("", "", "zh"))
        'Chinese documents'
        """
        about = []
        if series.company:
            name = self.company(series.company)
            about.append(name if name == series.company else f"{name} ({series.company})")
        if series.topic:
            about.append(self.topic(series.topic))
        on = f" on {' within '.join(about)}" if about else ""
        return f"{self.language(series.lang)} documents{on}"

    @staticmethod
    def language(lang: str) -> str:
        """The English name of a language; its code where we know none."""
        return _LANGUAGES.get(lang, lang)
