"""All alerts, the latest first, by filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html

from dashboard import query
from dashboard.context import Context, View
from dashboard.parts import choices, empty, select, severity_chip, state_chip, thousands, when
from dashboard.reason import bounded, reason
from monitor.alerts import numerals
from monitor.store.queries import alert_pages
from monitor.store.queries.alert_pages import AlertFilter
from monitor.store.queries.alerts import Alert

_STATES = ("active", "open", "acknowledged", "resolved")
_SEVERITIES = ("critical", "warning")
_FILTERS = ("state", "severity", "topic", "company", "lang")
_PAGE = 50


def layout(view: View, search: str) -> Any:
    """The page, its filters set from the address."""
    t, given = view.t, query.parse(search)

    def filter_by(name: str, options: Sequence[tuple[str, str]] = (), *, searchable: bool = False) -> Any:
        words = t("any_language" if name == "lang" else f"any_{name}")
        return select(view, f"alerts-{name}", words, given.get(name, ""), options, searchable=searchable)

    return html.Div(
        [
            html.Div(
                [
                    html.H1(t("alerts")),
                    filter_by("state", [(state, t(state)) for state in _STATES]),
                    filter_by("severity", [(severity, t(severity)) for severity in _SEVERITIES]),
                    filter_by("topic", searchable=True),
                    filter_by("company", searchable=True),
                    filter_by("lang"),
                    html.Span(id="alerts-count", className="span"),
                ],
                className="filters",
            ),
            html.Div(id="alerts-list"),
            html.Button(t("older"), id="alerts-more", className="button", hidden=True),
            dcc.Store(id="alerts-shown", data=_PAGE),
            dcc.Store(id="alerts-sink"),
        ]
    )


def register(app: Dash, context: Context) -> None:
    """Attach the callbacks that fill the page."""
    filters = [Input(f"alerts-{name}", "value") for name in _FILTERS]
    app.clientside_callback(ClientsideFunction("bellwether", "share"), Output("alerts-sink", "data"), *filters)

    @app.callback(
        Output("alerts-shown", "data"),
        Input("alerts-more", "n_clicks"),
        State("alerts-shown", "data"),
        prevent_initial_call=True,
    )
    def more(_clicks: int, shown: int) -> int:
        return min(int(shown) + _PAGE, 2000)

    @app.callback(
        Output("alerts-list", "children"),
        Output("alerts-count", "children"),
        Output("alerts-more", "hidden"),
        Output("alerts-topic", "options"),
        Output("alerts-company", "options"),
        Output("alerts-lang", "options"),
        Input("revision", "data"),
        Input("alerts-shown", "data"),
        *filters,
    )
    def fill(_revision: str, shown: int, *values: str | None) -> Any:
        view = context.view()
        wanted = AlertFilter(*(query.clean(value) for value in values))
        limit = min(int(shown), 2000)
        with context.database.transaction() as connection:
            found, matching = alert_pages.listed(connection, wanted, limit=limit)
            topics, companies, languages = alert_pages.seen(connection)
        t = view.t
        return (
            _table(view, found) if found else empty(t("no_alerts"), t("no_alerts_hint")),
            t("alerts_n", n=thousands(matching)),
            matching <= limit,
            choices([(id, view.topic(id)) for id in topics]),
            choices([(symbol, f"{view.company(symbol)} ({symbol})") for symbol in companies]),
            choices([(code, view.language(code)) for code in languages]),
        )


def _table(view: View, found: Sequence[Alert]) -> Any:
    t = view.t
    rows = []
    for alert in found:
        rows.append(
            html.Tr(
                [
                    html.Td([severity_chip(view, alert.severity), state_chip(view, alert)], className="chips"),
                    html.Td(
                        [
                            dcc.Link(view.series(alert.series), href=f"/alert/{alert.id}", className="alert-name"),
                            html.Span(view.language(alert.series.lang), className="chip")
                            if alert.series.lang
                            else None,
                            html.Div(reason(view, alert), className="alert-reason"),
                        ]
                    ),
                    html.Td(when(alert.opened_at), className="time"),
                    html.Td(when(alert.resolved_at) if alert.resolved_at else "–", className="time"),
                    html.Td(thousands(alert.observed), className="number"),
                    html.Td(bounded(view, numerals.count(alert.expected)), className="number"),
                ],
                key=alert.id,
            )
        )
    head = html.Tr(
        [
            html.Th(t("state")),
            html.Th(t("what")),
            html.Th(f"{t('opened')} (UTC)"),
            html.Th(f"{t('ended')} (UTC)"),
            html.Th(t("observed"), className="number"),
            html.Th(t("expected"), className="number"),
        ]
    )
    return html.Div(
        html.Table([html.Thead(head), html.Tbody(rows)], className="table alerts-table"), className="card scroll"
    )
