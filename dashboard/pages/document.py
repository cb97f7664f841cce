"""One document in full: its text, what was made of it by which model, and its fields as they came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from dashboard.context import View, address
from dashboard.pages import labelling, why
from dashboard.parts import (
    company_chips,
    empty,
    facts,
    highlighted,
    label_chip,
    link_out,
    outside,
    topic_chips,
    when,
)
from monitor.store.queries.documents import CompanyScore, Details, Score

# Longer values of unknown fields are cut: the panel is for reading.
_LONGEST = 4000


def panel(view: View, found: Details | None, searched: str) -> list[Any]:
    """The contents of the panel."""
    t = view.t
    if found is None:
        return [empty(t("no_document"))]
    late = html.Span(t("late"), className="chip", title=t("late_hint")) if found.late else None
    tags = [
        html.Span(t(f"kind_{found.kind}"), className="chip"),
        html.Span(view.language(found.lang), className="chip"),
    ]
    parts: list[Any] = [
        html.Div([html.Span(found.source, className="source"), *tags, late], className="chips"),
        html.H2(highlighted(found.title, searched), lang=found.lang) if found.title else None,
        html.Div(highlighted(found.text, searched), className="full-text", lang=found.lang),
    ]
    if outside(found.url):
        parts.append(link_out(f"{t('open_original')} ↗", found.url, className="button"))
    if found.companies:
        parts += [html.H3(t("companies")), html.Div(company_chips(view, found.companies), className="chips")]
    parts.append(html.H3(t("scores")))
    parts += [_score(view, score) for score in found.scores] or [html.P(t("no_scores"), className="hint")]
    parts += [why.place(view, found), labelling.form(view, found)]
    parts += [html.H3(t("original")), facts(_fields(view, found))]
    return parts


def _score(view: View, score: Score) -> Any:
    t = view.t
    cut = html.Span(t("cut"), className="chip", title=t("cut_hint")) if score.cut else None
    return html.Div(
        [
            html.Div([label_chip(view, score.label), html.Code(score.model), cut], className="chips"),
            _split(view, score),
            html.Div(" · ".join(f"{t(name)} {value * 100:.1f} %" for name, value in _shares(score)), className="muted"),
            _topics(view, score),
            _toward(view, score),
        ],
        className="score",
    )


def _shares(score: Score | CompanyScore) -> list[tuple[str, float]]:
    return [("negative", score.negative), ("neutral", score.neutral), ("positive", score.positive)]


def _split(view: View, score: Score | CompanyScore) -> Any:
    return html.Div(
        [
            html.Span(
                className=f"part label-{name}",
                style={"width": f"{value * 100:.1f}%"},
                title=f"{view.t(name)} {value:.3f}",
            )
            for name, value in _shares(score)
        ],
        className="split",
    )


def _toward(view: View, score: Score) -> Any:
    """The sentiment toward each company, where the document has more than its own."""
    rows = [
        html.Tr(
            [
                html.Td(
                    dcc.Link(view.company(toward.company), href=address("/explore", [("company", toward.company)]))
                ),
                html.Td(label_chip(view, toward.label, getattr(toward, toward.label))),
                html.Td(_split(view, toward)),
            ]
        )
        for toward in score.toward
    ]
    if not rows:
        return None
    head = html.H4(view.t("toward"), title=view.t("toward_hint"))
    return html.Div([head, html.Table(rows, className="table plain")], className="toward")


def _topics(view: View, score: Score) -> Any:
    rows = [
        html.Tr([html.Td(topic_chips(view, [topic])), html.Td(f"{topic.probability * 100:.0f} %", className="number")])
        for topic in score.topics
    ]
    return html.Table(rows, className="table plain") if rows else None


def _fields(view: View, found: Details) -> Sequence[tuple[str, Any]]:
    t = view.t
    pairs: list[tuple[str, Any]] = [
        (t("identifier"), html.Code(found.id)),
        (t("source"), found.source),
        (t("published"), [when(found.published_at), " UTC"]),
        (t("received"), [when(found.received_at), " UTC"]),
    ]
    if found.author:
        pairs.append((t("author"), found.author))
    if found.symbols:
        pairs.append((t("symbols"), ", ".join(found.symbols)))
    if found.url:
        pairs.append(("URL", html.Code(found.url)))
    for name, value in found.extra.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        pairs.append((name, html.Code(shown[:_LONGEST])))
    return pairs
