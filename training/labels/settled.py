"""What settled labels say toward companies, and on what the labellers are of two minds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from monitor.documents import Label
from monitor.labelling.majority import Settled
from monitor.understand.companies import Watchlist
from training.labels.entities import by_name


def entities(settled: Settled, watchlist: Watchlist) -> Mapping[str, Label | None]:
    """The sentiment toward each company, by its name in the text; empty where no company was labelled."""
    if not settled.companies:
        return {}
    companies = dict(settled.companies)
    return by_name(settled.body, watchlist.spans(settled.body, list(companies)), companies)


def tied(settled: Iterable[Settled]) -> list[tuple[Settled, str]]:
    """What was left out because the labellers are of two minds: the document and what of it."""
    return [(one, what) for one in settled for what in one.ties]
