"""The commands `bellwether train` and `bellwether evaluate`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from monitor.errors import InputError


@click.command()
@click.argument("recipe")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of the recipe's labelled files.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write the bundle to.")
@click.option("--topics", type=click.Path(path_type=Path), help="Taxonomy (TOML); the one that ships by default.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a value of the recipe.")
def train(recipe: str, data: Path, out: Path, topics: Path | None, settings: tuple[str, ...]) -> None:
    """Train a model from RECIPE: the name of one that ships (en, zh) or a TOML file.

    A run that was cut off goes on from its last checkpoint when it is called again.
    """
    from monitor.understand.topics import load_taxonomy
    from training.evaluate import summary_line
    from training.recipe import read_recipe
    from training.run import run

    changes = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise InputError(f"--set {setting}: write it as KEY=VALUE, such as schedule.epochs=2")
        changes[key.strip()] = value.strip()
    bundle = run(read_recipe(recipe, changes), data=data, out=out, taxonomy=load_taxonomy(topics))
    click.echo(f"{bundle.manifest.model} is in {out}")
    for name, metrics in bundle.manifest.metrics.items():
        click.echo(f"  {name}: {summary_line(metrics)}")


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines for people.")
@click.option("--topics", type=click.Path(path_type=Path), help="Taxonomy (TOML); the one that ships by default.")
def evaluate(bundle: Path, files: tuple[Path, ...], as_json: bool, topics: Path | None) -> None:
    """Measure the model in folder BUNDLE on labelled FILES (JSON lines, also .gz and .zst)."""
    from monitor.understand.bundle import SHIPPED, load_bundle
    from monitor.understand.topics import load_taxonomy
    from training.data.reading import read_examples
    from training.evaluate import evaluate_examples, report_lines

    taxonomy = load_taxonomy(topics)
    examples = {file: read_examples(file) for file in files}
    shipped = {folder.name: folder for folder in SHIPPED}
    loaded = load_bundle(shipped.get(str(bundle), bundle) if not bundle.exists() else bundle)
    reports = {str(file): evaluate_examples(loaded, rows, taxonomy) for file, rows in examples.items()}
    if as_json:
        click.echo(json.dumps({"model": loaded.manifest.model, "files": reports}, ensure_ascii=False, indent=1))
        return
    click.echo(loaded.manifest.model)
    for name, report in reports.items():
        click.echo("\n".join(report_lines(name, report)))
