"""`bellwether models`: the registry on the command line."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from monitor.errors import InputError
from monitor.records import open_record
from monitor.settings import load


@click.group(
    epilog="""\b
A model's way:
  bellwether models register OUT         the bundle in folder OUT becomes a candidate
  bellwether models shadow NAME          it scores beside the champion; nothing is judged on it
  bellwether models compare NAME         how far the two agree, and whom the labels back
  bellwether models promote NAME --exam frozen.jsonl
  bellwether models rollback             the champion before it serves again

NAME is name@version, or the name where there is only one version. docs/models.md says more.
"""
)
def models() -> None:
    """The registry: which models there are, which one reads which language, and changing that.

    A model is a candidate, the champion of some languages, or archived. A language without a champion is read by the
    bundle that ships. Consumers follow within `engine.reload_every`; nothing is restarted and no message is lost.
    """


_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
_reason = click.option("--reason", default="", help="Why; it is kept with what was done.")
_actor = click.option("--by", "actor", default=None, help="Who does it; by default the user of this machine.")


@models.command("list")
@click.option("--all", "every", is_flag=True, help="Archived models too.")
@_json
def list_(every: bool, as_json: bool) -> None:
    """Show the models, and which one reads which language."""
    from monitor.champions import lineup
    from monitor.store.queries import models as queries
    from training.registry.showing import model_row, show_models

    settings = load().settings
    with closing(open_record(settings, None)) as database:
        with database.transaction() as connection:
            found = [model for model in queries.every(connection) if every or model.stage != "archived"]
        serving = lineup(settings, database).by_language
    if as_json:
        seats = {language: {"model": seat.model, "from": seat.origin} for language, seat in sorted(serving.items())}
        _print({"models": [model_row(model) for model in found], "serving": seats})
    else:
        show_models(found, serving)


@models.command()
@click.argument("name")
@_json
def show(name: str, as_json: bool) -> None:
    """Show one model: where it comes from, its numbers, and what was done with it."""
    from monitor.store.queries import models as queries
    from training.registry.choosing import chosen
    from training.registry.showing import event_row, model_row, show_model

    settings = load().settings
    with closing(open_record(settings, None)) as database, database.transaction() as connection:
        model = chosen(connection, name)
        events = queries.events(connection, model.model)
    if as_json:
        _print({**model_row(model), "events": [event_row(event) for event in events]})
    else:
        show_model(model, events, settings)


@models.command()
@click.argument("folder", type=click.Path(path_type=Path))
@_actor
@_json
def register(folder: Path, actor: str | None, as_json: bool) -> None:
    """Copy the bundle in FOLDER into the registry, as a candidate.

    Its files are checked first and copied whole; FOLDER is not needed afterwards. Registering the same bundle again
    changes nothing; another bundle of the same name and version is refused.
    """
    from training.registry.registering import register as add
    from training.registry.showing import model_row

    settings = load().settings
    with closing(open_record(settings, None)) as database:
        model = add(database, settings, folder, actor or this_user())
    if as_json:
        _print(model_row(model))
    else:
        click.echo(
            f"{model.model} is registered ({model.stage}); `bellwether models promote {model.model}` lets it serve"
        )


@models.command()
@click.argument("name")
@click.option(
    "--exam",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Labelled file that nobody was taught (repeatable); default: engine.exam, else the last promotion's.",
)
@click.option("--language", "languages", multiple=True, help="Only this language of the model's (repeatable).")
@click.option("--force", is_flag=True, help="Promote in spite of the exam; needs --reason.")
@_reason
@_actor
@_json
def promote(
    name: str,
    exam: tuple[Path, ...],
    languages: tuple[str, ...],
    force: bool,
    reason: str,
    actor: str | None,
    as_json: bool,
) -> None:
    """Make a model the champion of its languages, if it stands the exam.

    It and the model that serves now answer the exam. It is refused when it is significantly worse on the whole or on
    any large slice (kind, length, language, company or not, negation, numbers), when it lacks topics or sentiment
    toward companies, when its bias leaves the bounds, when it was taught texts of the exam, or when the exam has
    changed or too few labels to tell; --force with a --reason overrules that. Everything is kept, see
    `bellwether models show`.
    """
    from training.registry.promoting import promote as put
    from training.registry.showing import show_promotion

    settings = load().settings
    with closing(open_record(settings, None)) as database:
        found = put(
            database,
            settings,
            name,
            actor=actor or this_user(),
            exam=exam,
            languages=languages,
            force=force,
            reason=reason,
        )
    if as_json:
        _print(asdict(found))
        if not found.promoted:
            sys.exit(1)
        return
    show_promotion(found)
    if not found.promoted:
        raise InputError(
            f"{found.model} is not promoted: {'; '.join(found.objections)}; "
            'overrule it with --force --reason "…" if you must'
        )
    if settings.engine.bundles:
        click.echo("engine.bundles is set here: consumers with this setting do not ask the registry", err=True)


@models.command()
@click.argument("language", required=False)
@_reason
@_actor
@_json
def rollback(language: str | None, reason: str, actor: str | None, as_json: bool) -> None:
    """Take the last promotion back (only in LANGUAGE, when given): who served before serves again.

    Called again it goes one promotion further back, in the end to the bundles that ship.
    """
    from training.registry.promoting import rollback as back

    settings = load().settings
    with closing(open_record(settings, None)) as database:
        found = back(database, settings, language, actor=actor or this_user(), reason=reason)
    if as_json:
        _print({one: {"from": old, "to": new} for one, (old, new) in found.items()})
        return
    for one, (old, new) in found.items():
        click.echo(f"{one}: {new or 'nobody'} instead of {old}")


@models.command()
@click.argument("name")
@_reason
@_actor
@_json
def archive(name: str, reason: str, actor: str | None, as_json: bool) -> None:
    """Put a model aside that will not be needed. Its folder stays, and it may still be promoted."""
    from training.registry.showing import model_row
    from training.registry.stages import archive as put_aside

    with closing(open_record(load().settings, None)) as database:
        model = put_aside(database, name, actor=actor or this_user(), reason=reason)
    if as_json:
        _print(model_row(model))
    else:
        click.echo(f"{model.model} is archived")


@models.command()
@click.argument("name")
@click.option("--off", is_flag=True, help="End it.")
@_actor
@_json
def shadow(name: str, off: bool, actor: str | None, as_json: bool) -> None:
    """Let a model score the same documents beside the champion, to be compared later.

    Nothing is judged on what it says and nobody is shown it. Each shadow costs consumers as much time and memory as a
    champion does.
    """
    from training.registry.showing import model_row
    from training.registry.stages import set_shadow

    settings = load().settings
    with closing(open_record(settings, None)) as database:
        model = set_shadow(database, settings, name, not off, actor=actor or this_user())
    if as_json:
        _print(model_row(model))
    else:
        click.echo(f"{model.model} {'scores in shadow mode' if model.shadow else 'no longer scores in shadow mode'}")


@models.command()
@click.argument("name")
@click.argument("other", required=False)
@click.option("--days", type=click.IntRange(1), default=30, show_default=True, help="Documents of the last N days.")
@click.option("--limit", type=click.IntRange(0, 1000), default=10, show_default=True, help="Documents to show.")
@_json
def compare(name: str, other: str | None, days: int, limit: int, as_json: bool) -> None:
    """Compare what NAME said in shadow mode with what was said (or with what OTHER said) of the same documents.

    Shows how often they agree, on whole texts and toward companies, what becomes of each label, how far scores moved,
    the documents on which they are furthest apart and, where analysts gave labels, which of the two agrees with them
    more (McNemar's exact test).
    """
    from training.registry.choosing import chosen
    from training.registry.comparing import beside
    from training.registry.showing import show_beside

    since = datetime.now(UTC) - timedelta(days=days)
    with closing(open_record(load().settings, None)) as database, database.transaction() as connection:
        model = chosen(connection, name).model
        # What ships is compared with, too, and is in no registry.
        rival = None if other is None else other if "@" in other else chosen(connection, other).model
        found = beside(connection, model, rival, since=since, limit=limit)
    if as_json:
        _print(found.as_dict())
        return
    if not found.documents:
        raise InputError(
            f"no document of the last {days} days was scored by both; `bellwether models shadow {model}` lets it score "
            "beside the champion"
        )
    show_beside(found)


@models.command()
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@_json
def export(name: str, folder: Path, as_json: bool) -> None:
    """Copy a model's bundle to FOLDER, checked, for another machine or for `bellwether classify --model`."""
    from training.registry.showing import model_row
    from training.registry.stages import export as copy

    settings = load().settings
    with closing(open_record(settings, None)) as database:
        model = copy(database, settings, name, folder)
    if as_json:
        _print({**model_row(model), "exported": str(folder)})
    else:
        click.echo(f"{model.model} is in {folder}")


def this_user() -> str:
    """The user of this machine, by number where the number has no name (as in many containers)."""
    import os
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _print(tree: Any) -> None:
    click.echo(json.dumps(tree, ensure_ascii=False, indent=2))
