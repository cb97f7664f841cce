"""`bellwether up`."""

from __future__ import annotations

import contextlib
import logging
import sys

import click

from monitor.errors import BellwetherError
from monitor.settings import Settings, load
from monitor.supervise import Supervisor, Task

_COLOURS = ("cyan", "green", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta", "bright_blue")


@click.command()
@click.option("--consumers", type=click.IntRange(1, 64), default=1, show_default=True, help="Consumers to run.")
@click.option("--no-dashboard", is_flag=True, help="Do not serve the web pages.")
def up(consumers: int, no_dashboard: bool) -> None:
    """Run consumer, scheduler and dashboard together, each as a process of its own.

    Updates the tables first. A process that ends is started again, after 1 s, 2 s, 4 s … up to a minute.
    Ctrl-C stops them all in order; a second Ctrl-C stops them at once.
    """
    from monitor.store import migrate
    from monitor.store.database import Database

    settings = load().settings
    database = Database(settings)
    migrate.upgrade(database)
    # The connections are given back; an embedded server goes on for as long as this process lives.
    database.close()
    tasks = _tasks(consumers, settings.metrics.port, dashboard=not no_dashboard)
    log = _Log([task.name for task in tasks])
    log.write("", f"the record: {database.where}, schema {database.schema}")
    try:
        Supervisor(tasks, log.write).run()
    finally:
        _take_over(settings, database)


def _tasks(consumers: int, metrics_port: int, *, dashboard: bool) -> list[Task]:
    level = logging.getLogger().getEffectiveLevel()
    flags = ["-v"] if level <= logging.DEBUG else ["-q"] if level >= logging.WARNING else []
    command = [sys.executable, "-u", "-m", "monitor.cli", *flags]
    names = ["consume"] if consumers == 1 else [f"consume-{number}" for number in range(1, consumers + 1)]
    tasks = [
        Task(name, [*command, "consume", *(("--metrics-port", str(metrics_port + number)) if metrics_port else ())])
        for number, name in enumerate(names)
    ]
    tasks.append(Task("schedule", [*command, "schedule"]))
    if dashboard:
        tasks.append(Task("dashboard", [*command, "dashboard"]))
    return tasks


class _Log:
    """Writes each line behind its writer's name, in a colour of its own on a terminal."""

    def __init__(self, names: list[str]) -> None:
        self._width = max(map(len, ["up", *names]))
        self._colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}

    def write(self, name: str, line: str) -> None:
        prefix = f"{name or 'up':<{self._width}} |"
        click.echo(f"{click.style(prefix, fg=self._colours.get(name, 'yellow'))} {line}", err=True)


def _take_over(settings: Settings, database: object) -> None:
    """Make sure an embedded server that a child had started anew is ours, so that it stops when we leave."""
    from monitor.store.database import Database

    if settings.database.url is None and isinstance(database, Database):
        with contextlib.suppress(BellwetherError):
            database.reset()
            _ = database.engine
            database.close()
