"""`bellwether replay`."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from monitor.champions import lineup
from monitor.commands.alerts import described
from monitor.errors import InputError
from monitor.progress import Progress, progress
from monitor.records import open_record
from monitor.settings import Settings, load
from monitor.store.database import Database
from monitor.understand.lineup import Lineup


@click.command()
@click.argument("feed", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="Name of the replay; default: the first feed's file name.")
@click.option("--speed", default="max", show_default=True, help="max, or so many times real time: 60x.")
@click.option(
    "--alerts", "out", type=click.Path(dir_okay=False, path_type=Path), help="Write the alerts as JSON lines."
)
@click.option("--resume", is_flag=True, help="Go on with a replay that was stopped instead of starting over.")
@click.option("--notify", is_flag=True, help="Send the alerts by e-mail and webhook as the settings say.")
@click.option("--backfill", is_flag=True, help="Put the documents into the live record; raises no alerts.")
def replay(
    feed: tuple[Path, ...],
    name: str | None,
    speed: str,
    out: Path | None,
    resume: bool,
    notify: bool,
    backfill: bool,
) -> None:
    """Run an archive through the whole pipeline, as if it came in live.

    FEED is JSON lines, CSV or Parquet, plain or .gz or .zst; several feeds are merged by time. A replay has a
    record of its own, which replaces an earlier one of the same name; look at it with
    `bellwether dashboard --name NAME`. The alerts depend on the documents alone: any speed and any batch size
    gives the same ones.
    """
    pace = pace_of(speed)
    settings = load().settings
    if backfill:
        if name or out or notify or resume:
            raise InputError(
                "--backfill goes into the live record: --name, --alerts, --resume and --notify do not apply"
            )
        fill(settings, feed, pace)
        return
    name = name or name_of(feed[0])
    database = open_record(settings, name, make=True, fresh=not resume)
    run(settings, database, feed, pace=pace, notify=notify, say=lambda bar, alert: bar.say(described(alert)))
    if out:
        from monitor.alerts.export import export_alerts

        with out.open("w", encoding="utf-8") as sink, database.transaction() as connection:
            export_alerts(connection, sink)
    click.echo(f"replay {name} is done; look at it with `bellwether dashboard --name {name}`", err=True)


def run(
    settings: Settings,
    database: Database,
    feeds: tuple[Path, ...],
    *,
    pace: float | None = None,
    notify: bool = False,
    say: Callable[[Progress, dict[str, object]], None],
) -> None:
    """Replay feeds into a record: documents, judgement, alerts, to the end. `say` is told of each alert that opens."""
    from monitor.alerts.export import as_json
    from monitor.alerts.outbox import Deliverer
    from monitor.alerts.watch import Watch
    from monitor.replay import GROUP, Replay
    from monitor.sources.archive import read_feeds
    from monitor.store.queries.alerts import Alert
    from monitor.store.writer import Writer, Written
    from monitor.understand.reader import Reader

    reader = Reader(settings.engine, champions(settings, database))
    writer = Writer(database, GROUP, settings.detection.lateness)
    watch = Watch(database, settings, GROUP, notify=notify)
    replay_ = Replay(database, reader, writer, stream=stream_of(feeds), size=settings.batch.documents, pace=pace)
    begin = replay_.stored()
    total = Written()
    with contextlib.ExitStack() as stack:
        records = stack.enter_context(read_feeds(feeds, settings.sources, start=begin or 0))
        bar = stack.enter_context(progress("replay", records.size))

        def tell(alert: Alert, event: str) -> None:
            if event == "open":
                say(bar, as_json(alert))

        for written in replay_.run(records, begin):
            total += written
            watch.tick(on_alert=tell)
            bar.update(records.position, f"{total.documents} documents, {total.rejected} rejected")
        replay_.close()
        watch.tick(on_alert=tell)
    if total.late:
        click.echo(
            f"{total.late} of {total.documents} documents were late: stored, but too far behind the ones before them "
            "to be judged; sort the archive by published_at or raise detection.lateness",
            err=True,
        )
    if notify:
        Deliverer(database, settings).deliver_due()


def fill(settings: Settings, feeds: tuple[Path, ...], pace: float | None) -> None:
    """Put feeds into the live record, as history that is learned from and not judged."""
    from monitor.replay import GROUP, Replay
    from monitor.sources.archive import read_feeds
    from monitor.store import clock
    from monitor.store.writer import Writer, Written
    from monitor.understand.reader import Reader

    database = open_record(settings, None)
    reader = Reader(settings.engine, champions(settings, database))
    writer = Writer(database, GROUP, settings.detection.lateness)
    replay_ = Replay(database, reader, writer, stream=stream_of(feeds), size=settings.batch.documents, pace=pace)
    begin = replay_.stored()
    total = Written()
    with contextlib.ExitStack() as stack:
        records = stack.enter_context(read_feeds(feeds, settings.sources, start=begin or 0))
        bar = stack.enter_context(progress("backfill", records.size))
        for written in replay_.run(records, begin):
            total += written
            bar.update(records.position, f"{total.documents} documents")
    with database.transaction() as connection:
        clock.skip_history(connection)
    click.echo(
        f"backfill: {total.documents} new documents ({total.late} behind the watermark), {total.repeated} known, "
        f"{total.rejected} rejected",
        err=True,
    )


def champions(settings: Settings, database: Database) -> Lineup:
    """Who reads a replay: the champions of the live record's registry, without those in shadow mode."""
    return replace(lineup(settings, database), shadows=())


def stream_of(feeds: tuple[Path, ...]) -> str:
    """The name under which offsets of these feeds are stored: that of `read_feeds`."""
    return "+".join(feed.name for feed in feeds)


def pace_of(speed: str) -> float | None:
    """Event seconds a second: None for max. Raises InputError."""
    if speed == "max":
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)x", speed)
    if not found or float(found[1]) <= 0:
        raise InputError(f"--speed is max or a number with x, such as 60x; {speed!r} is neither")
    return float(found[1])


def name_of(feed: Path) -> str:
    """A replay's name made of a file's."""
    stem = feed.name.split(".")[0].lower()
    return re.sub(r"[^a-z0-9]+", "_", stem).strip("_")[:40] or "replay"
