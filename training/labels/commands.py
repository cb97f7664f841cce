"""`bellwether labels`."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.errors import InputError
from monitor.records import open_record
from monitor.settings import load
from training.labels.asking import next_

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.labelling.majority import Settled
    from monitor.store.queries.labels import Given

FORMATS = ("jsonl", "csv", "parquet", "label-studio", "argilla")
_of = click.option("--name", help="Of this replay instead of the live record.")
_lang = click.option("--lang", default="", help="Only documents in this language (en, zh …).")
_actor = click.option("--actor", default="", help="Only what this person said.")


@click.group()
def labels() -> None:
    """What analysts say of documents: out to files, in from them, and what to label next.

    Labels are given in the dashboard (Explore, a document, "Label") or brought in with `labels import`. They outlive
    the documents: the text is kept with them.

    \b
    bellwether labels next --count 50 --out to-label.jsonl --lang zh
    bellwether labels status
    bellwether labels export analysts.jsonl
    """


@labels.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--format", "format_", type=click.Choice(FORMATS), help="By default what the name of FILE says.")
@click.option("--each", is_flag=True, help="A row for every person instead of what most agree on.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Only labels given on this day (UTC) or later.")
@_lang
@_actor
@_of
def export(
    file: Path, format_: str | None, each: bool, since: datetime | None, lang: str, actor: str, name: str | None
) -> None:
    """Write the labels to FILE, in a form `bellwether train` and `evaluate` read.

    FILE ends in .jsonl, .csv or .parquet (.jsonl and .csv may be .gz or .zst); with --format label-studio or argilla
    it is a JSON array those tools take in, with everybody's answers. Otherwise a document has one row with what most
    say; where nobody has the majority that is left out, and told. A row has text, lang, sentiment, topics,
    entity_sentiment (toward each company, by its name in the text), published_at, kind, key and actors.
    """
    from datetime import UTC

    from monitor.store.queries.labels import listed
    from monitor.understand.companies import Watchlist
    from training.labels.outgoing import export as write
    from training.labels.settled import tied
    from training.labels.writing import format_of

    settings = load().settings
    format = format_of(file, format_)
    watchlist = Watchlist.load(settings.engine.watchlist)
    with closing(open_record(settings, name)) as database, database.transaction() as connection:
        given = listed(connection, actor=actor, lang=lang, since=since.replace(tzinfo=UTC) if since else None)
    if not given:
        raise InputError("there are no such labels; give some in the dashboard or with `bellwether labels import`")
    settled = write(file, list(reversed(given)), watchlist, format, each=each)
    click.echo(f"{len(settled)} {'rows' if each else 'documents'} are in {file}")
    _tell_ties(tied(settled))


def _tell_ties(ties: Sequence[tuple[Settled, str]]) -> None:
    if not ties:
        return
    kinds = Counter(what if what in ("sentiment", "topics") else "a company" for _, what in ties)
    said = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    click.echo(f"left out, because as many say one thing as another: {said}", err=True)
    for settled, what in ties[:5]:
        click.echo(f"  {settled.key} {what}: {' '.join(settled.body.split())[:80]}", err=True)


@labels.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--actor", help="Whose labels they are; import:FILE by default.")
@_of
def import_(file: Path, actor: str | None, name: str | None) -> None:
    """Bring in the labels of FILE: JSON lines, CSV, Parquet, or an export of Label Studio or Argilla.

    A row belongs to the document of its key, or of its source and id, or with the same text. Texts that are not in
    the record are kept as well. Bringing the same file in again changes nothing.
    """
    from monitor.understand.companies import Watchlist
    from monitor.understand.topics import load_taxonomy
    from training.labels.incoming import bring_in

    settings = load().settings
    watchlist, taxonomy = Watchlist.load(settings.engine.watchlist), load_taxonomy(settings.engine.topics)
    with closing(open_record(settings, name)) as database, database.transaction() as connection:
        done = bring_in(connection, file, watchlist, taxonomy, actor or f"import:{file.name}")
    click.echo(
        f"{done.matched + done.kept} texts labelled: {done.matched} in the record, {done.kept} kept by themselves"
    )
    if done.empty:
        click.echo(f"{done.empty} texts carry no label that can be kept", err=True)
    for company, count in done.unknown.most_common(5):
        click.echo(f"not on the watch list, so left out: {company!r} ({count} times)", err=True)
    if len(done.unknown) > 5:
        click.echo(f"and {len(done.unknown) - 5} other companies", err=True)
    for kind, count in done.unused.items():
        click.echo(f"{kind}: yes or no is no sentiment, so {count} are left out", err=True)


@labels.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
@_lang
@_actor
@_of
def list_(limit: int, as_json: bool, lang: str, actor: str, name: str | None) -> None:
    """Show labels, the newest first."""
    from monitor.store.queries.labels import listed

    with closing(open_record(load().settings, name)) as database, database.transaction() as connection:
        given = listed(connection, actor=actor, lang=lang, limit=limit)
    for one in given:
        click.echo(json.dumps(_plain(one), ensure_ascii=False) if as_json else _line(one))
    if not given and not as_json:
        click.echo("no labels; `bellwether labels next` says which documents to begin with", err=True)


def _plain(one: Given) -> dict[str, Any]:
    return {
        "key": str(one.key),
        "company": one.company,
        "actor": one.actor,
        "sentiment": one.sentiment,
        "topics": None if one.topics is None else list(one.topics),
        "text": one.body,
        "lang": one.lang,
        "published_at": one.published_at.isoformat(),
        "kind": one.kind,
        "note": one.note,
        "origin": one.origin,
        "labelled_at": one.labelled_at.isoformat(),
    }


def _line(one: Given) -> str:
    said = one.sentiment or "–"
    about = f" toward {one.company}" if one.company else ""
    topics = "" if one.topics is None else f" [{', '.join(one.topics) or 'no topic'}]"
    words = " ".join(one.body.split())
    return f"{one.labelled_at:%Y-%m-%d %H:%M}  {one.actor}: {said}{about}{topics}  {words[:100]}"


@labels.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@_of
def status(as_json: bool, name: str | None) -> None:
    """How many labels there are, of which class, in which language, by whom; and how far people agree.

    Agreement is Cohen's kappa of every two people on what both labelled: 1 is full agreement, 0 what chance would
    give. Below about 0.6 talk over what the labels mean before giving more.
    """
    from monitor.store.queries.labels import listed

    with closing(open_record(load().settings, name)) as database, database.transaction() as connection:
        given = list(reversed(listed(connection)))
    report = _report(given)
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False, indent=1))
        return
    if not given:
        click.echo("no labels yet; `bellwether labels next` says which documents to begin with")
        return
    click.echo(f"{report['documents']} documents, {report['labels']} labels, {report['ties']} ties")
    for title in ("sentiment", "toward", "topics", "language", "actor"):
        if report[title]:
            click.echo(f"{title}: " + ", ".join(f"{key} {count}" for key, count in report[title].items()))
    for pair in report["agreement"]:
        told = "–" if pair["kappa"] is None else f"{pair['kappa']:.2f}"
        click.echo(
            f"{pair['first']} and {pair['second']} on {pair['on']}: kappa {told} "
            f"({pair['same'] * 100:.0f} % the same of {pair['shared']})"
        )


def _report(given: Sequence[Given]) -> dict[str, Any]:
    """Counts of what the labellers agree on, labels by language and actor, ties, and the agreement of each pair."""
    from dataclasses import asdict

    from monitor.labelling.agreement import agreements
    from monitor.labelling.majority import settle

    settled = settle(given)
    return {
        "documents": len(settled),
        "labels": len(given),
        "ties": sum(len(one.ties) for one in settled),
        "sentiment": _counted(one.sentiment for one in settled if one.sentiment),
        "toward": _counted(label for one in settled for _, label in one.companies),
        "topics": _counted(topic for one in settled for topic in one.topics or ()),
        "language": _counted(one.lang for one in settled),
        "actor": _counted(one.actor for one in given),
        "agreement": [asdict(pair) for pair in agreements(given)],
    }


def _counted(values: Any) -> dict[str, int]:
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


labels.add_command(next_)
