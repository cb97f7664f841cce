"""`bellwether labels next`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from monitor.errors import InputError
from monitor.records import open_record
from monitor.settings import load

if TYPE_CHECKING:
    from monitor.labelling.drifting import Drift
    from monitor.labelling.selection import Chosen
    from training.labels.writing import Format, Task

BY = ("mixed", "uncertain", "diverse", "drifting", "impact")


@click.command("next")
@click.option("--count", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many documents.")
@click.option("--by", type=click.Choice(BY), default="mixed", show_default=True, help="For which reason.")
@click.option("--lang", default="", help="Only documents in this language (en, zh …).")
@click.option("--days", type=click.IntRange(1, 3650), default=7, show_default=True, help="How far back is looked.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the documents to this file.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(("jsonl", "csv", "parquet", "label-studio", "argilla")),
    help="Of --out; by default what its name says.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--name", help="Of this replay instead of the live record.")
def next_(
    count: int,
    by: str,
    lang: str,
    days: int,
    out: Path | None,
    format_: str | None,
    as_json: bool,
    name: str | None,
) -> None:
    """Say which documents are worth a label next.

    \b
    uncertain  the model's best two classes are close, or a topic just reached its threshold
    diverse    far from each other and from what is labelled
    drifting   stands for what is new: against the labelled texts, or the weeks before
    impact     an open or recent alert rests on it
    mixed      all of these in turns

    Documents somebody labelled, and near-duplicates, are left out. Only stored scores are read, no model is loaded. A
    file written with --out is filled in and brought back with `bellwether labels import`.
    """
    from monitor.labelling.selection import REASONS, Reason, select
    from monitor.labelling.thresholds import at_hand
    from training.labels.writing import format_of

    settings = load().settings
    format = format_of(out, format_) if out else None
    with closing(open_record(settings, name)) as database:
        thresholds = at_hand(settings, database)
        with database.transaction() as connection:
            reasons = REASONS if by == "mixed" else (cast(Reason, by),)
            found = select(connection, count, reasons, lang=lang, days=days, thresholds=thresholds)
    if not found.looked_at:
        raise InputError("there are no scored documents to choose from; see `bellwether status`")
    if as_json:
        report = {"documents": [row(one) for one in found.chosen], "looked_at": found.looked_at}
        if found.drift is not None:
            report["drift"] = _drift(found.drift)
        click.echo(json.dumps(report, ensure_ascii=False, indent=1))
    elif not out:
        _show(found.chosen)
    if out and format:
        _write(out, format, found.chosen)
        click.echo(f"{len(found.chosen)} documents are in {out}", err=as_json)
    if found.drift is not None and not as_json:
        for line in _drift_lines(found.drift):
            click.echo(line, err=True)
    if len(found.chosen) < count and not as_json:
        click.echo(f"{len(found.chosen)} of {count}: nothing else of {found.looked_at} documents fits", err=True)


def row(one: Chosen) -> dict[str, Any]:
    """A document as a plain row; what the model said stands under names that are not taken for labels."""
    document = one.candidate
    return {
        "key": str(document.key),
        "text": document.body,
        "lang": document.lang,
        "source": document.source,
        "id": document.id,
        "published_at": document.published_at.isoformat(),
        "kind": document.kind,
        "companies": list(document.companies),
        "reason": one.reason,
        "why": one.why,
        "model": document.model,
        "model_sentiment": document.label,
        "model_topics": list(document.topics),
    }


def _write(path: Path, format: Format, chosen: Sequence[Chosen]) -> None:
    from training.labels.writing import write_rows, write_tasks

    if format in ("label-studio", "argilla"):
        write_tasks(path, [_task(one) for one in chosen], format)
        return
    rows = [row(one) for one in chosen]
    if format == "csv":  # two cells to fill in
        rows = [{"sentiment": None, "topics": None, **found} for found in rows]
    write_rows(path, rows, format)


def _task(one: Chosen) -> Task:
    from training.labels.writing import Answers, Task

    document = one.candidate
    guess = Answers(
        document.model,
        document.label,
        document.topics,
        score=max(document.negative, document.neutral, document.positive),
    )
    data = {"lang": document.lang, "source": document.source, "published_at": document.published_at.isoformat()}
    data |= {"kind": document.kind, "why": one.why}
    return Task(str(document.key), document.body, data, guess=guess)


def _show(chosen: Sequence[Chosen]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("reason", "model says", "text", box=None, pad_edge=False, show_edge=False)
    for one in chosen:
        document = one.candidate
        words = " ".join(document.body.split())
        about = Text(f"{words[:160]}{'…' if len(words) > 160 else ''}\n")
        about.append(f"{one.why}\n{document.key}", style="dim")
        said = Text(document.label + "".join(f"\n{topic}" for topic in document.topics))
        table.add_row(Text(one.reason), said, about)
    Console().print(table)


def _drift(drift: Drift) -> dict[str, Any]:
    from monitor.labelling.drifting import plain

    words = sorted(drift.weights.items(), key=lambda item: (-item[1], item[0]))[:20]
    return {
        "against": drift.against,
        "compared": drift.compared,
        "words": [{"word": plain(word), "z": z} for word, z in words],
        "shifts": [{"what": one.what, "before": one.before, "now": one.now, "psi": one.index} for one in drift.shifts],
    }


def _drift_lines(drift: Drift) -> list[str]:
    from monitor.labelling.drifting import SHIFT

    told = _drift(drift)
    than = "the labelled texts" if drift.against == "labels" else "the time before"
    lines = []
    if told["words"]:
        lines.append(f"new against {than}: " + ", ".join(word["word"] for word in told["words"][:10]))
    lines += [
        f"share of {one.what}: {one.before * 100:.1f} % before, {one.now * 100:.1f} % now (PSI {one.index:.2f})"
        for one in drift.shifts
        if one.index >= SHIFT
    ]
    return lines
