"""The command `bellwether evaluate`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.errors import InputError
from monitor.settings import load

if TYPE_CHECKING:
    from monitor.understand.bundle import Bundle
    from training.data.examples import Example


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--against",
    metavar="OTHER",
    help="Both are asked about the same texts, and a verdict says whether BUNDLE is worse. OTHER is a folder, en or "
    "zh, NAME@VERSION of the registry, or `champion`: who reads the languages of BUNDLE now.",
)
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write an HTML page with plots here.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines for people.")
@click.option("--quick", is_flag=True, help="Smaller samples for robustness and bias, and no measurement of speed.")
@click.option("--topics", type=click.Path(path_type=Path), help="Taxonomy (TOML); the one that ships by default.")
@click.option("--watchlist", type=click.Path(path_type=Path), help="Watch list (TOML); the one that ships by default.")
@click.option(
    "--pairs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of minimal pairs, paraphrases and swaps; those that ship by default.",
)
@click.option(
    "--file-topics",
    is_flag=True,
    help="Count only topics that the file carries: for files whose labellers chose from fewer than the model knows.",
)
@click.option("--card", is_flag=True, help="Write the numbers into MODEL_CARD.md and bundle.json of BUNDLE.")
@click.option("--quote", is_flag=True, help="With --card: texts of FILES may be quoted there (up to 120 characters).")
def evaluate(
    bundle: Path,
    files: tuple[Path, ...],
    against: str | None,
    report: Path | None,
    as_json: bool,
    quick: bool,
    topics: Path | None,
    watchlist: Path | None,
    pairs: Path | None,
    file_topics: bool,
    card: bool,
    quote: bool,
) -> None:
    """Measure the model in folder BUNDLE (or en, zh: those that ship) on labelled FILES.

    FILES are JSON lines, CSV, Parquet or exports of Label Studio and Argilla, also .gz and .zst. Each is measured as
    far as its labels allow: sentiment, topics, negative or not, sentiment toward entities; with calibration and
    slices. Beside the files come robustness (typos, casing, another company), bias (one company, country or gender
    word for another), minimal pairs ("loss narrows", "loss widens"), paraphrases, and speed.

    \b
    bellwether evaluate en tests.jsonl
    bellwether evaluate models/new tests.jsonl --against champion --report new.html

    The exit status is 0 however good or bad the model is.
    """
    from monitor.understand.companies import Watchlist
    from monitor.understand.topics import load_taxonomy
    from training.data.reading import read_examples
    from training.evaluation.examination import Scope, examine
    from training.evaluation.judged import among_their_own
    from training.evaluation.pairs import PAIRS
    from training.evaluation.rival import load_named, load_rival
    from training.evaluation.summary import lines

    if report is not None and not report.absolute().parent.is_dir():
        raise InputError(f"{report}: there is no folder {report.absolute().parent}; make it or write elsewhere")
    taxonomy = load_taxonomy(topics)
    examples = {str(file): read_examples(file) for file in files}
    if file_topics:
        examples = {name: among_their_own(rows) for name, rows in examples.items()}
    loaded = load_named(str(bundle))
    if card:
        _check_writable(loaded.folder)
    _tell_seen(loaded, examples, pairs or PAIRS, card)
    champion = None if against is None else load_rival(against, loaded.manifest.languages, load().settings)
    scope = Scope(pairs or PAIRS, quick)
    found = examine(loaded, examples, taxonomy, Watchlist.load(watchlist), scope=scope, against=champion)
    if report is not None:
        from training.evaluation.report import page

        report.write_text(page(found, taxonomy), encoding="utf-8")
        click.echo(f"report: {report}", err=True)
    if card:
        from training.card import update_card

        names = {str(file): _name(file, files) for file in files}
        told = {**found, "files": {names[file]: report for file, report in found["files"].items()}}
        update_card(loaded, told, taxonomy, quotable=frozenset(names.values()) if quote else frozenset())
        click.echo(f"card: {loaded.folder / 'MODEL_CARD.md'}", err=True)
    click.echo(json.dumps(found, ensure_ascii=False, indent=1) if as_json else "\n".join(lines(found)))


def _tell_seen(bundle: Bundle, files: Mapping[str, Sequence[Example]], pairs: Path, card: bool) -> None:
    """Say which texts the bundle was taught; raises InputError if numbers on such were to stand in its card."""
    from training.evaluation.pairs import exam_for
    from training.evaluation.seen import seen

    asked = {**files, str(pairs): exam_for(bundle.manifest.languages, pairs)}
    for name, rows in asked.items():
        count = seen(bundle.folder, [example.text for example in rows])
        if not count:
            continue
        said = f"{name}: {bundle.manifest.model} was taught {count:,} of its {len(rows):,} texts"
        if card:
            raise InputError(f"{said}: such numbers belong in no card; leave the file away, or --card")
        click.echo(f"{said}: the numbers on it flatter", err=True)


def _name(file: Path, files: tuple[Path, ...]) -> str:
    """A file's name; its path where two files have the same name."""
    return file.name if sum(other.name == file.name for other in files) == 1 else str(file)


def _check_writable(folder: Path) -> None:
    import os

    from monitor.champions import registry_folder

    if folder.resolve().is_relative_to(registry_folder(load().settings).resolve()):
        raise InputError(
            f"{folder} belongs to the registry, whose models never change; write the card before "
            "`bellwether models register`, or leave --card away"
        )
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder}: cannot be written to; leave --card away")
