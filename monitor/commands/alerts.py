"""`bellwether alerts`."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import click

from monitor.records import open_record
from monitor.settings import load


@click.command()
@click.option("--name", help="Of this replay instead of the live record.")
@click.option(
    "--out", type=click.Path(dir_okay=False), help="Write JSON lines to this file (the form of `replay --alerts`)."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON lines to standard output.")
def alerts(name: str | None, out: str | None, as_json: bool) -> None:
    """List the alerts of the record, the oldest first, or export them as JSON lines."""
    from monitor.alerts.export import export_alerts

    database = open_record(load().settings, name)
    lines = io.StringIO()
    with database.transaction() as connection:
        export_alerts(connection, lines)
    if out:
        Path(out).write_text(lines.getvalue(), encoding="utf-8")
    elif as_json:
        sys.stdout.write(lines.getvalue())
    else:
        for line in lines.getvalue().splitlines():
            click.echo(described(json.loads(line)))
        if not lines.getvalue():
            click.echo("no alerts")


def described(alert: dict[str, object]) -> str:
    """One alert as two lines of text."""
    end = f"resolved {_short(alert['resolved_at'])}" if alert["resolved_at"] else "open"
    return f"{_short(alert['opened_at'])}  {alert['severity']:<8}  {alert['series']}  ({end})\n    {alert['reason']}"


def _short(time: object) -> str:
    return str(time)[:16].replace("T", " ")
