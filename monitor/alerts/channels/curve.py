"""The curve as a picture for e-mails: what was observed over what was expected."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any


def picture(points: Sequence[Mapping[str, Any]], step_minutes: int) -> bytes:
    """A PNG of 1200 × 440 pixels, made for 600 × 220.

    Args:
        points: `at` (start of the step, ISO 8601), `observed`, and `expected`, `lower`, `upper` where there is a
            baseline; oldest first.
        step_minutes: length of a step.

    All its text is digits and English, so it needs no font but the one that comes with matplotlib.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import DateFormatter, HourLocator, date2num
    from matplotlib.figure import Figure

    step = step_minutes / (24 * 60)
    starts = [float(date2num(datetime.fromisoformat(point["at"]))) for point in points]
    edges = [*starts, starts[-1] + step]
    figure = Figure(figsize=(6.0, 2.2), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    banded = [(start, point) for start, point in zip(starts, points, strict=True) if point.get("upper") is not None]
    if banded:
        # The last step is drawn to its end.
        at = [*(start for start, _ in banded), banded[-1][0] + step]
        lower, middle, upper = (
            [*(point[name] for _, point in banded), banded[-1][1][name]] for name in ("lower", "expected", "upper")
        )
        axes.fill_between(at, lower, upper, step="post", color="#9ec5fe", alpha=0.6, linewidth=0, label="expected band")
        axes.step(at, middle, where="post", color="#3d7bd9", linewidth=1)
    axes.stairs([point["observed"] for point in points], edges, color="#b3261e", linewidth=1.6, label="observed")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    axes.xaxis_date()
    axes.xaxis.set_major_locator(HourLocator(byhour=range(0, 24, 3)))
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    axes.set_ylabel(f"negative / {step_minutes} min", fontsize=7)
    axes.set_xlabel("UTC", fontsize=7)
    axes.tick_params(labelsize=7)
    axes.grid(axis="y", color="#d8dee4", linewidth=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="upper left", fontsize=7, frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
