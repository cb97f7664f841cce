"""`bellwether schedule`."""

from __future__ import annotations

import logging
import signal
from contextlib import closing

import click

from monitor.errors import InputError
from monitor.records import in_group, open_record
from monitor.settings import load

log = logging.getLogger(__name__)


@click.command()
@click.option("--once", is_flag=True, help="Judge what can be judged now, and end; deliver nothing.")
@click.option("--notify", is_flag=True, help="With --once: also deliver the notifications that are due.")
@click.option("--name", help="Of this replay instead of the live record (needs --once).")
def schedule(once: bool, notify: bool, name: str | None) -> None:
    """Judge every minute that is closed, raise and resolve alerts, deliver notifications.

    Run two if you like: one leads, the other stands by and takes over.
    """
    if notify and not once:
        raise InputError("--notify belongs to --once; without --once notifications are always delivered")
    if name and not once:
        raise InputError("--name needs --once: a replay is judged when it is complete, not by the clock")
    settings = load().settings
    with closing(open_record(settings, name)) as database:
        group = in_group(settings, name).kafka.group
        if not once:
            from monitor.scheduler import Scheduler

            scheduler = Scheduler(settings, database, group=group)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: scheduler.stop())
            log.info("scheduling for %s, schema %s", database.where, database.schema)
            scheduler.run()
            return
        from monitor.alerts.outbox import Deliverer
        from monitor.alerts.watch import Watch

        report = Watch(database, settings, group, notify=notify or name is None).tick()
        through = f"{report.through:%Y-%m-%d %H:%M} UTC" if report.through else "nothing yet"
        click.echo(f"judged through {through}: {report.opened} opened, {report.resolved} resolved")
        if notify:
            Deliverer(database, settings).deliver_due()
