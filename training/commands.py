"""The command `bellwether train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.errors import InputError

if TYPE_CHECKING:
    from training.recipe import Recipe


@click.command()
@click.argument("recipe")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of the recipe's labelled files.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write the bundle to.")
@click.option("--topics", type=click.Path(path_type=Path), help="Taxonomy (TOML); the one that ships by default.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a value of the recipe.")
@click.option("--register", is_flag=True, help="Put the bundle into the registry as a candidate.")
@click.option(
    "--folds", type=click.IntRange(2, 50), help="Cross-validate instead: K bundles in OUT/1 …, each tested on its part."
)
def train(
    recipe: str,
    data: Path,
    out: Path,
    topics: Path | None,
    settings: tuple[str, ...],
    register: bool,
    folds: int | None,
) -> None:
    """Train a model from RECIPE: the name of one that ships (en, zh) or a TOML file.

    \b
    bellwether train en --data labelled --out models/en --set version=0.3.0
    bellwether train mine.toml --data labelled --out models/mine --register

    Everything a run does stands in its recipe (docs/recipe.md lists the keys). A run that was cut off goes on from its
    last checkpoint when it is called again. The TensorBoard record of an encoder's run is written to OUT.log.
    """
    from monitor.understand.topics import load_taxonomy
    from training.evaluation.summary import summary_line
    from training.notes import sections
    from training.recipe import read_recipe
    from training.run import run

    changes = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise InputError(f"--set {setting}: write it as KEY=VALUE, such as schedule.epochs=2")
        changes[key.strip()] = value.strip()
    chosen = read_recipe(recipe, changes)
    if folds is not None:
        if register:
            raise InputError("--folds makes a bundle for each part, none to --register; leave one of the two out")
        _cross_validate(chosen, folds, data, out, topics)
        return
    bundle = run(chosen, data=data, out=out, taxonomy=load_taxonomy(topics))
    click.echo(f"{bundle.manifest.model} is in {out}")
    for name, metrics in bundle.manifest.metrics.items():
        click.echo(f"  {name}: {summary_line(metrics)}")
    for line in sections(bundle, "Ensemble", "What it forgot"):
        click.echo(line)
    if register:
        _register(out)


def _cross_validate(recipe: Recipe, k: int, data: Path, out: Path, topics: Path | None) -> None:
    from monitor.understand.topics import load_taxonomy
    from training.crossvalidation import cross_validate, spread

    found = cross_validate(recipe, k, data=data, out=out, taxonomy=load_taxonomy(topics))
    click.echo(f"{recipe.name} {recipe.version}, {k} folds: mean ± standard deviation")
    for name, (mean, deviation) in spread(found).items():
        each = " ".join(f"{one[name]:.4f}" for one in found)
        click.echo(f"  {name.replace('_', ' ')}: {mean:.4f} ± {deviation:.4f} ({each})")


def _register(folder: Path) -> None:
    from contextlib import closing

    from monitor.records import open_record
    from monitor.settings import load
    from training.registry.commands import this_user
    from training.registry.registering import register

    loaded = load().settings
    with closing(open_record(loaded, None)) as database:
        model = register(database, loaded, folder, this_user())
    click.echo(f"{model.model} is registered; `bellwether models promote {model.model} --exam FILE` lets it serve")
