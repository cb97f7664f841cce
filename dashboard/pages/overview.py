"""Overview: how negative the talk is, about what, whether that is news, and whether the service is well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html
from sqlalchemy import Connection

from dashboard import charts, query
from dashboard.context import Context, View, address, moment
from dashboard.pages import strip
from dashboard.parts import card, choices, empty, percent, points, select, severity_chip, thousands
from dashboard.ranges import ALL, DEFAULT, RANGES, Range, is_live, resolve, width_for
from dashboard.reason import reason
from monitor.store.queries import alert_pages, curves
from monitor.store.queries.alerts import Alert
from monitor.store.queries.curves import Counts, Ranked, Window

_SORTS = ("negative", "share", "change")
_TOPICS_SHOWN, _RANKED_SHOWN, _HEAT_COLUMNS = 14, 10, 48
# A share of fewer scored documents is no ground to rank by.
_LEAST_SCORED = 5


def layout(view: View, search: str) -> Any:
    """The page, its filters set from the address."""
    t, given = view.t, query.parse(search)
    sorts = [{"value": name, "label": t(f"sort_{name}")} for name in _SORTS]

    def ranking(by: str) -> Any:
        tool = dcc.RadioItems(sorts, "negative", id=f"overview_{by}-sort", className="segments small", inline=True)
        title = t("topics" if by == "topic" else "companies")
        return card(title, html.Div(id=f"overview-{by}"), tools=tool, className="ranking")

    return html.Div(
        [
            html.Div(
                [
                    dcc.RadioItems(
                        [{"value": name, "label": t(f"r{name}")} for name in (*RANGES, ALL)],
                        query.one_of(given.get("range"), (*RANGES, ALL), DEFAULT),
                        id="overview-range",
                        className="segments",
                        inline=True,
                    ),
                    select(view, "overview-lang", t("any_language"), given.get("lang", "")),
                    select(view, "overview-kind", t("any_kind"), given.get("kind", "")),
                    html.Span(id="overview-span", className="span"),
                ],
                className="filters",
            ),
            html.Div(id="overview-empty"),
            html.Div(id="overview-strip", className="strip"),
            html.Div(
                [
                    card(
                        t("curve_title"),
                        html.P(id="overview-curve-hint", className="hint"),
                        dcc.Graph(
                            id="overview-curve", config=charts.CONFIG, figure=_blank(), style={"height": "340px"}
                        ),
                        tools=select(
                            view, "overview-series", t("everything"), given.get("series", ""), searchable=True
                        ),
                        className="main-card",
                    ),
                    card(
                        t("open_alerts"),
                        html.Div(id="overview-alerts", className="alert-list"),
                        tools=dcc.Link(t("see_all_alerts"), href="/alerts", className="quiet"),
                    ),
                ],
                className="row two-one",
            ),
            card(
                t("heat_title"),
                html.Div(
                    dcc.Graph(id="overview-heat", config=charts.CONFIG, figure=_blank(), style={"height": "100%"}),
                    id="overview-heat-box",
                ),
                hint=t("heat_hint"),
            ),
            html.Div([ranking("topic"), ranking("company")], className="row halves"),
            dcc.Store(id="overview-sink"),
            dcc.Store(id="overview-sink2"),
            dcc.Store(id="overview-zoom"),
        ],
        className="overview",
    )


def register(app: Dash, context: Context) -> None:
    """Attach the callbacks that fill the page."""
    app.clientside_callback(
        ClientsideFunction("bellwether", "share"),
        Output("overview-sink", "data"),
        *(Input(f"overview-{name}", "value") for name in ("range", "lang", "kind", "series")),
    )
    app.clientside_callback(
        ClientsideFunction("bellwether", "follow"),
        Output("overview-sink2", "data"),
        Input("overview-heat", "clickData"),
        State("overview-heat", "figure"),
        prevent_initial_call=True,
    )

    app.clientside_callback(
        ClientsideFunction("bellwether", "zoom"),
        Output("overview-zoom", "data"),
        Input("overview-curve", "relayoutData"),
        Input("overview-range", "value"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("overview-strip", "children"),
        Output("overview-span", "children"),
        Output("overview-empty", "children"),
        Output("overview-alerts", "children"),
        Output("overview-lang", "options"),
        Output("overview-kind", "options"),
        Output("overview-series", "options"),
        Input("revision", "data"),
        Input("overview-range", "value"),
        Input("overview-lang", "value"),
        Input("overview-kind", "value"),
    )
    def head(_revision: str, name: str, lang: str | None, kind: str | None) -> Any:
        view = context.view()
        with context.database.transaction() as connection:
            chosen = _chosen(connection, name, lang, kind)
            health = curves.health(connection)
            active = alert_pages.active(connection)
            languages, companies = curves.languages(connection), curves.companies(connection)
            now = before = Counts()
            if chosen:
                _, window = chosen
                now = curves.total(connection, window)
                before = curves.total(connection, window.previous)
        span = chosen[0] if chosen else None
        return (
            strip.cards(view, health, now, before, active),
            _span_line(view, span) if span else "",
            None if span else empty(view.t("empty_record"), view.t("empty_record_hint")),
            _alert_list(view, active),
            choices([(code, view.language(code)) for code in languages]),
            choices([("news", view.t("news")), ("comment", view.t("comment"))]),
            _series_options(view, companies),
        )

    @app.callback(
        Output("overview-curve", "figure"),
        Output("overview-curve-hint", "children"),
        Input("revision", "data"),
        Input("overview-range", "value"),
        Input("overview-lang", "value"),
        Input("overview-kind", "value"),
        Input("overview-series", "value"),
        State("overview-zoom", "data"),
    )
    def curve(_revision: str, name: str, lang: str | None, kind: str | None, series: str | None, zoom: Any) -> Any:
        view = context.view()
        by, _, id = query.clean(series).partition(":")
        topic, company = (id if by == "topic" else "", id if by == "company" else "")
        with context.database.transaction() as connection:
            chosen = _chosen(connection, name, lang, kind)
            if chosen is None:
                return _blank(), ""
            span, window = chosen
            counts = curves.curve(connection, window, span.width, topic=topic, company=company)
            stood = alert_pages.spans(connection, span.start, span.end, topic=topic, company=company)
        hint = view.t("curve_hint", roll=view.span(span.width * charts.ROLL), width=view.span(span.width))
        # The zoom is that of the range that was shown before; with another range it is over.
        kept = zoom if ctx.triggered_id != "overview-range" else None
        return charts.sentiment(view, span, counts, stood, kept), hint

    @app.callback(
        Output("overview-heat", "figure"),
        Output("overview-heat-box", "style"),
        Input("revision", "data"),
        Input("overview-range", "value"),
        Input("overview-lang", "value"),
        Input("overview-kind", "value"),
    )
    def heat(_revision: str, name: str, lang: str | None, kind: str | None) -> Any:
        view = context.view()
        with context.database.transaction() as connection:
            chosen = _chosen(connection, name, lang, kind)
            if chosen is None:
                return _blank(), {"height": 200}
            fine, window = chosen
            width = width_for(fine.end - fine.start, _HEAT_COLUMNS)
            start = curves.bucket_of(fine.start, width)
            span = Range(fine.name, start, fine.end, width)
            found = curves.by_topic(connection, Window(start, window.end, window.lang, window.kind), width)
            overall = curves.total(connection, window)
        most = sorted(found, key=lambda id: -sum(cell.negative for cell in found[id].values()))[:_TOPICS_SHOWN]
        carried = [("lang", window.lang), ("kind", window.kind)]
        figure = charts.heat(view, span, most, found, overall, carried)
        return figure, {"height": 64 + 26 * max(3, len(most))}

    for by in ("topic", "company"):
        _register_ranking(app, context, by)


def _register_ranking(app: Dash, context: Context, by: Any) -> None:
    @app.callback(
        Output(f"overview-{by}", "children"),
        Input("revision", "data"),
        Input("overview-range", "value"),
        Input("overview-lang", "value"),
        Input("overview-kind", "value"),
        Input(f"overview_{by}-sort", "value"),
    )
    def ranking(_revision: str, name: str, lang: str | None, kind: str | None, sort: str) -> Any:
        view = context.view()
        with context.database.transaction() as connection:
            chosen = _chosen(connection, name, lang, kind)
            if chosen is None:
                return empty(view.t("no_ranked"))
            span, window = chosen
            found = curves.ranked(connection, window, by)
        return _ranking(view, by, _sorted(found, sort)[:_RANKED_SHOWN], span, window)


def _chosen(connection: Connection, name: str, lang: str | None, kind: str | None) -> tuple[Range, Window] | None:
    """The range and what to count in it; None while nothing is stored."""
    extent = curves.extent(connection)
    if extent is None:
        return None
    span = resolve(query.one_of(name, (*RANGES, ALL), DEFAULT), *extent)
    return span, Window(span.start, span.end, query.clean(lang) or None, query.clean(kind) or None)


def _span_line(view: View, span: Range) -> Any:
    live = is_live(span.end)
    return [
        html.Span(view.t("live" if live else "historic"), className=f"chip {'live' if live else ''}"),
        html.Span(view.t("span", start=moment(span.start), end=moment(span.end))),
    ]


def _alert_list(view: View, active: Sequence[Alert]) -> Any:
    if not active:
        return empty(view.t("no_open_alerts"))
    return [
        dcc.Link(
            [
                html.Div(
                    [
                        severity_chip(view, alert.severity),
                        html.Span(view.series(alert.series), className="alert-name"),
                        html.Span(view.language(alert.series.lang), className="chip") if alert.series.lang else None,
                        html.Span(view.t("acknowledged"), className="chip state-acknowledged")
                        if alert.state == "acknowledged"
                        else None,
                    ],
                    className="alert-head",
                ),
                html.Div(reason(view, alert), className="alert-reason"),
                html.Div(view.t("since", time=f"{moment(alert.opened_at)} UTC"), className="muted"),
            ],
            href=f"/alert/{alert.id}",
            className=f"alert-item {alert.severity}",
        )
        for alert in active
    ]


def _sorted(found: list[Ranked], sort: str) -> list[Ranked]:
    if sort == "negative":
        return found

    def share(item: Ranked) -> float:
        return item.now.share if item.now.share is not None and item.now.scored >= _LEAST_SCORED else -1.0

    def change(item: Ranked) -> float:
        return _change(item) if _change(item) is not None else -2.0  # type: ignore[return-value]

    return sorted(found, key=share if sort == "share" else change, reverse=True)


def _change(item: Ranked) -> float | None:
    now, before = item.now.share, item.before.share
    if now is None or before is None or min(item.now.scored, item.before.scored) < _LEAST_SCORED:
        return None
    return now - before


def _ranking(view: View, by: str, found: Sequence[Ranked], span: Range, window: Window) -> Any:
    t = view.t
    if not found:
        return empty(t("no_ranked"))
    carried = [("range", span.name), ("lang", window.lang), ("kind", window.kind)]
    rows = []
    for item in found:
        name = view.topic(item.id) if by == "topic" else view.company(item.id)
        change = _change(item)
        tone = "" if change is None or abs(change) < 0.0005 else "worse" if change > 0 else "better"
        width = {"width": f"{(item.now.share or 0) * 100:.1f}%"}
        rows.append(
            html.Tr(
                [
                    html.Td(
                        [
                            dcc.Link(name, href=address("/explore", [(by, item.id), *carried])),
                            html.Span(item.id, className="symbol") if by == "company" and name != item.id else None,
                        ],
                        className="name",
                    ),
                    html.Td(thousands(item.now.total), className="number"),
                    html.Td(thousands(item.now.negative), className="number"),
                    html.Td(
                        [
                            html.Span(html.Span(className="bar-fill", style=width), className="bar"),
                            html.Span(percent(item.now.share), className="number"),
                        ],
                        className="share",
                    ),
                    html.Td(points(change), className=f"number change {tone}", title=t("change_hint")),
                ],
                key=item.id,
            )
        )
    head = html.Tr(
        [
            html.Th(t("topic" if by == "topic" else "company")),
            html.Th(t("docs_short"), className="number"),
            html.Th(t("neg_short"), className="number"),
            html.Th(t("share_short")),
            html.Th(t("change_short"), className="number", title=t("change_hint")),
        ]
    )
    return html.Table([html.Thead(head), html.Tbody(rows)], className="table")


def _series_options(view: View, companies: Sequence[str]) -> list[dict[str, str]]:
    topics = [(f"topic:{topic.id}", f"{view.t('topic')}: {view.topic(topic.id)}") for topic in view.names.topics]
    named = [(f"company:{symbol}", f"{view.company(symbol)} ({symbol})") for symbol in companies]
    return choices(topics + named)


def _blank() -> Any:
    return {
        "data": [],
        "layout": {
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "xaxis": {"visible": False},
            "yaxis": {"visible": False},
        },
    }
