"""`bellwether migrate`."""

from __future__ import annotations

import click

from monitor.settings import load
from monitor.store import migrate as migrations
from monitor.store.database import Database


@click.command()
@click.argument("revision", default="head")
@click.option("--down", is_flag=True, help="Go back to REVISION instead of up to it (`base` removes every table).")
@click.option("--show", is_flag=True, help="Only say where the tables are and where this program wants them.")
@click.option("--yes", is_flag=True, help="Do not ask before going back.")
def migrate(revision: str, down: bool, show: bool, yes: bool) -> None:
    """Make the tables, or bring them to REVISION (default: the newest)."""
    settings = load().settings
    database = Database(settings)
    if show:
        click.echo(
            f"{database.where}, schema {database.schema}: at {migrations.current(database) or 'nothing'}, "
            f"newest is {migrations.head()}"
        )
        return
    if down:
        if not yes:
            click.confirm(f"Take schema {database.schema} back to {revision}? Its data will be lost.", abort=True)
        migrations.downgrade(database, revision)
    else:
        migrations.upgrade(database, revision)
    click.echo(f"{database.where}, schema {database.schema}: now at {migrations.current(database) or 'nothing'}")
