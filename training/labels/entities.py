"""Companies as labelled files have them: by the name that the text writes, where the record has symbols."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from monitor.documents import Label
from monitor.understand.companies import Watchlist

Spans = Sequence[tuple[int, int, str]]


def names(text: str, spans: Spans) -> dict[str, str]:
    """Symbol → the name that the text has for it most often, the first of those, in the order of mention."""
    written: dict[str, Counter[str]] = {}
    for start, end, symbol in spans:
        written.setdefault(symbol, Counter())[text[start:end]] += 1
    return {symbol: counts.most_common(1)[0][0] for symbol, counts in written.items()}


def by_name(text: str, spans: Spans, companies: Mapping[str, Label]) -> dict[str, Label | None]:
    """The sentiment toward each company by the name in the text.

    Companies that the text mentions and nobody labelled are there with None: whoever marks the text for one company
    has to know all others. A labelled company that only the source named stands under its symbol.
    """
    named = names(text, spans)
    found = {name: companies.get(symbol) for symbol, name in named.items()}
    return found | {symbol: label for symbol, label in companies.items() if symbol not in named}


def symbol_of(name: str, watchlist: Watchlist, among: Sequence[str]) -> str | None:
    """The symbol that a labelled file means by a name; None if the watch list knows no such company, or several.

    Args:
        among: the companies of the document, if it is in the record; one of them is more likely than any other.
    """
    if name in among or name in watchlist:
        return name
    matched = watchlist.match(name) or tuple(filter(None, [watchlist.resolve(name)]))
    likely = [symbol for symbol in matched if symbol in among] or list(matched)
    if len(likely) == 1:
        return likely[0]
    # Names that need a context to be told (Visa, Gap) are known by themselves all the same.
    listed = [company.symbol for company in watchlist if name in company.names()]
    return listed[0] if len(listed) == 1 and not likely else None
