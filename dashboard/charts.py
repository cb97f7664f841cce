"""Figures as plotly takes them. Colours of text and grid come from the style sheet, so both themes work.

Plotly reads a small HTML in its labels; every name that comes from data goes through `plain`.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from dashboard.context import View, address, moment
from dashboard.ranges import Range
from monitor.store.queries.alert_pages import Span
from monitor.store.queries.curves import Counts

Figure = dict[str, Any]

# Okabe and Ito's colours: told apart with any kind of colour blindness, and in both themes.
NEGATIVE, NEUTRAL, POSITIVE, UNSCORED = "#d55e00", "#9aa7b4", "#2f86c5", "rgba(154,167,180,.4)"
BAND, EXPECTED = "rgba(47,134,197,.22)", "#2f86c5"
_FONT = (
    'Inter, system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Noto Sans CJK SC", "PingFang SC", '
    '"Microsoft YaHei", sans-serif'
)
# The line of the share runs over this many buckets and breaks where they hold fewer scored documents than `_LEAST`:
# the share of a single document is no sentiment.
ROLL, _LEAST = 4, 5
# Weight of the overall share in a cell of the heat map, in documents.
_PRIOR = 2
CONFIG: Any = {"displaylogo": False, "displayModeBar": False, "responsive": True, "scrollZoom": False}


def plain(text: str) -> str:
    """Text that plotly shows as it is."""
    return html.escape(text, quote=False)


def _layout(revision: str, **more: Any) -> dict[str, Any]:
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": _FONT, "size": 12},
        "margin": {"l": 52, "r": 12, "t": 6, "b": 40},
        "hoverlabel": {"font": {"family": _FONT, "size": 12, "color": "#fff"}, "bgcolor": "#22303c", "align": "left"},
        "uirevision": revision,
        "showlegend": False,
        **more,
    }


_DAY = 86_400_000  # milliseconds


def _time(view: View) -> dict[str, Any]:
    """A time axis with dates as they are written in the reader's language."""
    axis = {
        "type": "date",
        "showgrid": False,
        "zeroline": False,
        "tickfont": {"size": 11},
        "tickangle": 0,
        "nticks": 8,
    }
    if view.lang == "zh":
        axis["tickformatstops"] = [
            {"dtickrange": [None, _DAY - 1], "value": "%H:%M\n%-m月%-d日"},
            {"dtickrange": [_DAY, "M1"], "value": "%-m月%-d日\n%Y年"},
            {"dtickrange": ["M1", None], "value": "%Y年%-m月"},
        ]
    return axis


