"""One alert: why, how it went on, what is behind it, and what people did about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from dash import Dash, Input, Output, State, ctx, dcc, html, no_update

from dashboard import charts, query
from dashboard.context import Context, View, address, moment
from dashboard.parts import card, chance, empty, facts, link_out, severity_chip, state_chip, thousands, when
from dashboard.reason import bounded, reason, times_expected
from monitor.alerts import lifecycle, numerals
from monitor.errors import AlertConflict, DatabaseUnavailable, InputError
from monitor.store.queries import alerts, curves
from monitor.store.queries.alerts import Alert, AlertEvent
from monitor.store.queries.curves import Counts, Window

_ACTIONS = ("acknowledge", "unacknowledge", "resolve", "reopen", "comment")
_SHOWN = {"height": "340px"}
# How much of what came after the alert its curve shows.
_AFTERWARDS = timedelta(days=1)


def layout(view: View, id: str) -> Any:
    """The page. What people type into stands apart from what is filled in again and again."""
    t = view.t
    words = {"comment": "add_comment"}
    buttons = [
        html.Button(
            t(words.get(action, action)),
            id=f"alert-{action}",
            className=f"button {'primary' if action == 'acknowledge' else ''}",
            hidden=action != "comment",
        )
        for action in _ACTIONS
    ]
    return html.Div(
        [
            dcc.Store(id="alert-id", data=query.clean(id)),
            dcc.Store(id="alert-done"),
            dcc.Link(f"← {t('back_alerts')}", href="/alerts", className="quiet back"),
            html.Div(id="alert-head"),
            html.Div(
                [
                    html.Div(
                        [
                            html.Section(
                                [
                                    html.Div(html.H2(id="alert-curve-title"), className="card-head"),
                                    dcc.Graph(id="alert-curve", config=charts.CONFIG, style=_SHOWN),
                                    html.P(t("no_curve"), id="alert-no-curve", className="hint", hidden=True),
                                ],
                                className="card",
                            ),
                            card(t("stories"), html.Div(id="alert-stories"), hint=t("stories_hint")),
                        ],
                        className="stack",
                    ),
                    html.Div(
                        [
                            card(
                                t("history"),
                                html.Div(id="alert-history"),
                                dcc.Textarea(
                                    id="alert-note",
                                    placeholder=t("note_hint"),
                                    className="note",
                                    maxLength=lifecycle.LONGEST_NOTE,
                                ),
                                html.Div(buttons, className="buttons"),
                                html.P(id="alert-message", className="message", role="status"),
                            ),
                            html.Div(id="alert-evidence", className="stack"),
                        ],
                        className="stack",
                    ),
                ],
                id="alert-body",
                className="row two-one",
            ),
        ]
    )


def register(app: Dash, context: Context) -> None:
    """Attach the callbacks that fill the page and act on it."""

    @app.callback(
        Output("alert-head", "children"),
        Output("alert-body", "hidden"),
        Output("alert-curve", "figure"),
        Output("alert-curve", "style"),
        Output("alert-no-curve", "hidden"),
        Output("alert-curve-title", "children"),
        Output("alert-stories", "children"),
        Output("alert-history", "children"),
        Output("alert-evidence", "children"),
        *(Output(f"alert-{action}", "hidden") for action in _ACTIONS if action != "comment"),
        Input("revision", "data"),
        Input("alert-done", "data"),
        State("alert-id", "data"),
    )
    def fill(_revision: str, _done: int, id: str) -> Any:
        view = context.view()
        with context.database.transaction() as connection:
            alert = alerts.get(connection, query.clean(id))
            if alert is None:
                return (empty(view.t("no_alert")), True, *[no_update] * 11)
            events = alerts.events(connection, alert.id)
            since = _since(connection, alert)
        step, points = _curve(alert)
        window = timedelta(minutes=alert.window_minutes)
        figure = charts.expectation(view, points, step, alert.opened_at, window, since)
        return (
            _head(view, alert),
            False,
            figure if points else no_update,
            _SHOWN if points else {"display": "none"},
            bool(points),
            view.t("curve", width=view.span(step)),
            _stories(view, alert),
            _history(view, events),
            _evidence(view, alert),
            alert.state != "open",
            alert.state != "acknowledged",
            alert.state == "resolved",
            not (alert.state == "resolved" and "open" in alert.tracked),
        )

    @app.callback(
        Output("alert-message", "children"),
        Output("alert-message", "className"),
        Output("alert-note", "value"),
        Output("alert-done", "data"),
        *(Input(f"alert-{action}", "n_clicks") for action in _ACTIONS),
        State("alert-note", "value"),
        State("alert-id", "data"),
        State("alert-done", "data"),
        prevent_initial_call=True,
    )
    def act(*given: Any) -> Any:
        view = context.view()
        action = str(ctx.triggered_id).removeprefix("alert-")
        if action not in _ACTIONS or not any(given[: len(_ACTIONS)]):
            return no_update
        note, id, done = str(given[-3] or ""), query.clean(given[-2]), given[-1] or 0
        try:
            _act(context, action, id, context.actor, note)
        except (InputError, AlertConflict) as error:
            return str(error), "message bad", no_update, done + 1
        except DatabaseUnavailable:
            return view.t("try_later"), "message bad", no_update, no_update
        return view.t("done"), "message good", "", done + 1


def _act(context: Context, action: str, id: str, actor: str, note: str) -> None:
    with context.database.transaction() as connection:
        if action == "acknowledge":
            lifecycle.acknowledge(connection, id, actor, note)
        elif action == "unacknowledge":
            lifecycle.unacknowledge(connection, id, actor, note)
        elif action == "resolve":
            lifecycle.resolve(connection, id, actor, context.settings, note)
        elif action == "reopen":
            lifecycle.reopen(connection, id, actor, note)
        else:
            lifecycle.comment(connection, id, actor, note)


def _curve(alert: Alert) -> tuple[timedelta, list[Mapping[str, Any]]]:
    curve = alert.evidence.get("curve") or {}
    return timedelta(minutes=curve.get("step_minutes", 15)), list(curve.get("points", ()))


def _since(connection: Any, alert: Alert) -> dict[Any, Counts]:
    """Negatives after the alert was raised, in the steps of its curve; up to a day or the newest document."""
    step, points = _curve(alert)
    extent = curves.extent(connection)
    if extent is None or not points:
        return {}
    start = alert.opened_at
    whole = (min(extent[1], start + _AFTERWARDS) - start) // step
    if whole < 1:
        return {}
    window = Window(start, start + whole * step, alert.series.lang or None)
    series = {"topic": alert.series.topic, "company": alert.series.company}
    found = curves.curve(connection, window, step, origin=start, **series)
    return {start + i * step: found.get(start + i * step, Counts()) for i in range(whole)}


def _head(view: View, alert: Alert) -> Any:
    t = view.t
    ended: Any = None
    if alert.resolved_at:
        by = alert.resolved_by or t("by_calm")
        ended = [when(alert.resolved_at), f" UTC · {by}"]
    acknowledged: Any = None
    if alert.acknowledged_at:
        acknowledged = [when(alert.acknowledged_at), f" UTC · {alert.acknowledged_by}"]
    window = view.span(timedelta(minutes=alert.window_minutes))
    figures = [
        (t("observed"), thousands(alert.observed), t("of_total", n=thousands(alert.total), window=window)),
        (t("expected"), bounded(view, numerals.count(alert.expected)), ""),
        (t("lift"), times_expected(view, alert), ""),
        (t("p_value"), chance(alert.p_value), ""),
    ]
    times = [(t("opened"), [when(alert.opened_at), " UTC"])]
    times += [(t("acknowledged"), acknowledged)] if acknowledged else []
    times += [(t("ended"), ended)] if ended else []
    return html.Section(
        [
            html.Div(
                [
                    html.H1(view.series(alert.series)),
                    html.Span(view.language(alert.series.lang), className="chip") if alert.series.lang else None,
                    severity_chip(view, alert.severity),
                    state_chip(view, alert),
                ],
                className="alert-title",
            ),
            html.P(reason(view, alert), className="lead"),
            html.Div(
                [
                    html.Div(
                        [
                            html.Div(name, className="figure-name"),
                            html.Div(value, className="figure-value"),
                            html.Div(note, className="figure-note"),
                        ],
                        className="figure",
                    )
                    for name, value, note in figures
                ],
                className="strip four",
            ),
            facts(times),
        ],
        className=f"card alert-card {alert.severity}",
    )


def _stories(view: View, alert: Alert) -> Any:
    t = view.t
    stories = list(alert.evidence.get("stories", ()))
    start = alert.opened_at - timedelta(minutes=alert.window_minutes)
    href = address(
        "/explore",
        [
            ("topic", alert.series.topic),
            ("company", alert.series.company),
            ("label", "negative"),
            ("lang", alert.series.lang),
            ("from", moment(start)),
            ("to", moment(alert.opened_at)),
        ],
    )
    items = []
    for story in stories:
        copies = int(story.get("copies", 1))
        first = str(story.get("first_seen", ""))
        details = [
            t("copy") if copies == 1 else t("copies", n=copies),
            t("first_seen", time=f"{first[:10]} {first[11:16]} UTC") if first else "",
            ", ".join(str(source) for source in story.get("sources", ())),
        ]
        key = story.get("key")
        items.append(
            html.Li(
                [
                    html.Span(thousands(copies), className="copies", title=details[0]),
                    html.Div(
                        [
                            link_out(str(story.get("headline", "")), story.get("url"), className="headline"),
                            html.Div(
                                [
                                    html.Span(" · ".join(part for part in details if part)),
                                    dcc.Link(t("details"), href=address("/explore", [("doc", str(key))]))
                                    if key
                                    else None,
                                ],
                                className="muted",
                            ),
                        ]
                    ),
                ]
            )
        )
    listed = html.Ol(items, className="stories") if items else empty(t("no_stories"))
    return [listed, dcc.Link(t("read_documents"), href=href, className="button")]


def _history(view: View, events: Sequence[AlertEvent]) -> Any:
    items = []
    for event in events:
        actor = view.t("detector") if event.actor == "detector" else event.actor
        did = view.t(f"act_{event.action}") if event.action in _KNOWN else event.action
        items.append(
            html.Li(
                [
                    html.Div([html.B(actor), f" {did}"]),
                    html.Div(event.note, className="said") if event.note else None,
                    html.Div([when(event.at), " UTC"], className="muted"),
                ],
                className=f"event {event.action}",
            )
        )
    return html.Ol(items, className="history")


_KNOWN = {"open", "escalate", "acknowledge", "unacknowledge", "reopen", "comment", "resolve"}


def _evidence(view: View, alert: Alert) -> list[Any]:
    t, evidence = view.t, alert.evidence
    found = []
    words = [
        html.Span([str(word["word"]), html.Small(f" {word['count']}")], className="chip word")
        for word in evidence.get("words", ())
    ]
    if words:
        found.append(card(t("words"), html.Div(words, className="chips")))
    for title, key, name in (
        ("companies", "symbol", view.company),
        ("topics", "id", view.topic),
        ("sources", "name", str),
    ):
        items = list(evidence.get(title, ()))
        if items:
            found.append(card(t(title), _counted([(name(str(item[key])), int(item["count"])) for item in items])))
    return found


def _counted(items: Sequence[tuple[str, int]]) -> Any:
    most = max((count for _, count in items), default=1) or 1
    return html.Table(
        [
            html.Tr(
                [
                    html.Td(name, className="name"),
                    html.Td(
                        html.Span(
                            html.Span(className="bar-fill", style={"width": f"{count / most * 100:.0f}%"}),
                            className="bar",
                        ),
                        className="share",
                    ),
                    html.Td(thousands(count), className="number"),
                ]
            )
            for name, count in items
        ],
        className="table plain",
    )
