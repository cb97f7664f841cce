"""`bellwether produce`."""

from __future__ import annotations

from pathlib import Path

import click

from monitor.progress import progress
from monitor.settings import load


@click.command()
@click.argument("feed", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--topic", help="Topic to write to; default: news to the first of kafka.topics, comments to the last.")
@click.option("--partitions", type=click.IntRange(1, 10_000), help="Create missing topics with so many partitions.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Messages a second at most.")
@click.option("--limit", type=click.IntRange(min=1), help="Messages at most.")
def produce(
    feed: tuple[Path, ...], topic: str | None, partitions: int | None, rate: float | None, limit: int | None
) -> None:
    """Write an archive onto Kafka.

    FEED is JSON lines, CSV or Parquet, plain or .gz or .zst; several feeds are merged by time; - reads JSON lines
    from standard input. Messages about one company keep their order. Broken messages are sent as they are: the
    consumer rejects and keeps them.
    """
    from monitor.sources import produce as producer

    settings = load().settings
    with progress("produce", sum(path.stat().st_size for path in feed if path.is_file())) as bar:
        counts = producer.produce(
            feed,
            settings,
            topic=topic,
            partitions=partitions,
            rate=rate,
            limit=limit,
            progress=lambda position, size, so_far: (
                bar.update(position, f"{so_far.sent} messages") if size else bar.update(so_far.sent, "messages")
            ),
        )
    line = f"{counts.acknowledged} messages are on Kafka: {counts.documents} good, {counts.broken} broken"
    click.echo(line + (f"; {counts.skipped} too large were left out" if counts.skipped else ""), err=True)
