"""Explore's other list: the documents that are worth a label next, each with the reason.

It is made when it is asked for and then stays, so that it does not move under the reader who labels one after the
other.
"""

from __future__ import annotations

from typing import Any, cast

from dash import Dash, Input, Output, html, no_update

from dashboard import query
from dashboard.context import Context, View
from dashboard.pages import explore
from dashboard.parts import empty, thousands
from monitor.documents import TopicScore
from monitor.labelling.selection import Chosen, select
from monitor.labelling.thresholds import at_hand
from monitor.store.queries.documents import Filter, Found

# How many are shown, and among how many of the last week they are chosen: a page should not take long.
_COUNT, _AMONG = 20, 5_000


def register(app: Dash, context: Context) -> None:
    """Attach the callback that fills the list."""

    @app.callback(
        Output("explore-list", "children", allow_duplicate=True),
        Output("explore-count", "children", allow_duplicate=True),
        Output("explore-older", "hidden", allow_duplicate=True),
        Input("explore-pick", "data"),
        Input("explore-lang", "value"),
        prevent_initial_call="initial_duplicate",
    )
    def fill(pick: str, lang: str | None) -> Any:
        if not pick:
            return (no_update,) * 3
        view = context.view()
        thresholds = at_hand(context.settings, context.database)
        with context.database.transaction() as connection:
            found = select(connection, _COUNT, lang=query.clean(lang), most=_AMONG, thresholds=thresholds)
        if not found.chosen:
            return empty(view.t("nothing_to_label")), "", True
        said = view.t("to_label_count", n=len(found.chosen), among=thousands(found.looked_at))
        return [explore.listed(view, _found(one), Filter(), _reason(view, one)) for one in found.chosen], said, True


def _reason(view: View, one: Chosen) -> Any:
    return html.Span(view.t(f"reason_{one.reason}"), className="chip", title=one.why)


def _found(one: Chosen) -> Found:
    document = one.candidate
    topics = tuple(map(TopicScore, document.topics, document.probabilities))
    return Found(
        key=document.key,
        id=document.id,
        published_at=document.published_at,
        source=document.source,
        kind=cast(Any, document.kind),
        title=document.title,
        text=document.text,
        lang=document.lang,
        companies=document.companies,
        url=None,
        author=None,
        label=document.label,
        negative=document.negative,
        neutral=document.neutral,
        positive=document.positive,
        topics=topics,
        model=document.model,
        toward=(),
    )
