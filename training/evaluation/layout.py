"""How the report is laid out: rows of numbers, panels, tables, what folds away. Every text is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

LONG = 30
"""A column that holds a longer text than this may break it anywhere, links too."""
TASKS = {
    "sentiment": "Sentiment",
    "topics": "Topics",
    "negative": "Negative or not",
    "toward": "Sentiment toward entities",
    "toward_bad": "Bad for the entity or not",
}
"""Task → its name in the report."""


def details(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table that is folded away until it is asked for; nothing when it is empty."""
    if not rows:
        return ""
    return f"<details><summary>{escape(title)}</summary>{table(head, rows, digits=3)}</details>"


def numbers(rows: Sequence[tuple[str, Any]], *, count: tuple[str, int] | None = None, percent: bool = False) -> str:
    """Named numbers in a row; how many answers they are made of comes first."""
    cells = [f"<div><dt>{escape(count[0])}</dt><dd>{count[1]:,}</dd></div>"] if count else []
    for name, value in rows:
        if value is None:
            continue
        text = value if isinstance(value, str) else f"{value:.1%}" if percent else f"{value:.4f}"
        cells.append(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>")
    return f'<dl class="numbers">{"".join(cells)}</dl>'


def panels(*shown: tuple[str, str]) -> str:
    """Panels (title, content) side by side, as the width allows."""
    inner = "".join(
        f'<div class="panel">{f"<h4>{escape(title)}</h4>" if title else ""}<div class="scroll">{body}</div></div>'
        for title, body in shown
        if body
    )
    return f'<div class="panels">{inner}</div>'


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], *, digits: int = 4) -> str:
    """A table; columns of numbers are aligned to the right."""

    def kind(place: int) -> str:
        values = [row[place] for row in rows if row[place] is not None]
        if any(isinstance(value, (int, float)) for value in values) or head[place].startswith("p of"):
            return " class=number"
        return " class=text" if any(len(str(value)) > LONG for value in values) else ""

    def cell(place: int, value: Any) -> str:
        text = f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}" if isinstance(value, float) else value
        return f"<td{kinds[place]}>{'' if value is None else escape(str(text))}</td>"

    kinds = [kind(place) for place in range(len(head))]
    names = "".join(f'<th scope="col"{kinds[place]}>{escape(name)}</th>' for place, name in enumerate(head))
    body = "".join(f"<tr>{''.join(cell(place, value) for place, value in enumerate(row))}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table class="plain"><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>'
    )
