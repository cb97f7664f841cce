"""Small pieces that several pages are made of. Every text in them is text: React escapes it, nothing is HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from dash import dcc, html

from dashboard.context import View, address, moment
from monitor.documents import TopicScore
from monitor.store.queries.alerts import Alert
from monitor.store.queries.documents import CompanyScore


def thousands(number: int) -> str:
    """A count with separators."""
    return f"{number:,}"


def percent(share: float | None) -> str:
    """A share in per cent with one decimal; a dash where there is none."""
    return "–" if share is None else f"{share * 100:.1f} %"


def points(change: float | None) -> str:
    """A change of a share in percentage points, with its sign."""
    if change is None:
        return "–"
    rounded = round(change * 100, 1)
    return "±0.0" if rounded == 0 else f"{rounded:+.1f}".replace("-", "−")


def chance(p_value: float) -> str:
    """A probability as it is read: `0.03`, `4 × 10⁻⁹`."""
    if p_value >= 0.001:
        return f"{p_value:.2g}"
    if p_value <= 1e-300:
        return "< 10⁻³⁰⁰"
    mantissa, exponent = f"{p_value:.0e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def when(time: datetime) -> Any:
    """A time of day (UTC) that is also there for machines."""
    return html.Time(moment(time), dateTime=time.isoformat(), title=f"{time:%Y-%m-%d %H:%M:%S} UTC")


def outside(url: str | None) -> str | None:
    """The address if a link may lead there: http or https with a host, else None.

    >>> outside("https://example.org/a"), outside("javascript:alert(1)"), outside("https:///")
    ('https://example.org/a', None, None)
    """
    if not url or len(url) > 4000 or not url.isprintable():
        return None
    try:
        parts = urlsplit(url.strip())
        good = parts.scheme.lower() in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return None
    return url.strip() if good else None


def link_out(children: Any, url: str | None, **more: Any) -> Any:
    """A link that leaves the page; plain text where the address is none that may be followed."""
    found = outside(url)
    if found is None:
        return html.Span(children)
    return html.A(children, href=found, target="_blank", rel="noopener noreferrer nofollow", **more)


def highlighted(text: str, words: str) -> list[Any]:
    """The text with every occurrence of `words` marked, whatever its case."""
    words = words.strip()
    if not words:
        return [text]
    pieces = re.split(f"({re.escape(words)})", text, flags=re.IGNORECASE)
    return [html.Mark(piece) if i % 2 else piece for i, piece in enumerate(pieces) if piece]


def snippet(text: str, words: str, length: int = 320) -> str:
    """The part of a long text that holds `words` first, cut to `length`."""
    if len(text) <= length:
        return text
    found = re.search(re.escape(words.strip()), text, flags=re.IGNORECASE) if words.strip() else None
    start = max(0, found.start() - length // 3) if found else 0
    return f"{'…' if start else ''}{text[start : start + length]}{'…' if start + length < len(text) else ''}"


def label_chip(view: View, label: str | None, probability: float | None = None) -> Any:
    """A sentiment and how sure the model was."""
    word = view.t(label or "unscored")
    sure = "" if probability is None else f" {probability * 100:.0f} %"
    return html.Span(f"{word}{sure}", className=f"chip label-{label or 'unscored'}")


def topic_chips(view: View, topics: Sequence[TopicScore]) -> list[Any]:
    """Topics as links to their documents."""
    return [
        dcc.Link(view.topic(topic.id), href=address("/explore", [("topic", topic.id)]), className="chip topic")
        for topic in topics
    ]


def company_chips(view: View, companies: Sequence[str], toward: Sequence[CompanyScore] = ()) -> list[Any]:
    """Companies as links to their documents, with the sentiment toward each where it has one of its own."""
    labels = {score.company: score.label for score in toward}

    def chip(symbol: str) -> Any:
        label = labels.get(symbol)
        return dcc.Link(
            f"{view.company(symbol)} · {view.t(label)}" if label else view.company(symbol),
            href=address("/explore", [("company", symbol)]),
            className=f"chip label-{label}" if label else "chip company",
            title=symbol,
        )

    return [chip(symbol) for symbol in companies]


def severity_chip(view: View, severity: str) -> Any:
    """How bad an alert is: a word and a sign, not a colour alone."""
    sign = "▲▲" if severity == "critical" else "▲"
    return html.Span([html.Span(sign, className="sign"), view.t(severity)], className=f"chip severity-{severity}")


def state_chip(view: View, alert: Alert) -> Any:
    """Where an alert is in its life."""
    return html.Span(view.t(alert.state), className=f"chip state-{alert.state}")


def facts(pairs: Sequence[tuple[str, Any]]) -> Any:
    """Names and values, two columns."""
    return html.Dl([item for name, value in pairs for item in (html.Dt(name), html.Dd(value))], className="facts")


def empty(title: str, hint: str | None = None) -> Any:
    """What stands where there is nothing: that there is nothing, and what to do."""
    return html.Div([html.P(title, className="empty-title"), html.P(hint) if hint else None], className="empty")


def card(title: Any, *children: Any, hint: str | None = None, tools: Any = None, **more: Any) -> Any:
    """A framed part of a page."""
    # A component without children is false, so None is asked for by name.
    right = html.Div(tools, className="card-tools") if tools is not None else None
    head = html.Div([html.H2(title), right], className="card-head")
    more["className"] = f"card {more.get('className', '')}".strip()
    return html.Section([head, html.P(hint, className="hint") if hint else None, *children], **more)


def choices(values: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Options of a drop-down from (value, words)."""
    return [{"value": value, "label": label, "search": f"{label} {value}"} for value, label in values]


def select(
    view: View,
    id: str,
    placeholder: str,
    value: str = "",
    options: Sequence[tuple[str, str]] = (),
    *,
    searchable: bool = False,
) -> Any:
    """A drop-down, the empty choice of which means any."""
    # Options that come with the data are not there yet; a chosen value must not be dropped for being unknown.
    known = list(options) or ([(value, value)] if value else [])
    return dcc.Dropdown(
        id=id,
        value=value or None,
        options=choices(known),
        placeholder=placeholder,
        searchable=searchable,
        className="select wide" if searchable else "select",
        labels={
            "search": view.t("search"),
            "no_options_found": view.t("no_options"),
            "clear_selection": view.t("clear"),
            "clear_search": view.t("clear"),
        },
    )
