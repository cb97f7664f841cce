"""The strip of figures on top of the overview: this range's sentiment, and the health of the service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from dash import html

from dashboard.context import View, moment
from dashboard.parts import percent, points, thousands
from monitor.store.queries.alerts import Alert
from monitor.store.queries.curves import Counts, Health

# Past this the watermark is the "no bound" of a closed feed.
_FAR = 9000


def cards(view: View, health: Health, now: Counts, before: Counts, active: Sequence[Alert]) -> list[Any]:
    """The figures, from what an analyst looks for first to what an operator does."""
    t = view.t
    open_ones = [alert for alert in active if alert.state == "open"]
    worst = "critical" if any(alert.severity == "critical" for alert in open_ones) else "warning" if open_ones else ""
    return [
        _card(t("documents"), thousands(now.total), t("documents_in_range"), _relative(view, now, before)),
        _card(
            t("negative_share"),
            percent(now.share),
            t("of_scored", n=thousands(now.scored)),
            _change(view, now, before),
        ),
        _card(
            t("open_alerts"),
            thousands(len(open_ones)),
            t("acknowledged_n", n=len(active) - len(open_ones)),
            tone=worst,
        ),
        _card(t("event_lag"), *_newest(view, health)),
        _card(t("not_scored"), thousands(health.unscored), t("in_all", n=thousands(health.documents))),
        _card(t("rejected"), thousands(health.rejected), t("rejected_hint")),
    ]


def _card(name: str, value: str, note: str, more: Any = None, *, tone: str = "") -> Any:
    return html.Div(
        [
            html.Div(name, className="figure-name"),
            html.Div(value, className="figure-value"),
            html.Div([html.Span(note), more], className="figure-note"),
        ],
        className=f"figure {tone}",
    )


def _relative(view: View, now: Counts, before: Counts) -> Any:
    if not before.total:
        return None
    change = round((now.total / before.total - 1) * 100)
    return html.Span(f"{change:+d} %".replace("-", "−"), title=view.t("versus"))


def _change(view: View, now: Counts, before: Counts) -> Any:
    if now.share is None or before.share is None:
        return None
    change = now.share - before.share
    tone = "worse" if change >= 0.0005 else "better" if change <= -0.0005 else ""
    return html.Span(points(change), className=f"change {tone}", title=view.t("change_hint"))


def _newest(view: View, health: Health) -> tuple[str, str]:
    mark = view.t("no_watermark")
    if health.watermark is not None:
        closed = health.watermark.year > _FAR
        mark = view.t("closed_feed") if closed else view.t("watermark", time=f"{health.watermark:%m-%d %H:%M}")
    if health.newest is None:
        return "–", mark
    age = datetime.now(UTC) - health.newest
    return view.t("ago", n=view.span(age)) if age.days < 3 else moment(health.newest)[:10], mark
