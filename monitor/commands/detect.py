"""`bellwether detect`."""

from __future__ import annotations

import contextlib
import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

import click

from monitor.errors import InputError
from monitor.progress import progress
from monitor.settings import load

if TYPE_CHECKING:
    from monitor.detect.series import Cell


@click.command()
@click.argument("series", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--out", type=click.Path(dir_okay=False), help="Write here instead of standard output.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting: detection.min_negative=3")
def detect(series: str, out: str | None, changes: tuple[str, ...]) -> None:
    """Find surges in counts: a CSV in, a CSV out.

    SERIES has the columns timestamp,negative[,total][,series], a row an interval, of any length from a minute to a
    day; - is standard input. With total, the share of negatives is tested too, so that a busy hour is no surge.
    The output has a row when a surge opens and one when it resolves: series,timestamp,event,observed,expected,
    p_value,severity. Every series is judged by its own past; what is younger than detection.min_history raises
    nothing. The same file always gives the same output.
    """
    from monitor.detect.counts import read_counts
    from monitor.detect.walk import Walk

    settings = load(overrides=dict(_change(text) for text in changes)).settings.detection
    with contextlib.ExitStack() as stack:
        if series == "-":
            lines, name = sys.stdin, "standard input"
        else:
            lines, name = stack.enter_context(_opened(series, "r", "utf-8-sig")), series
        counts = read_counts(lines, name)
        sink = stack.enter_context(_opened(out, "w", "utf-8")) if out else sys.stdout
        bar = stack.enter_context(progress("detect", len(counts.cells)))

        def watched() -> Iterator[Cell]:
            for number, cell in enumerate(counts.cells, 1):
                if number % 1_000 == 0:
                    bar.update(number)
                yield cell

        walk = Walk(settings, counts.step, counts.totals)
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow(["series", "timestamp", "event", "observed", "expected", "p_value", "severity"])
        for event in (*walk.run(watched()), *walk.settle()):
            if event.kind == "escalate":
                continue
            judgement = event.judgement
            writer.writerow(
                [
                    counts.names[event.series],
                    counts.begins(event.minute).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    event.kind,
                    judgement.observed,
                    f"{judgement.expected:.6g}",
                    f"{judgement.p_value:.3g}",
                    event.severity,
                ]
            )
    span = counts.cells[-1].minute - counts.cells[0].minute + counts.step
    if span * 60 < settings.min_history.total_seconds():
        click.echo(
            f"the counts cover {span / 1440:.1f} days, less than detection.min_history, so nothing could be judged; "
            "give more of the past or --set detection.min_history=1d",
            err=True,
        )


def _opened(path: str, mode: Literal["r", "w"], encoding: str) -> TextIO:
    try:
        return Path(path).open(mode, encoding=encoding, newline="")
    except OSError as error:
        what = "read" if mode == "r" else "written"
        raise InputError(f"{path}: cannot be {what}: {error.strerror}; give another path") from error


def _change(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set takes KEY=VALUE, such as detection.min_negative=3; {text!r} has no =")
    return key.strip(), value.strip()
