"""Names of topics and companies in the reader's language; ids where there is no name."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from monitor.errors import SettingsError
from monitor.settings import Settings
from monitor.understand.topics import Taxonomy, load_taxonomy

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Names:
    """`topics` is the taxonomy, `companies` gives a symbol's English and Chinese name."""

    topics: Taxonomy
    companies: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def topic(self, id: str, lang: str) -> str:
        """A topic's name."""
        return self.topics[id].name(lang) if id in self.topics else id

    def company(self, symbol: str, lang: str) -> str:
        """A company's name."""
        en, zh = self.companies.get(symbol, ("", ""))
        return (zh or en if lang == "zh" else en or zh) or symbol

    def below(self, id: str) -> tuple[str, ...]:
        """A topic and every topic under it: what a filter on it means."""
        found = [id]
        for parent in found:
            found += [child.id for child in self.topics.children(parent)]
        return tuple(found)

    def with_parents(self, ids: Iterable[str]) -> set[str]:
        """These topics and all above them."""
        found = set()
        for id in ids:
            above: str | None = id
            while above is not None and above not in found:
                found.add(above)
                above = self.topics[above].parent if above in self.topics else None
        return found


def load(settings: Settings) -> Names:
    """The names that the settings' taxonomy and watch list give. Raises SettingsError."""
    return Names(load_taxonomy(settings.engine.topics), _companies(settings))


def _companies(settings: Settings) -> dict[str, tuple[str, str]]:
    try:
        from monitor.understand.companies import Watchlist
    except ImportError as error:
        log.warning("companies are shown by their symbols (%s)", error)
        return {}
    try:
        watchlist = Watchlist.load(settings.engine.watchlist)
    except SettingsError:
        raise
    return {company.symbol: (company.en or "", company.zh or "") for company in watchlist}
