"""`bellwether outbox`."""

from __future__ import annotations

import click

from monitor.errors import InputError
from monitor.records import open_record
from monitor.settings import load


@click.command()
@click.option("--all", "every", is_flag=True, help="Also those that were sent.")
@click.option("--requeue", type=int, multiple=True, metavar="ID", help="Try this dead notification again (repeatable).")
@click.option("--requeue-dead", is_flag=True, help="Try every dead notification again.")
def outbox(every: bool, requeue: tuple[int, ...], requeue_dead: bool) -> None:
    """Notifications that wait or were given up (dead), with the last error; give dead ones another chance.

    A notification is dead after alerts.max_attempts tries, or at once when the receiver refused it for good. Mend
    what the error names (`bellwether doctor` tests it), then requeue.
    """
    from monitor.alerts import outbox as box
    from monitor.store.queries.alerts import notifications, outbox_by_state

    database = open_record(load().settings, None)
    with database.transaction() as connection:
        if requeue or requeue_dead:
            dead = {row.id for row in notifications(connection, states=("dead",), limit=1_000_000)}
            unknown = sorted(set(requeue) - dead)
            if unknown:
                raise InputError(f"notification {unknown[0]} is not dead or not there; `bellwether outbox` lists them")
            count = box.requeue(connection, sorted(dead) if requeue_dead else requeue)
            click.echo(f"{count} notifications are tried again")
            return
        counts = outbox_by_state(connection)
        rows = notifications(connection, states=() if every else ("pending", "dead"), limit=1_000)
    for row in reversed(rows):
        when = f"sent {row.sent_at:%Y-%m-%d %H:%M}" if row.sent_at else f"{row.attempts} tries"
        click.echo(f"{row.id:>6}  {row.state:<7}  {row.event:<8}  {row.channel:<7}  {row.target}  {when}")
        if row.last_error and not row.sent_at:
            click.echo(f"        {row.last_error}")
    click.echo(", ".join(f"{count} {state}" for state, count in counts.items()))