def sentiment(
    view: View,
    span: Range,
    counts: Mapping[datetime, Counts],
    stood: Sequence[Span],
    zoom: Sequence[str] | None = None,
) -> Figure:
    """Share of negatives above, volume by sentiment below; alerts as shaded spans.

    Args:
        zoom: the two ends of what the reader zoomed to, as plotly named them.
    """
    times = span.buckets
    x = [time.isoformat() for time in times]
    cells = [counts.get(time, Counts()) for time in times]
    width = plain(view.span(span.width))
    bars = [
        {
            "type": "bar",
            "name": view.t(name),
            "x": x,
            "y": [getattr(cell, name) if name != "unscored" else cell.total - cell.scored for cell in cells],
            "marker": {"color": colour, "line": {"width": 0}},
            "width": span.width.total_seconds() * 1000 * 0.86,
            "offset": 0,
            "yaxis": "y2",
            "hovertemplate": f"%{{y}} {view.t(name).lower()}<extra></extra>",
        }
        for name, colour in (
            ("negative", NEGATIVE),
            ("neutral", NEUTRAL),
            ("positive", POSITIVE),
            ("unscored", UNSCORED),
        )
    ]
    middle = [(time + span.width / 2).isoformat() for time in times]
    negative = view.t("negative").lower()
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": middle,
        "y": [cell.share for cell in cells],
        "marker": {
            "color": NEGATIVE,
            "size": [4 + min(8.0, cell.scored**0.5) for cell in cells],
            "opacity": 0.35,
            "line": {"width": 0},
        },
        "customdata": [[f"{moment(time)} UTC", c.negative, c.scored] for time, c in zip(times, cells, strict=True)],
        "hovertemplate": f"%{{customdata[0]}} · {width}<br><b>%{{y:.1%}}</b> {negative} "
        "(%{customdata[1]} / %{customdata[2]})<extra></extra>",
    }
    rolled = _rolled(cells)
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": middle,
        "y": [cell.share if cell.scored >= _LEAST else None for cell in rolled],
        "connectgaps": False,
        "line": {"color": NEGATIVE, "width": 2.2},
        "customdata": [[c.negative, c.scored] for c in rolled],
        "hovertemplate": f"{plain(view.span(span.width * ROLL))}: <b>%{{y:.1%}}</b> {negative} "
        "(%{customdata[0]} / %{customdata[1]})<extra></extra>",
    }
    shapes = [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": max(alert.start, span.start).isoformat(),
            "x1": min(alert.end or span.end, span.end).isoformat(),
            "y0": 0,
            "y1": 1,
            "fillcolor": NEGATIVE,
            "opacity": 0.2 if alert.severity == "critical" else 0.11,
            "line": {"width": 0},
            "layer": "below",
        }
        for alert in stood
    ]
    return {
        "data": [dots, line, *bars],
        "layout": _layout(
            f"{span.name}",
            barmode="stack",
            hovermode="closest",
            shapes=shapes,
            xaxis=_time(view) | {"anchor": "y2", "range": list(zoom or (x[0], (times[-1] + span.width).isoformat()))},
            yaxis={
                "domain": [0.46, 1],
                "fixedrange": True,
                "rangemode": "tozero",
                "tickformat": ".0%",
                "zeroline": False,
                "nticks": 5,
                "title": {"text": view.t("share_axis"), "font": {"size": 11}, "standoff": 6},
            },
            yaxis2={
                "domain": [0, 0.38],
                "fixedrange": True,
                "rangemode": "tozero",
                "zeroline": False,
                "nticks": 4,
                "title": {
                    "text": f"{view.t('volume_axis')} {view.t('per_bucket', width=width)}",
                    "font": {"size": 11},
                    "standoff": 6,
                },
            },
        ),
    }


def _rolled(cells: Sequence[Counts]) -> list[Counts]:
    """Each bucket summed with the `ROLL` - 1 before it."""
    found = []
    for i in range(len(cells)):
        part = cells[max(0, i - ROLL + 1) : i + 1]
        found.append(
            Counts(
                sum(cell.total for cell in part),
                sum(cell.negative for cell in part),
                sum(cell.neutral for cell in part),
                sum(cell.positive for cell in part),
            )
        )
    return found


def heat(
    view: View,
    span: Range,
    topics: Sequence[str],
    counts: Mapping[str, Mapping[datetime, Counts]],
    overall: Counts,
    carried: Sequence[tuple[str, str | None]],
) -> Figure:
    """Topics × time, coloured by the share of negatives; a cell leads to its documents.

    Where documents are few the colour is drawn toward the overall share: (n⁻ + k·p) / (n + k), k = 2.
    """
    times = span.buckets
    usual = overall.share or 0.0
    z, data = [], []
    for topic in reversed(topics):
        row, texts = [], []
        for time in times:
            cell = counts.get(topic, {}).get(time, Counts())
            row.append((cell.negative + _PRIOR * usual) / (cell.scored + _PRIOR) if cell.scored else None)
            end = time + span.width
            href = address("/explore", [("topic", topic), *carried, ("from", moment(time)), ("to", moment(end))])
            share = "–" if cell.share is None else f"{cell.share:.0%}"
            texts.append([href, f"{moment(time)} – {end:%H:%M} UTC", share, cell.negative, cell.scored])
        z.append(row)
        data.append(texts)
    known = [value for row in z for value in row if value is not None]
    return {
        "data": [
            {
                "type": "heatmap",
                "x": [(time + span.width / 2).isoformat() for time in times],
                "y": [plain(view.topic(topic)) for topic in reversed(topics)],
                "z": z,
                "customdata": data,
                "zmin": 0,
                "zmax": max([0.5, *known]),
                "xgap": 1,
                "ygap": 2,
                "hoverongaps": False,
                "colorscale": [
                    [0, "rgba(213,94,0,.05)"],
                    [0.3, "rgba(213,94,0,.22)"],
                    [0.6, "rgba(213,94,0,.55)"],
                    [1, "rgba(190,60,0,1)"],
                ],
                "colorbar": {"thickness": 8, "tickformat": ".0%", "len": 0.9, "outlinewidth": 0, "nticks": 5},
                "hovertemplate": "<b>%{y}</b><br>%{customdata[1]}<br>%{customdata[2]} "
                f"{view.t('negative').lower()} "
                "(%{customdata[3]} / %{customdata[4]})<extra></extra>",
            }
        ],
        "layout": _layout(
            span.name,
            margin={"l": 8, "r": 8, "t": 4, "b": 40},
            xaxis=_time(view)
            | {"range": [times[0].isoformat(), (times[-1] + span.width).isoformat()], "fixedrange": True},
            yaxis={"automargin": True, "fixedrange": True, "ticksuffix": "  ", "ticks": "", "showgrid": False},
        ),
    }


