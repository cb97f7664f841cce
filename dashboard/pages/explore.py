"""Explore: search and filter documents, newest first, and read one in full."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from dash import ALL, ClientsideFunction, Dash, Input, Output, Patch, State, ctx, dcc, html, no_update

from dashboard import query, search
from dashboard.context import Context, View, address
from dashboard.export import MOST_ROWS
from dashboard.pages import document
from dashboard.parts import (
    choices,
    company_chips,
    empty,
    highlighted,
    label_chip,
    select,
    snippet,
    thousands,
    topic_chips,
    when,
)
from dashboard.ranges import RANGES
from monitor.documents import LABELS
from monitor.errors import DatabaseUnavailable, InputError
from monitor.store.queries import curves, documents
from monitor.store.queries.documents import UNSCORED, CompanyScore, Filter, Found

_PAGE, _COUNTED = 40, 10_000


def layout(view: View, address_query: str) -> Any:
    """The page, its filters set from the address."""
    t, given = view.t, query.parse(address_query)
    ranges = [(name, t(f"r{name}")) for name in RANGES]
    labels = [(label, t(label)) for label in (*LABELS, UNSCORED)]

    def filter_by(name: str, options: Sequence[tuple[str, str]] = (), *, words: str = "", wide: bool = False) -> Any:
        value = given.get(name, "")
        if options and value not in dict(options):
            value = ""
        return select(view, f"explore-{name}", words or t(f"any_{name}"), value, options, searchable=wide)

    def typed(name: str, words: str, hint: str, css: str) -> Any:
        box = dcc.Input(
            id=f"explore-{name}",
            value=given.get(name, ""),
            placeholder=hint,
            debounce=0.4,
            type="text",
            maxLength=200,
            autoComplete="off",
            className="typed",
        )
        return html.Label([html.Span(words, className="unseen"), box], className=css)

    return html.Div(
        [
            html.Div(
                [
                    typed("q", t("search"), t("search_hint"), "words"),
                    filter_by("topic", words=t("any_topic"), wide=True),
                    filter_by("company", words=t("any_company"), wide=True),
                    filter_by("label", labels, words=t("any_sentiment")),
                    filter_by("lang", words=t("any_language")),
                    filter_by("kind", [("news", t("news")), ("comment", t("comment"))], words=t("any_kind")),
                    filter_by("source", words=t("any_source"), wide=True),
                    filter_by("range", ranges, words=t("range")),
                    typed("from", t("from"), t("from"), "time"),
                    typed("to", t("to"), t("to"), "time"),
                ],
                className="filters explore-filters",
            ),
            html.Div(
                [
                    html.Span(id="explore-count", className="span"),
                    html.Button(t("newer"), id="explore-newer", className="button small", hidden=True),
                    html.Span(className="spring"),
                    dcc.Link(t("clear"), href="/explore", className="quiet"),
                    dcc.Link(
                        t("to_label"), href="/explore?pick=label", className="button small", title=t("to_label_hint")
                    ),
                    html.A(
                        f"↓ {t('export')}",
                        id="explore-export",
                        href="/export.csv",
                        className="button small",
                        title=t("export_hint", n=thousands(MOST_ROWS)),
                    ),
                ],
                className="under-filters",
            ),
            html.Div(
                [
                    html.Div(
                        [
                            html.Div(id="explore-list", className="documents"),
                            html.Button(t("older"), id="explore-older", className="button older", hidden=True),
                        ]
                    ),
                    html.Aside(
                        [
                            html.Button("×", id="explore-close", className="close", title=t("close")),
                            html.Div(id="explore-panel"),
                        ],
                        id="explore-aside",
                        className="card aside",
                        hidden=True,
                    ),
                ],
                id="explore-body",
                className="explore-body",
            ),
            dcc.Store(id="explore-doc", data=given.get("doc", "")),
            dcc.Store(id="explore-pick", data=query.one_of(given.get("pick"), ("label",))),
            dcc.Store(id="explore-seen"),
            dcc.Store(id="explore-cursor"),
            dcc.Store(id="explore-paged", data=False),
            dcc.Store(id="explore-sink"),
        ],
        className="explore picking" if given.get("pick") == "label" else "explore",
    )


def register(app: Dash, context: Context) -> None:
    """Attach the callbacks that fill the page."""
    filters = [Input(f"explore-{name}", "value") for name in search.FIELDS]
    app.clientside_callback(
        ClientsideFunction("bellwether", "share"),
        Output("explore-sink", "data"),
        *filters,
        Input("explore-doc", "data"),
        Input("explore-pick", "data"),
    )
    app.clientside_callback(
        ClientsideFunction("bellwether", "fresh"),
        Output("explore-seen", "data"),
        Output("explore-newer", "hidden"),
        Input("revision", "data"),
        Input("explore-newer", "n_clicks"),
        State("explore-seen", "data"),
        State("explore-paged", "data"),
    )

    @app.callback(
        Output("explore-list", "children"),
        Output("explore-count", "children"),
        Output("explore-older", "hidden"),
        Output("explore-cursor", "data"),
        Output("explore-paged", "data"),
        Output("explore-export", "href"),
        Input("explore-seen", "data"),
        *filters,
        State("explore-pick", "data"),
    )
    def fill(_seen: str, *given_values: str | None) -> Any:
        *values, pick = given_values
        if pick:  # `to_label` fills the list
            return (no_update,) * 6
        view = context.view()
        given = dict(zip(search.FIELDS, values, strict=True))
        try:
            with context.database.transaction() as connection:
                wanted = search.meant(given, context.names, curves.extent(connection))
                found = documents.page(connection, wanted, limit=_PAGE + 1)
                number = documents.count(connection, wanted, at_most=_COUNTED + 1)
        except InputError as error:
            return empty(str(error)), "", True, None, False, no_update
        except ValueError:
            return empty(view.t("bad_time")), "", True, None, False, no_update
        shown = found[:_PAGE]
        return (
            [listed(view, item, wanted) for item in shown] or _nothing(view, given),
            _number(view, number),
            len(found) <= _PAGE,
            _cursor(shown),
            False,
            address("/export.csv", [(name, query.clean(value)) for name, value in given.items()]),
        )

    @app.callback(
        Output("explore-list", "children", allow_duplicate=True),
        Output("explore-older", "hidden", allow_duplicate=True),
        Output("explore-cursor", "data", allow_duplicate=True),
        Output("explore-paged", "data", allow_duplicate=True),
        Input("explore-older", "n_clicks"),
        State("explore-cursor", "data"),
        *(State(f"explore-{name}", "value") for name in search.FIELDS),
        prevent_initial_call=True,
    )
    def older(clicks: int | None, cursor: list[str] | None, *values: str | None) -> Any:
        if not clicks or not cursor:
            return (no_update,) * 4
        view = context.view()
        given = dict(zip(search.FIELDS, values, strict=True))
        before = (datetime.fromisoformat(cursor[0]), UUID(cursor[1]))
        with context.database.transaction() as connection:
            wanted = search.meant(given, context.names, curves.extent(connection))
            found = documents.page(connection, wanted, limit=_PAGE + 1, before=before)
        more = Patch()
        more.extend([listed(view, item, wanted) for item in found[:_PAGE]])
        return more, len(found) <= _PAGE, _cursor(found[:_PAGE]), True

    @app.callback(
        Output("explore-topic", "options"),
        Output("explore-company", "options"),
        Output("explore-lang", "options"),
        Output("explore-source", "options"),
        Input("revision", "data"),
    )
    def options(_revision: str) -> Any:
        view = context.view()
        with context.database.transaction() as connection:
            companies, languages = curves.companies(connection), curves.languages(connection)
            sources = documents.sources(connection)
        return (
            choices([(topic.id, view.topic(topic.id)) for topic in view.names.topics]),
            choices([(symbol, f"{view.company(symbol)} ({symbol})") for symbol in companies]),
            choices([(code, view.language(code)) for code in languages]),
            choices([(source, source) for source in sources]),
        )

    @app.callback(
        Output("explore-doc", "data"),
        Input({"type": "document", "key": ALL}, "n_clicks"),
        Input("explore-close", "n_clicks"),
        State("explore-doc", "data"),
        prevent_initial_call=True,
    )
    def choose(clicks: list[int | None], _close: int | None, chosen: str) -> Any:
        who = ctx.triggered_id
        if who == "explore-close":
            return ""
        # A list that was filled anew also triggers this; only a click counts.
        if not isinstance(who, dict) or not ctx.triggered[0]["value"] or not any(clicks):
            return no_update
        return "" if who["key"] == chosen else who["key"]

    @app.callback(
        Output("explore-panel", "children"),
        Output("explore-aside", "hidden"),
        Output("explore-body", "className"),
        Input("explore-doc", "data"),
        State("explore-q", "value"),
    )
    def show(key: str, words: str | None) -> Any:
        if not key:
            return [], True, "explore-body"
        view = context.view()
        try:
            identity = UUID(query.clean(key))
        except ValueError:
            return document.panel(view, None, ""), False, "explore-body open"
        try:
            with context.database.transaction() as connection:
                found = documents.details(connection, identity)
        except DatabaseUnavailable:
            return [empty(view.t("try_later"))], False, "explore-body open"
        return document.panel(view, found, query.clean(words)), False, "explore-body open"


def listed(view: View, item: Found, wanted: Filter, reason: Any = None) -> Any:
    """A document in the list; `reason` is why it stands there, where that is not the filter."""
    words = wanted.words
    text = item.text if item.text != item.title else ""
    # Who looks for a company is shown the sentiment toward it.
    score: Found | CompanyScore = next((toward for toward in item.toward if toward.company == wanted.company), item)
    return html.Article(
        [
            html.Div(
                [
                    when(item.published_at),
                    html.Span(item.source, className="source"),
                    html.Span(view.t(f"kind_{item.kind}"), className="muted"),
                    html.Span(view.language(item.lang), className="muted"),
                    reason,
                    html.Span(className="spring"),
                    label_chip(view, score.label, getattr(score, score.label) if score.label else None),
                ],
                className="meta",
            ),
            html.Button(
                [
                    html.Span(highlighted(item.title, words), className="title") if item.title else None,
                    html.Span(highlighted(snippet(text, words), words), className="text") if text else None,
                ],
                id={"type": "document", "key": str(item.key)},
                className="reading",
                lang=item.lang,
                title=view.t("details"),
            ),
            html.Div(
                [*company_chips(view, item.companies, item.toward), *topic_chips(view, item.topics)], className="chips"
            ),
        ],
        className=f"document {score.label or 'unscored'}",
        key=str(item.key),
    )


def _nothing(view: View, given: dict[str, str | None]) -> Any:
    if any(given.values()):
        return empty(view.t("no_found"), view.t("no_found_hint"))
    return empty(view.t("empty_record"), view.t("empty_record_hint"))


def _number(view: View, number: int) -> str:
    if number > _COUNTED:
        return view.t("found_many", n=thousands(_COUNTED))
    return view.t("found_one") if number == 1 else view.t("found", n=thousands(number))


def _cursor(shown: Sequence[Found]) -> list[str] | None:
    return [shown[-1].published_at.isoformat(), str(shown[-1].key)] if shown else None
