"""What is around every page: header, navigation, the live pulse, and which page an address means."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from dashboard.context import Context, View
from dashboard.pages import alert, alerts, explore, overview

INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<title>{%title%}</title>
<link rel="icon" type="image/svg+xml" href="/assets/mark.svg">
{%css%}
</head>
<body>
{%app_entry%}
<footer>
{%config%}
{%scripts%}
{%renderer%}
</footer>
</body>
</html>"""


def install(app: Dash, context: Context) -> None:
    """Give `app` its layout and the callbacks that belong to no page."""

    def layout() -> Any:
        return _frame(context)

    app.layout = layout

    app.clientside_callback(ClientsideFunction("bellwether", "route"), Output("route", "data"), Input("url", "href"))
    app.clientside_callback(
        ClientsideFunction("bellwether", "clock"),
        Output("status", "children"),
        Output("status", "className"),
        Output("banner", "children"),
        Output("banner", "hidden"),
        Input("second", "n_intervals"),
        Input("pulse", "data"),
        State("labels", "data"),
    )
    app.clientside_callback(
        ClientsideFunction("bellwether", "language"), Output("sink-language", "data"), Input("language", "n_clicks")
    )
    app.clientside_callback(
        ClientsideFunction("bellwether", "theme"), Output("sink-theme", "data"), Input("theme", "n_clicks")
    )

    @app.callback(
        Output("page", "children"),
        Output("nav", "children"),
        Input("route", "data"),
        prevent_initial_call=True,
    )
    def show(route: dict[str, str] | None) -> Any:
        if not route:
            return no_update, no_update
        view = context.view()
        path, query = route.get("path", "/"), route.get("search", "")
        return _page(view, path, query), _navigation(view, path)

    @app.callback(
        Output("revision", "data"),
        Output("pulse", "data"),
        Input("tick", "n_intervals"),
        State("revision", "data"),
    )
    def beat(count: int, revision: str | None) -> Any:
        found = context.pulse.beat()
        changed = found.well and found.revision != revision
        return found.revision if changed else no_update, {"well": found.well, "count": count}


def _frame(context: Context) -> Any:
    view = context.view()
    t = view.t
    labels: dict[str, Any] = {key: t(key) for key in ("updated", "connecting", "lost", "gone", "stale", "newer")}
    labels |= {"lang": view.lang, "patience": max(10.0, 4 * context.settings.dashboard.refresh)}
    replay = context.database.schema.removeprefix("replay_")
    tools: list[Any] = [
        html.Button(t("language"), id="language", className="tool", title="English / 中文", lang="zh"),
        html.Button("◐", id="theme", className="tool", title=t("theme")),
    ]
    if context.login:
        tools.append(
            html.Form(
                html.Button(t("logout"), className="tool", type="submit", title=context.actor),
                action="/logout",
                method="POST",
            )
        )
    return html.Div(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Interval(id="tick", interval=context.settings.dashboard.refresh * 1000),
            dcc.Interval(id="second", interval=1000),
            dcc.Store(id="route"),
            dcc.Store(id="revision"),
            dcc.Store(id="pulse"),
            dcc.Store(id="labels", data=labels),
            dcc.Store(id="sink-language"),
            dcc.Store(id="sink-theme"),
            html.Header(
                [
                    dcc.Link(
                        [html.Span(className="brand-mark"), html.Span("Bellwether", className="brand-name")],
                        href="/",
                        className="brand",
                    ),
                    html.Nav(_navigation(view, ""), id="nav"),
                    html.Span(t("replay", name=replay), className="chip")
                    if replay != context.database.schema
                    else None,
                    html.Span(className="spring"),
                    html.Span(t("connecting"), id="status", className="status", role="status"),
                    html.Div(tools, className="tools"),
                ],
                className="top",
            ),
            html.Div(id="banner", className="banner", role="alert", hidden=True),
            html.Main(id="page"),
        ],
        lang="zh-Hans" if view.lang == "zh" else "en",
        className="frame",
    )


def _navigation(view: View, path: str) -> list[Any]:
    places = (("/", "overview", ("/",)), ("/alerts", "alerts", ("/alert", "/alerts")), ("/explore", "explore", ()))
    found = []
    for href, word, also in places:
        here = path == href or any(path == place or (place != "/" and path.startswith(f"{place}/")) for place in also)
        found.append(dcc.Link(view.t(word), href=href, className="here" if here else ""))
    return found


def _page(view: View, path: str, query: str) -> Any:
    path = path.rstrip("/") or "/"
    if path == "/":
        return overview.layout(view, query)
    if path == "/alerts":
        return alerts.layout(view, query)
    if path == "/explore":
        return explore.layout(view, query)
    for start in ("/alert/", "/alerts/"):
        if path.startswith(start):
            return alert.layout(view, path.removeprefix(start))
    return html.Div(
        [html.H1(view.t("not_found")), dcc.Link(view.t("to_overview"), href="/", className="button")],
        className="empty",
    )
