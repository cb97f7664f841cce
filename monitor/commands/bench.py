"""`bellwether bench`."""

from __future__ import annotations

import json
import os
import platform
from importlib import resources
from pathlib import Path

import click

from monitor.errors import InputError
from monitor.settings import load
from monitor.understand.bundle import FAST, SHIPPED


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
@click.option("--rate", default=20.0, show_default=True, help="Messages a second of the trickle at the end; 0: none.")
@click.option("--seconds", default=30.0, show_default=True, help="How long the trickle lasts.")
@click.option(
    "--consumers",
    default=2,
    show_default=True,
    type=click.IntRange(1),
    help="Processes of `bellwether consume` to compare with one; 1: none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def pipeline(
    feed: Path | None, documents: int, rounds: int, rate: float, seconds: float, consumers: int, as_json: bool
) -> None:
    """Messages per second from Kafka to committed rows, beside the engine alone on the same texts.

    Needs a Kafka broker at kafka.bootstrap (`make kafka` starts one in a checkout). Uses a topic and a record of
    its own, and drops the record at the end. Both sides compute every text; then once more with the score cache, by
    one process of `bellwether consume` and by several, and how long single messages take from poll to commit.
    """
    from monitor.bench.pipeline import measure

    settings = load().settings
    sample = Path(str(resources.files("monitor.sample") / "feed.jsonl.gz"))
    result = measure(
        settings,
        feed or sample,
        documents=documents,
        rounds=rounds,
        rate=rate,
        seconds=seconds,
        consumers=consumers,
    )
    if as_json:
        click.echo(json.dumps(result.as_dict() | {"machine": _machine()}))
        return
    click.echo(f"{_machine()}; {result.documents} documents, {result.rounds} rounds, batches of {result.batch}")
    click.echo(f"engine alone        {_spread(result.engine)} documents/s")
    click.echo(f"Kafka to rows       {_spread(result.pipeline)} documents/s")
    click.echo(f"share of the engine {result.share:.1%} (median over rounds)")
    click.echo(
        f"with the cache      {_spread(result.cached)} documents/s, {result.remembered:.1%} of the texts remembered"
    )
    for count, reached in result.members.items():
        click.echo(f"{count} x consume         {reached:7.0f} documents/s")
    if result.trickle:
        told = result.trickle
        click.echo(
            f"poll to commit      median {1000 * told['median']:.0f} ms, 99 % within {1000 * told['p99']:.0f} ms, most "
            f"{1000 * told['most']:.0f} ms, at {told['rate']:g} messages/s ({told['messages']:.0f} messages)"
        )
    click.echo(f"peak memory         {result.peak_memory_mb:.0f} MB (this process: models, consumer, producer)")


@bench.command()
@click.option(
    "--feed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Texts to use; default: the sample feed's, cut to the lengths of tweets.",
)
@click.option("--model", help="Bundle folder, or en or zh for one that ships.", default="en", show_default=True)
@click.option("--texts", default=1000, show_default=True, help="Short texts a round.")
@click.option("--articles", default=100, show_default=True, help="Texts of 300 tokens a round; 0: none.")
@click.option("--rounds", default=5, show_default=True, help="Rounds; each measures every contender.")
@click.option("--only", help="Contenders to measure, separated by commas; default: all.", metavar="NAMES")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def engine(
    feed: Path | None, model: str, texts: int, articles: int, rounds: int, only: str | None, as_json: bool
) -> None:
    """Texts per second of the engine beside other ways to run the same network.

    transformers.pipeline as it comes and with batch_size=32, PyTorch, ONNX Runtime, OpenVINO and CTranslate2 as a
    careful user would run them, and the engine, each in a process of its own, in turn, on the same texts. Shown are
    speed, the share of this machine's measured matrix peak, peak memory, start-up time, and how far the answers lie
    from float32's. Libraries that are missing are left out (pip install 'bellwether[bench]' brings them).

    It takes about a quarter of an hour on two cores.

    \b
    Examples:
      bellwether bench engine --only pipeline-32,engine --rounds 3
      bellwether bench engine --feed stocknet-2014.jsonl.gz --json > engine.json
    """
    from monitor.bench.contenders import NAMES
    from monitor.bench.engine import BASE, measure, report

    names = [name.strip() for name in only.split(",")] if only else list(NAMES)
    wrong = [name for name in names if name not in NAMES]
    if wrong:
        raise InputError(f"--only: there is no contender {wrong[0]}; there are {', '.join(NAMES)}")
    shipped = {folder.name: folder for folder in SHIPPED}
    fast = {folder.name.removesuffix("-fast"): folder for folder in FAST}
    result = measure(
        load().settings,
        bundle=shipped.get(model, Path(model)).absolute(),
        fast=fast.get(model),
        feed=feed,
        texts=texts,
        articles=articles,
        rounds=rounds,
        names=[name for name in NAMES if name in {*names, BASE}],
    )
    if as_json:
        click.echo(json.dumps(result.as_dict() | {"machine": _machine()}))
    else:
        report(result, click.echo, _machine())


def _machine() -> str:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{platform.machine()}, {os.cpu_count()} cores, {device}, {versions}"


def _spread(values: list[float]) -> str:
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:7.0f} ({ordered[0]:.0f}–{ordered[-1]:.0f})"
