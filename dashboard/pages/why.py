"""Why the model said so: the words of a document that spoke for its sentiment or a topic, highlighted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from dashboard import query
from dashboard.context import Context, View
from dashboard.explaining import Explaining, Question
from monitor.documents import Document
from monitor.errors import DatabaseUnavailable, InputError
from monitor.store.queries import documents
from monitor.store.queries.documents import Details

# Shares of the strongest word's weight under this are not shown.
_LEAST = 0.08


def place(view: View, found: Details) -> Any:
    """The buttons that ask, and where the answer goes; nothing for a document that was not scored."""
    if not found.scores:
        return None
    t, score = view.t, found.scores[0]
    asked = [("sentiment", t("why", what=t(score.label)))]
    asked += [
        (f"toward:{toward.company}", t("why_toward", what=t(toward.label), name=view.company(toward.company)))
        for toward in score.toward
    ]
    asked += [(f"topic:{topic.id}", t("why", what=view.topic(topic.id))) for topic in score.topics]
    return html.Section(
        [
            dcc.Store(id="why-key", data=str(found.key)),
            html.Div(
                [
                    html.Button(words, id={"type": "why", "about": about}, className="button small")
                    for about, words in asked
                ],
                id="why-buttons",
                className="why-buttons",
            ),
            html.P(t("why_wait"), id="why-wait", className="hint", role="status", hidden=True),
            html.Div(id="why-answer", role="status"),
        ],
        className="why",
    )


def register(app: Dash, context: Context) -> None:
    """Attach the callback that asks."""
    explaining = Explaining()

    @app.callback(
        Output("why-answer", "children"),
        Input({"type": "why", "about": ALL}, "n_clicks"),
        State("why-key", "data"),
        prevent_initial_call=True,
        running=[
            (Output("why-wait", "hidden"), False, True),
            (Output("why-buttons", "className"), "why-buttons busy", "why-buttons"),
        ],
    )
    def ask(_clicks: list[int | None], key: str) -> Any:
        who = ctx.triggered_id
        if not isinstance(who, dict) or not ctx.triggered[0]["value"]:
            return no_update
        view = context.view()
        try:
            question = _question(context, query.clean(key), query.clean(who.get("about")))
            answer = explaining.ask(question)
        except InputError as error:
            return html.P(str(error), className="message bad")
        except DatabaseUnavailable:
            return html.P(view.t("try_later"), className="message bad")
        if answer is None:
            return html.P(view.t("why_busy"), className="message bad")
        return _shown(view, answer, question)


def _question(context: Context, key: str, about: str) -> Question:
    try:
        identity = UUID(key)
    except ValueError:
        raise InputError("the document is no longer in the record") from None
    with context.database.transaction() as connection:
        found = documents.details(connection, identity)
    if found is None:
        raise InputError("the document is no longer in the record")
    kind, _, which = about.partition(":")
    body = Document(found.id, found.source, "news", found.published_at, found.title, found.text).body
    score = found.scores[0] if found.scores else None
    topic, toward = (which if kind == name else "" for name in ("topic", "toward"))
    said = next((one.label for one in score.toward if one.company == toward), score.label) if score else ""
    return Question(
        body,
        found.lang,
        (*found.symbols, *found.companies),
        topic=topic,
        toward=toward,
        label="" if topic else said,
        model=score.model if score else "",
    )


def _shown(view: View, answer: Mapping[str, Any], question: Question) -> Any:
    """The text with the words marked: behind those that spoke for it a colour, under those against it a line."""
    t, read = view.t, str(answer["text"])
    most = max((abs(word["weight"]) for word in answer["words"]), default=0.0) or 1.0
    topic = answer["about"] != "sentiment"
    colour = "accent" if topic else answer["label"]
    parts: list[Any] = []
    at = 0
    for word in answer["words"]:
        share = word["weight"] / most
        parts.append(read[at : word["start"]])
        parts.append(_word(read[word["start"] : word["end"]], share, word["weight"], colour))
        at = word["end"]
    said = view.topic(answer["label"]) if topic else t(answer["label"])
    if question.toward:
        said = f"{said} ({t('label_toward', name=view.company(question.toward))})"
    first, length = answer["read"], answer["length"]
    return [
        html.Div([*parts, read[at:]], className="full-text why-text", lang=answer["lang"]),
        html.P(t("why_cut", first=f"{first:,}", length=f"{length:,}"), className="hint") if first < length else None,
        html.P(
            t("why_note", what=said, share=f"{answer['probability'] * 100:.0f} %", model=answer["model"]),
            className="hint",
        ),
    ]


def _word(word: str, share: float, weight: float, colour: str) -> Any:
    if abs(share) < _LEAST:
        return word
    title = f"{weight:+.2f}".replace("-", "−")
    if share < 0:
        return html.Span(word, className="against", title=title)
    strength = round(15 + 55 * share)
    return html.Span(
        word,
        className="speaks",
        style={"backgroundColor": f"color-mix(in srgb, var(--{colour}) {strength}%, transparent)"},
        title=title,
    )
