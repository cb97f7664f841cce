"""`bellwether dashboard`."""

from __future__ import annotations

import re

import click

from monitor.errors import InputError
from monitor.settings import load
from monitor.store.database import Database


@click.command()
@click.option("--host", help="Address to listen on (dashboard.host); anything but loopback asks for a login.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port (dashboard.port); 0 takes any free one.")
@click.option("--name", help="Show the record of the replay of this name instead of the live one.")
def dashboard(host: str | None, port: int | None, name: str | None) -> None:
    """Serve the web pages."""
    from dashboard.server import serve

    if name is not None and not re.fullmatch(r"[a-z0-9_]{1,40}", name):
        raise InputError(f"{name!r} is no replay's name; names are of a-z, 0-9 and _")
    settings = load().settings
    database = Database(settings, schema=f"replay_{name}" if name else None)
    try:
        serve(settings, database, host=host, port=port, ready=_say)
    except KeyboardInterrupt:
        click.echo("dashboard: stopped", err=True)
    finally:
        database.close()


def _say(address: str) -> None:
    click.echo(f"dashboard: {address}")
