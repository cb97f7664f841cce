"""The labels of the record as examples to learn from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from monitor.documents import Label
from monitor.labelling.majority import Settled, settle
from monitor.settings import EngineSettings
from monitor.store.queries.labels import UNDATED, listed
from monitor.understand.companies import Watchlist
from training.data.examples import Example
from training.labels.entities import by_name

if TYPE_CHECKING:
    from sqlalchemy import Connection


def as_examples(connection: Connection, engine: EngineSettings, *, actor: str = "", lang: str = "") -> list[Example]:
    """What the labellers agree on, one example a document, in the order in which they were labelled.

    Args:
        engine: its watch list says how a text names its companies.
        actor: only this person's labels.
        lang: only documents in this language (ISO 639-1).
    """
    given = list(reversed(listed(connection, actor=actor, lang=lang)))
    watchlist = Watchlist.load(engine.watchlist)
    return [example(settled, watchlist) for settled in settle(given) if settled.says]


def example(settled: Settled, watchlist: Watchlist) -> Example:
    """One document's example."""
    return Example(
        settled.body,
        settled.lang,
        settled.sentiment,
        settled.topics,
        entities=tuple(entities(settled, watchlist).items()),
        at=None if settled.published_at == UNDATED else settled.published_at,
        origin=f"labels:{settled.key}",
        kind=settled.kind,
    )


def entities(settled: Settled, watchlist: Watchlist) -> Mapping[str, Label | None]:
    """The sentiment toward each company, by its name in the text; empty where no company was labelled."""
    if not settled.companies:
        return {}
    companies = dict(settled.companies)
    return by_name(settled.body, watchlist.spans(settled.body, list(companies)), companies)


def tied(settled: Iterable[Settled]) -> list[tuple[Settled, str]]:
    """What was left out because the labellers are of two minds: the document and what of it."""
    return [(one, what) for one in settled for what in one.ties]
