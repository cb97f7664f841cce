"""The form in a document's panel where the reader says what the text really says.

It stands there as a whole from the beginning; answers of the server change attributes only, so the keyboard's focus
stays where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from dashboard import query
from dashboard.context import Context, View
from dashboard.parts import choices, label_chip, topic_chips, when
from monitor.documents import LABELS, TopicScore
from monitor.errors import DatabaseUnavailable, InputError
from monitor.store.queries import labels
from monitor.store.queries.documents import Details
from monitor.store.queries.labels import Given

# Of a text on more companies than this each one by itself is not asked for.
_COMPANIES = 12
_PRESSED, _LOOSE = "button small pressed", "button small"


def form(view: View, found: Details) -> Any:
    """The form of one document, without anybody's labels yet."""
    t = view.t
    rows = [html.Div([html.Span(t("sentiment"), className="about"), _buttons(view, "", t("sentiment"))])]
    if 2 <= len(found.companies) <= _COMPANIES:
        rows += [
            html.Div([html.Span(name, className="about"), _buttons(view, symbol, name)])
            for symbol in found.companies
            for name in [t("label_toward", name=view.company(symbol))]
        ]
    guessed = [topic.id for topic in found.scores[0].topics] if found.scores else []
    known = [topic.id for topic in view.names.topics]
    options = choices([(id, view.topic(id)) for id in dict.fromkeys([*known, *guessed])])
    return html.Section(
        [
            html.H3(t("your_label")),
            dcc.Store(id="label-key", data=str(found.key)),
            dcc.Store(id="label-done", data=0),
            html.Div(rows, className="label-rows"),
            html.Div(
                [
                    dcc.Dropdown(
                        id="label-topics",
                        options=options,
                        value=guessed,
                        multi=True,
                        placeholder=t("no_topic_fits"),
                        className="select label-topics",
                        labels={
                            "search": t("search"),
                            "no_options_found": t("no_options"),
                            "clear_selection": t("clear"),
                            "clear_search": t("clear"),
                            "select_all": t("select_all"),
                            "deselect_all": t("clear"),
                            "selected_count": t("topics_chosen"),
                        },
                    ),
                    html.Button(
                        t("save_topics"), id="label-topics-save", className="button small", title=t("save_topics_hint")
                    ),
                ],
                className="label-topics-row",
                role="group",
                **_aria(label=t("topics")),
            ),
            html.P(id="label-message", className="message", role="status"),
            html.Ul(id="label-said", className="label-said"),
            html.Button(t("withdraw_label"), id="label-withdraw", className="button small", hidden=True),
        ],
        className="labelling",
    )


def _buttons(view: View, company: str, about: str) -> Any:
    return html.Div(
        [
            html.Button(
                view.t(label),
                id={"type": "label-give", "company": company, "label": label},
                className=_LOOSE,
                **_aria(label=f"{about}: {view.t(label)}", pressed="false"),
            )
            for label in LABELS
        ],
        className="label-buttons",
        role="group",
        **_aria(label=about),
    )


def _aria(**values: str) -> Any:
    """What is said to those who do not see the form."""
    return {f"aria-{name}": value for name, value in values.items()}


def register(app: Dash, context: Context) -> None:
    """Attach the callbacks that show labels and store them."""

    @app.callback(
        Output({"type": "label-give", "company": ALL, "label": ALL}, "className"),
        Output({"type": "label-give", "company": ALL, "label": ALL}, "aria-pressed"),
        Output("label-topics", "value"),
        Output("label-topics-save", "className"),
        Output("label-said", "children"),
        Output("label-withdraw", "hidden"),
        Input("label-key", "data"),
        Input("label-done", "data"),
    )
    def fill(key: str, _done: int) -> Any:
        buttons = [output["id"] for output in ctx.outputs_list[0]]
        with context.database.transaction() as connection:
            said = labels.of_document(connection, _identity(key))
        mine = {one.company: one for one in said if one.actor == context.actor}
        own = mine.get("")
        chosen = {(company, one.sentiment) for company, one in mine.items()}
        down = [(id["company"], id["label"]) in chosen for id in buttons]
        named = own is not None and own.topics is not None
        return (
            [_PRESSED if pressed else _LOOSE for pressed in down],
            [str(pressed).lower() for pressed in down],
            list(own.topics or ()) if own is not None and named else no_update,
            _PRESSED if named else _LOOSE,
            _said(context.view(), said),
            not mine,
        )

    @app.callback(
        Output("label-message", "children"),
        Output("label-message", "className"),
        Output("label-done", "data"),
        Input({"type": "label-give", "company": ALL, "label": ALL}, "n_clicks"),
        Input("label-topics-save", "n_clicks"),
        Input("label-withdraw", "n_clicks"),
        State("label-topics", "value"),
        State("label-key", "data"),
        State("label-done", "data"),
        prevent_initial_call=True,
    )
    def act(
        _give: list[int | None],
        _save: int | None,
        _withdraw: int | None,
        topics: Sequence[str] | None,
        key: str,
        done: int | None,
    ) -> Any:
        who = ctx.triggered_id
        # The form appearing anew also triggers this; only a click counts.
        if who is None or not ctx.triggered[0]["value"]:
            return no_update
        view = context.view()
        try:
            _act(context, who, _identity(key), [query.clean(topic) for topic in topics or ()])
        except InputError as error:
            return str(error), "message bad", no_update
        except DatabaseUnavailable:
            return view.t("try_later"), "message bad", no_update
        said = view.t("label_withdrawn" if who == "label-withdraw" else "label_saved")
        return said, "message good", (done or 0) + 1


def _act(context: Context, who: Any, key: UUID, topics: Sequence[str]) -> None:
    with context.database.transaction() as connection:
        if who == "label-withdraw":
            labels.withdraw(connection, key, context.actor)
        elif who == "label-topics-save":
            labels.give(connection, key, context.actor, topics=topics)
        elif isinstance(who, dict) and who.get("label") in LABELS:
            company = query.clean(who.get("company"))
            labels.give(connection, key, context.actor, company=company, sentiment=who["label"])


def _identity(key: str) -> UUID:
    try:
        return UUID(query.clean(key))
    except ValueError:
        raise InputError("the document is no longer in the record") from None


def _said(view: View, said: Sequence[Given]) -> list[Any]:
    """Who said what and when."""
    items = []
    for one in said:
        topics: list[Any] = []
        if one.topics is not None:
            topics = topic_chips(view, [TopicScore(topic, 1.0) for topic in one.topics]) or [
                html.Span(view.t("no_topic_fits"), className="chip")
            ]
        items.append(
            html.Li(
                [
                    html.B(one.actor),
                    html.Span(view.t("label_toward", name=view.company(one.company))) if one.company else None,
                    label_chip(view, one.sentiment) if one.sentiment else None,
                    *topics,
                    html.Span(className="spring"),
                    html.Span(when(one.labelled_at), className="muted"),
                    html.Div(one.note, className="said") if one.note else None,
                ],
                className="chips",
            )
        )
    return items
