"""The registry as people and programs see it: rows for JSON, tables for a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from monitor.documents import LABELS
from monitor.settings import Settings
from monitor.store.queries.models import Event, Model
from monitor.understand.lineup import Seat

if TYPE_CHECKING:
    from training.registry.comparing import Beside
    from training.registry.promoting import Promotion


def model_row(model: Model) -> dict[str, Any]:
    """A model for JSON."""
    return {
        "model": model.model,
        "stage": model.stage,
        "languages": list(model.languages),
        "serves": list(model.serves),
        "shadow": model.shadow,
        "folder": model.folder,
        "digest": model.digest,
        "parent": model.parent,
        "lineage": dict(model.lineage),
        "metrics": dict(model.metrics),
        "registered_at": model.registered_at.isoformat(),
        "registered_by": model.registered_by,
    }


def event_row(event: Event) -> dict[str, Any]:
    """An event for JSON."""
    return {
        "at": event.at.isoformat(),
        "actor": event.actor,
        "action": event.action,
        "reason": event.reason,
        "details": dict(event.details),
    }


def show_models(found: Sequence[Model], serving: Mapping[str, Seat]) -> None:
    """The models as a table, and who reads what."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if found:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for name in ("model", "stage", "reads", "registered", "by"):
            table.add_column(name, no_wrap=name == "model")
        for model in found:
            stage = f"champion for {', '.join(model.serves)}" if model.serves else model.stage
            table.add_row(
                model.model,
                stage + (", shadow" if model.shadow else ""),
                ", ".join(model.languages),
                f"{model.registered_at:%Y-%m-%d %H:%M}",
                model.registered_by,
            )
        console.print(table)
    else:
        click.echo("no models; `bellwether models register FOLDER` adds a bundle", err=True)
    told = {"registry": "champion", "shipped": "the bundle that ships", "engine.bundles": "set by engine.bundles"}
    for language, seat in sorted(serving.items()):
        console.print(f"{language} is read by {seat.model} ({told[seat.origin]})", style="dim", markup=False)


def show_model(model: Model, events: Sequence[Event], settings: Settings) -> None:
    """One model with its history."""
    from monitor.champions import registry_folder

    rows = [
        ("stage", f"champion for {', '.join(model.serves)}" if model.serves else model.stage),
        ("reads", ", ".join(model.languages)),
        ("shadow", "yes" if model.shadow else "no"),
        ("folder", str(registry_folder(settings) / model.folder)),
        ("digest", model.digest),
        ("taught on from", model.parent or "-"),
        ("registered", f"{model.registered_at:%Y-%m-%d %H:%M} by {model.registered_by}"),
    ]
    click.echo(model.model)
    for name, value in rows:
        click.echo(f"  {name:<15} {value}")
    for key, value in model.lineage.items():
        if key == "training_data" and isinstance(value, list):
            for data in value:
                click.echo(f"  {'taught':<15} {data['file']}: {data['rows']} rows, SHA-256 {data['sha256'][:12]}…")
        elif key != "parent":
            click.echo(f"  {key:<15} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    for file, numbers in model.metrics.items():
        if isinstance(numbers, Mapping):
            told = ", ".join(f"{name} {value:.4f}" for name, value in numbers.items() if isinstance(value, float))
            click.echo(f"  {file}: {told}")
    click.echo("history")
    for event in events:
        reason = f": {event.reason}" if event.reason else ""
        forced = " (forced)" if event.details.get("forced") else ""
        click.echo(f"  {event.at:%Y-%m-%d %H:%M}  {event.action}{forced} by {event.actor}{reason}")
        for objection in event.details.get("objections", ()):
            click.echo(f"      {objection}")


def show_promotion(found: Promotion) -> None:
    """What the exam said, and who serves now."""
    for language, details in found.comparisons.items():
        click.echo(f"{language}, beside {details['champion']}: {details['reason']}")
        for task, numbers in details["tasks"].items():
            told = _against("accuracy", numbers) + _against(", macro-F1", numbers["macro_f1"])
            click.echo(f"  {task.replace('_', ' '):<12} {told} ({numbers['texts']} texts)")
        for task in details["not_asked"]:
            click.echo(f"  {task:<12} not compared: the exam has no labels for it")
    for note in found.notes:
        click.echo(note, err=True)
    if found.promoted:
        for objection in found.objections:
            click.echo(f"overruled: {objection}", err=True)
        for language, before in found.replaced.items():
            click.echo(f"{language}: {found.model} serves instead of {before or 'nobody'}")


def _against(what: str, numbers: Mapping[str, Any] | None) -> str:
    if numbers is None:
        return ""
    said = f"{what} {numbers['candidate']:.4f} instead of {numbers['champion']:.4f}"
    return f"{said} (p = {numbers['p_worse']:.2g})" if numbers["candidate"] < numbers["champion"] else said


def show_beside(found: Beside) -> None:
    """Two models side by side."""
    against = ", ".join(f"{model} ({number:,})" for model, number in found.others.items())
    click.echo(f"{found.model} beside {against}, on {found.documents:,} documents")
    kappa = "" if found.kappa is None else f" (kappa {found.kappa:.3f})"
    click.echo(f"  same sentiment {found.agreement:.1%}{kappa}, same topics {found.same_topics:.1%}")
    click.echo(f"  score moved by {found.moved:+.3f} on average, {found.distance:.3f} without its sign")
    if found.toward is not None:
        toward = found.toward
        kappa = "" if toward.kappa is None else f" (kappa {toward.kappa:.3f})"
        click.echo(
            f"  toward companies, {toward.pairs:,} in documents with several: same sentiment {toward.agreement:.1%}"
            f"{kappa}, score moved by {toward.moved:+.3f} on average, {toward.distance:.3f} without its sign"
        )
    click.echo("  its label (row) and the other's (column): " + " ".join(LABELS))
    for label in LABELS:
        click.echo(f"    {label:10s}" + "".join(f"{found.confusion[label][to]:10,}" for to in LABELS))
    contested = [(topic, numbers) for topic, numbers in found.topics.items() if numbers[1] or numbers[2]][:5]
    for topic, (both, mine, theirs) in contested:
        click.echo(f"  topic {topic}: both {both:,}, only it {mine:,}, only the other {theirs:,}")
    if found.labels is not None:
        backed = found.labels
        click.echo(
            f"  labels ({backed.documents:,} documents): it agrees with {backed.model:.1%}, the other with "
            f"{backed.other:.1%}; alone right {backed.only_model:,} against {backed.only_other:,}, p = {backed.p:.2g}"
        )
    if found.furthest:
        click.echo("  furthest apart:")
    for row in found.furthest:
        words = " ".join((row.title or row.text).split())[:100]
        click.echo(f"    {row.other_score:+.2f} → {row.score:+.2f}  {row.published_at:%Y-%m-%d}  {words}")
