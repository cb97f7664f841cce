"""`bellwether demo`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import click

from monitor.commands.alerts import described
from monitor.commands.replay import run
from monitor.errors import BellwetherError
from monitor.progress import Progress
from monitor.records import open_record
from monitor.settings import load, variable

NAME = "demo"


@click.command()
@click.option("--no-serve", is_flag=True, help="End after the alerts; open no dashboard.")
@click.option("--no-browser", is_flag=True, help="Serve the dashboard, but do not open a browser.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the dashboard; default: dashboard.port.")
def demo(no_serve: bool, no_browser: bool, port: int | None) -> None:
    """Show the whole thing on this machine: no server, no network, nothing to set up.

    Starts an embedded Postgres, replays the sample feed (four weeks of invented news and comments, English and
    Chinese, about companies that do not exist) through the real models, prints each alert with its reason, and
    shows the dashboard, where you can watch it happen.
    """
    sample = resources.files("monitor.sample")
    # The demo has its own record on the embedded Postgres and its own watch list; the rest is as you set it.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(variable("database."))}
    overrides = {"engine.watchlist": str(sample / "watchlist.toml"), "dashboard.host": "127.0.0.1"}
    if port is not None:
        overrides["dashboard.port"] = str(port)
    settings = load(environment, overrides).settings
    started = time.monotonic()
    database = open_record(settings, NAME, make=True, fresh=True)
    click.echo(f"record: {database.where}, schema {database.schema}", err=True)
    seen = False

    def say(bar: Progress, alert: dict[str, object]) -> None:
        nonlocal seen
        bar.say(described(alert))
        if not seen:
            seen = True
            bar.say(f"    (first alert after {time.monotonic() - started:.0f} s)")

    with contextlib.ExitStack() as stack:
        page = None
        if not no_serve:
            page = stack.enter_context(_page(environment, overrides, open_browser=not no_browser))
        run(settings, database, (Path(str(sample / "feed.jsonl.gz")),), say=say)
        click.echo(f"the sample feed is through after {time.monotonic() - started:.0f} s", err=True)
        if page is not None:
            click.echo("the dashboard stays up; Ctrl-C ends the demo", err=True)
            with contextlib.suppress(KeyboardInterrupt):
                page.wait()
            if page.returncode not in (0, None, -2, -15, 130):
                raise BellwetherError(f"the dashboard ended with status {page.returncode}; its last line says why")


@contextlib.contextmanager
def _page(
    environment: dict[str, str], overrides: dict[str, str], *, open_browser: bool
) -> Iterator[subprocess.Popen[str]]:
    """The dashboard in a process of its own, so that pages stay quick while the models work."""
    child = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "monitor.cli", "dashboard", "--name", NAME],
        env=environment | {variable(key): value for key, value in overrides.items()},
        stdout=subprocess.PIPE,
        text=True,
    )

    def relay() -> None:
        opened = False
        for line in child.stdout or ():
            click.echo(line.rstrip(), err=True)
            address = next((word for word in line.split() if word.startswith("http://")), None)
            if address and open_browser and not opened and _has_screen():
                opened = True
                webbrowser.open(address)

    threading.Thread(target=relay, daemon=True).start()
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()


def _has_screen() -> bool:
    """Whether a browser could be seen; without one, webbrowser may start a text browser in this very terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
