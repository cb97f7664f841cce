"""Pictures of a report as inline SVG and HTML. Colours come from the page's style sheet, so both themes work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart: a value, perhaps its interval, and what stands beside it."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""
    bad: bool = False


_STRIP = '<svg viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true">'


def bars(
    rows: Iterable[Bar],
    *,
    title: str,
    top: float = 1.0,
    digits: int = 3,
    percent: bool = False,
    mark: float | None = None,
) -> str:
    """Horizontal bars from 0 to `top`, each with its interval as a whisker.

    Args:
        title: what is measured; read out by screen readers.
        mark: a value at which a line is drawn through every bar, such as a bound or the whole's accuracy.
    """

    def at(value: float) -> float:
        return round(100 * min(1.0, max(0.0, value / top)), 2)

    body = []
    for row in rows:
        shapes = [
            '<rect class="track" width="100" height="10" y="3"/>',
            f'<rect class="bar" width="{at(row.value)}" height="10" y="3"/>',
        ]
        if row.low is not None and row.high is not None:
            shapes.append(
                f'<path class="whisker" d="M{at(row.low)} 8H{at(row.high)}M{at(row.low)} 4V12M{at(row.high)} 4V12"/>'
            )
        if mark is not None:
            shapes.append(f'<path class="mark" d="M{at(mark)} 0V16"/>')
        number = f"{row.value:.1%}" if percent else f"{row.value:.{digits}f}"
        body.append(
            f'<tr{" class=bad" if row.bad else ""}><th scope="row">{escape(row.label)}</th>'
            f'<td class="chart">{_STRIP}{"".join(shapes)}</svg></td><td class="number">{number}</td>'
            f'<td class="note">{escape(row.note)}</td></tr>'
        )
    return f'<table class="bars" aria-label="{escape(title)}"><tbody>{"".join(body)}</tbody></table>'


_SIZE, _LEFT, _BOTTOM = 240, 34, 30


def reliability(curve: Sequence[Mapping[str, Any]], *, title: str) -> str:
    """The reliability diagram: share of right answers over confidence, dots as large as their bins are full."""
    if not curve:
        return ""

    def x(value: float) -> float:
        return round(_LEFT + value * _SIZE, 1)

    def y(value: float) -> float:
        return round(8 + (1 - value) * _SIZE, 1)

    most = max(row["texts"] for row in curve)
    grid, marks = [], []
    for step in range(6):
        value = step / 5
        grid.append(f'<path class="grid" d="M{x(0)} {y(value)}H{x(1)}M{x(value)} {y(0)}V{y(1)}"/>')
        marks.append(f'<text x="{_LEFT - 5}" y="{y(value) + 4}" text-anchor="end">{value:.1f}</text>')
        marks.append(f'<text x="{x(value)}" y="{y(0) + 14}" text-anchor="middle">{value:.1f}</text>')
    line = " ".join(f"{x(row['confidence'])},{y(row['accuracy'])}" for row in curve)
    size = [2.5 + 6 * (row["texts"] / most) ** 0.5 for row in curve]
    dots = [
        f'<circle cx="{x(row["confidence"])}" cy="{y(row["accuracy"])}" r="{radius:.1f}">'
        f"<title>said {row['confidence']:.2f}, right {row['accuracy']:.2f}, {row['texts']} answers</title></circle>"
        for row, radius in zip(curve, size, strict=True)
    ]
    return (
        f'<svg class="reliability" viewBox="0 0 {_LEFT + _SIZE + 12} {_SIZE + _BOTTOM + 12}" role="img" '
        f'aria-label="{escape(title)}">{"".join(grid)}<path class="ideal" d="M{x(0)} {y(0)}L{x(1)} {y(1)}"/>'
        f'<polyline points="{line}"/>{"".join(dots)}{"".join(marks)}'
        f'<text class="axis" x="{x(0.5)}" y="{_SIZE + _BOTTOM + 10}" text-anchor="middle">said</text>'
        f'<text class="axis" transform="translate(9 {y(0.5)}) rotate(-90)" text-anchor="middle">right</text></svg>'
    )


def confusion(table: Mapping[str, Mapping[str, int]]) -> str:
    """The confusion matrix: what it is down, what was said across; shaded by the share of its row."""
    said = list(next(iter(table.values())))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in said)
    body = []
    for name, row in table.items():
        total = max(1, sum(row.values()))
        cells = "".join(
            f'<td style="--share:{100 * count / total:.0f}%" title="{count / total:.1%} of the row">{count:,}</td>'
            for count in row.values()
        )
        body.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return (
        f'<table class="confusion"><thead><tr><th class="corner">is \\ said</th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def differences(rows: Iterable[tuple[str, float, float, float]], *, title: str) -> str:
    """Differences with their 95 % intervals around a line at zero: (label, difference, low, high)."""
    listed = list(rows)
    reach = max([0.01, *(abs(value) for _, _, low, high in listed for value in (low, high))]) * 1.1

    def at(value: float) -> float:
        return round(50 + 50 * value / reach, 2)

    body = []
    for label, value, low, high in listed:
        side = "worse" if high < 0 else "better" if low > 0 else "even"
        body.append(
            f'<tr class="{side}"><th scope="row">{escape(label)}</th><td class="chart">{_STRIP}'
            f'<path class="mark" d="M50 0V16"/>'
            f'<path class="whisker" d="M{at(low)} 8H{at(high)}M{at(low)} 3V13M{at(high)} 3V13"/>'
            f'<path class="point" d="M{at(value)} 2V14"/></svg></td><td class="number">{value:+.4f}</td>'
            f'<td class="note">{low:+.4f} to {high:+.4f}</td></tr>'
        )
    return f'<table class="bars" aria-label="{escape(title)}"><tbody>{"".join(body)}</tbody></table>'
