"""Names of topics and companies in the reader's language; ids where there is no name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.settings import Settings
from monitor.understand.topics import Taxonomy, load_taxonomy
from monitor.understand.watchlist import SHIPPED_WATCHLIST, Company, read_companies


@dataclass(frozen=True)
class Names:
    """`topics` is the taxonomy, `companies` the watch list by symbol."""

    topics: Taxonomy
    companies: Mapping[str, Company] = field(default_factory=dict)

    def topic(self, id: str, lang: str) -> str:
        """A topic's name."""
        return self.topics[id].name(lang) if id in self.topics else id

    def company(self, symbol: str, lang: str) -> str:
        """A company's name."""
        return self.companies[symbol].name(lang) if symbol in self.companies else symbol

    def below(self, id: str) -> tuple[str, ...]:
        """A topic and every topic under it: what a filter on it means."""
        found = [id]
        for parent in found:
            found += [child.id for child in self.topics.children(parent)]
        return tuple(found)


def load(settings: Settings) -> Names:
    """The names that the settings' taxonomy and watch list give. Raises SettingsError."""
    companies = read_companies(settings.engine.watchlist or SHIPPED_WATCHLIST)
    return Names(load_taxonomy(settings.engine.topics), {company.symbol: company for company in companies})