def expectation(
    view: View,
    points: Sequence[Mapping[str, Any]],
    width: timedelta,
    opened_at: datetime,
    window: timedelta,
    since: Mapping[datetime, Counts],
) -> Figure:
    """What was observed against the expected band; what came after the alert in a lighter line."""
    x = [point["at"] for point in points]
    at = f"%{{x|%Y-%m-%d %H:%M}} UTC · {plain(view.span(width))}"
    later = sorted(since)
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": x,
            "y": [point["lower"] for point in points],
            "line": {"width": 0, "shape": "hvh"},
            "hoverinfo": "skip",
            "showlegend": False,
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": view.t("band"),
            "x": x,
            "y": [point["upper"] for point in points],
            "line": {"width": 0, "shape": "hvh"},
            "fill": "tonexty",
            "fillcolor": BAND,
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": view.t("expected_line"),
            "x": x,
            "y": [point["expected"] for point in points],
            "line": {"color": EXPECTED, "width": 1.5, "dash": "dot"},
            "hovertemplate": f"{view.t('expected_line')} %{{y:.1f}}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": view.t("observed_line"),
            "x": x,
            "y": [point["observed"] for point in points],
            "line": {"color": NEGATIVE, "width": 2.2},
            "marker": {"color": NEGATIVE, "size": 4},
            "hovertemplate": f"{at}<br>{view.t('observed_line')} <b>%{{y}}</b><extra></extra>",
        },
    ]
    if later:
        tail = [(points[-1]["at"], points[-1]["observed"])] if points else []
        tail += [(time.isoformat(), since[time].negative) for time in later]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": view.t("since_line"),
                "x": [time for time, _ in tail],
                "y": [number for _, number in tail],
                "line": {"color": NEGATIVE, "width": 1.5, "dash": "dash"},
                "opacity": 0.75,
                "hovertemplate": f"{at}<br>{view.t('since_line')} <b>%{{y}}</b><extra></extra>",
            }
        )
    shapes = [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": (opened_at - window).isoformat(),
            "x1": opened_at.isoformat(),
            "y0": 0,
            "y1": 1,
            "fillcolor": NEGATIVE,
            "opacity": 0.12,
            "line": {"width": 0},
            "layer": "below",
        },
        {
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": opened_at.isoformat(),
            "x1": opened_at.isoformat(),
            "y0": 0,
            "y1": 1,
            "line": {"color": NEGATIVE, "width": 1},
        },
    ]
    return {
        "data": traces,
        "layout": _layout(
            "alert",
            showlegend=True,
            hovermode="x",
            legend={
                "orientation": "h",
                "traceorder": "normal",
                "y": 1.02,
                "yanchor": "bottom",
                "x": 0,
                "font": {"size": 11},
            },
            margin={"l": 40, "r": 12, "t": 30, "b": 40},
            shapes=shapes,
            xaxis=_time(view),
            yaxis={"rangemode": "tozero", "zeroline": False, "nticks": 6},
        ),
    }
