"""`bellwether bench`."""

from __future__ import annotations

import json
import os
import platform
from importlib import resources
from pathlib import Path

import click

from monitor.settings import load


@click.group()
def bench() -> None:
    """Measure speed and memory on this machine."""


@bench.command()
@click.option(
    "--feed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Texts to use; default: the sample feed.",
)
@click.option("--documents", default=2900, show_default=True, help="Documents a round.")
@click.option("--rounds", default=3, show_default=True, help="Rounds; each measures both sides.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def pipeline(feed: Path | None, documents: int, rounds: int, as_json: bool) -> None:
    """Messages per second from Kafka to committed rows, beside the engine alone on the same texts.

    Needs a Kafka broker at kafka.bootstrap (`make kafka` starts one in a checkout). Uses a topic and a record of
    its own, and drops the record at the end.
    """
    from monitor.bench.pipeline import measure

    settings = load().settings
    sample = Path(str(resources.files("monitor.sample") / "feed.jsonl.gz"))
    result = measure(settings, feed or sample, documents=documents, rounds=rounds)
    if as_json:
        click.echo(json.dumps(result.as_dict() | {"machine": _machine()}))
        return
    click.echo(f"{_machine()}; {result.documents} documents, {result.rounds} rounds, batches of {result.batch}")
    click.echo(f"engine alone        {_spread(result.engine)} documents/s")
    click.echo(f"Kafka to rows       {_spread(result.pipeline)} documents/s")
    click.echo(f"share of the engine {result.share:.1%} (median over rounds)")
    click.echo(f"peak memory         {result.peak_memory_mb:.0f} MB (this process: models, consumer, producer)")


def _machine() -> str:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{platform.machine()}, {os.cpu_count()} cores, {device}, {versions}"


def _spread(values: list[float]) -> str:
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:7.0f} ({ordered[0]:.0f}–{ordered[-1]:.0f})"
