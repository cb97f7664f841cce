"""`bellwether status`."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import click

from monitor.champions import lineup
from monitor.errors import BrokerError, BundleError, SettingsError
from monitor.records import open_record
from monitor.settings import Settings, load
from monitor.store import clock, positions
from monitor.store.database import Database
from monitor.store.positions import END_OF_TIME, Position
from monitor.store.queries import alerts
from monitor.store.queries import status as queries

PATIENCE = 3.0  # seconds to wait for Kafka


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option("--name", help="Of this replay instead of the live record.")
def status(as_json: bool, name: str | None) -> None:
    """What is stored and running, in one look.

    Kafka is asked for the lag and waited for 3 seconds; without it the lag is unknown (null in JSON) and the rest
    is shown all the same.
    """
    settings = load().settings
    with closing(open_record(settings, name)) as database:
        report = collect(settings, database)
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        _show(report)


def collect(settings: Settings, database: Database) -> dict[str, Any]:
    """The report: counts, watermark, lag, partitions, models, alerts, outbox, scheduler, and who reads which language.

    `cut` are documents with a text longer than the model reads, of which only the beginning counts.

    Times are ISO 8601 in UTC, None where there is none yet; the watermark is in the year 9999 when every stream is
    closed. `lag` and a partition's `lag` are messages, None where Kafka was not asked or could not be reached (then
    `notes` says so). `models` is None when counting takes too long.
    """
    with database.transaction() as connection:
        # One snapshot, so that the numbers fit together.
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        counts = queries.counts(connection)
        now = clock.read(connection)
        groups = queries.groups(connection)
        found = [(group, position) for group in groups for position in positions.read(connection, group)]
        states = alerts.by_state(connection)
        outbox = alerts.outbox_by_state(connection)
        models = queries.models(connection)
        cut = queries.cut(connection)
        leads = queries.has_leader(connection, database.schema)
    notes: list[str] = []
    if models is None:
        notes.append("models: there are too many scores to count them quickly")
    waiting = _lag(settings, database, found, notes)
    return {
        "record": {"where": database.where, "schema": database.schema},
        "documents": counts.documents,
        "scored": counts.scored,
        "unscored": counts.unscored,
        "rejected": counts.rejected,
        "late": counts.late,
        "cut": cut,
        "watermark": _iso(now.watermark),
        "judged_through": _iso(now.judged_through),
        "lag": sum(waiting.values()) if waiting is not None else None,
        "alerts": dict(states),
        "outbox": dict(outbox),
        "scheduler": {"leader": leads},
        "models": models,
        "serving": _serving(settings, database, notes),
        "partitions": [_partition(group, position, waiting) for group, position in found],
        "notes": notes,
    }


def _serving(settings: Settings, database: Database, notes: list[str]) -> dict[str, dict[str, str]]:
    """Language → the model that reads it and who says so: engine.bundles, registry or shipped."""
    try:
        found = lineup(settings, database).by_language
    except BundleError as error:
        notes.append(f"serving: {error}")
        return {}
    return {language: {"model": seat.model, "from": seat.origin} for language, seat in sorted(found.items())}


def _lag(
    settings: Settings, database: Database, found: list[tuple[str, Position]], notes: list[str]
) -> dict[tuple[str, int], int] | None:
    """Messages waiting in each partition of Kafka's topics; None when that is not known."""
    from monitor.sources.broker import lag

    if database.schema != settings.database.schema_name and not any(p.topic in settings.kafka.topics for _, p in found):
        notes.append("lag: this replay was not read from Kafka")
        return None
    stored = {
        (position.topic, position.partition): position.next_offset
        for _, position in found
        if position.next_offset is not None
    }
    try:
        patience = min(settings.kafka.timeout, PATIENCE)
        return lag(settings.kafka.model_copy(update={"timeout": patience}), stored)
    except (BrokerError, SettingsError) as error:
        notes.append(f"lag: {error}")
        return None


def _partition(group: str, position: Position, waiting: dict[tuple[str, int], int] | None) -> dict[str, Any]:
    return {
        "group": group,
        "topic": position.topic,
        "partition": position.partition,
        "next_offset": position.next_offset,
        "lag": (waiting or {}).get((position.topic, position.partition)),
        "event_time_high": _iso(position.event_time_high),
        "last_message_at": _iso(position.last_message_at),
        "caught_up_at": _iso(position.caught_up_at),
        "closed": position.closed,
    }


def _iso(time: datetime | None) -> str | None:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z") if time is not None else None


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"{report['record']['where']}, schema {report['record']['schema']}", style="dim", markup=False)
    facts = Table.grid(padding=(0, 3))
    facts.add_column(style="bold")
    facts.add_column()
    parts = ", ".join(
        f"{report[key]:,} {key}" for key in ("scored", "unscored", "late", "cut") if report[key] or key != "cut"
    )
    facts.add_row("documents", f"{report['documents']:,} ({parts})")
    facts.add_row("rejected", f"{report['rejected']:,}")
    facts.add_row("watermark", _moment(report["watermark"]) + f", judged through {_moment(report['judged_through'])}")
    facts.add_row("lag", "unknown" if report["lag"] is None else f"{report['lag']:,} messages")
    facts.add_row("alerts", ", ".join(f"{number:,} {state}" for state, number in report["alerts"].items()))
    facts.add_row("outbox", ", ".join(f"{number:,} {state}" for state, number in report["outbox"].items()))
    facts.add_row("scheduler", "one leads" if report["scheduler"]["leader"] else "none runs")
    if report["models"]:
        facts.add_row("models", ", ".join(f"{model}: {number:,}" for model, number in report["models"].items()))
    if report["serving"]:
        told = {"registry": "champion", "shipped": "shipped", "engine.bundles": "engine.bundles"}
        facts.add_row(
            "serving",
            ", ".join(f"{lang}: {seat['model']} ({told[seat['from']]})" for lang, seat in report["serving"].items()),
        )
    console.print(facts)
    for group, rows in groupby(report["partitions"], key=lambda row: row["group"]):
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column(f"group {group}", no_wrap=True)
        table.add_column("next offset", justify="right")
        table.add_column("lag", justify="right")
        table.add_column("event time", no_wrap=True)
        table.add_column("last message", no_wrap=True)
        for row in rows:
            table.add_row(
                f"{row['topic']}\\[{row['partition']}]" + (" closed" if row["closed"] else ""),
                "-" if row["next_offset"] is None else f"{row['next_offset']:,}",
                "-" if row["lag"] is None else f"{row['lag']:,}",
                _moment(row["event_time_high"]),
                _moment(row["last_message_at"]),
            )
        console.print(table)
    for note in report["notes"]:
        console.print(note, style="yellow", markup=False)


def _moment(time: str | None) -> str:
    if time is None:
        return "-"
    return "every minute is closed" if time.startswith(f"{END_OF_TIME:%Y}") else time[:16].replace("T", " ")
