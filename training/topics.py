"""`bellwether topics`: which topics there are, and a new one for a model from a few examples."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def topics() -> None:
    """The topics of the taxonomy, and a new one for a model from a few examples."""


@topics.command(name="list")
@click.option(
    "--topics", "path", type=click.Path(path_type=Path), help="Taxonomy (TOML); the one that ships by default."
)
def list_topics(path: Path | None) -> None:
    """Every topic, and which of the models in engine.bundles (or those that ship) know it."""
    from monitor.settings import load
    from monitor.understand.bundle import SHIPPED
    from monitor.understand.manifest import read_manifest
    from monitor.understand.topics import load_taxonomy

    manifests = [read_manifest(folder) for folder in load().settings.engine.bundles or SHIPPED]
    for topic in load_taxonomy(path):
        known = ", ".join(manifest.model for manifest in manifests if topic.id in manifest.topics)
        click.echo(f"{topic.id:24} {topic.en:36} {known or 'no model in use knows it'}")


@topics.command()
@click.argument("topic")
@click.option(
    "--examples",
    required=True,
    type=click.Path(path_type=Path),
    help="Labelled texts. One without topics is an example; one with other topics is a counterexample.",
)
@click.option("--to", "bundle", required=True, type=click.Path(path_type=Path), help="Folder of the model.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write the new model to.")
@click.option(
    "--background",
    type=click.Path(path_type=Path),
    help="Texts hardly any of which is about the topic; the sample feed by default.",
)
@click.option("--least", default=0.6, show_default=True, help="F1 over left-out texts that is asked.")
@click.option("--version", help="Version of the new model; the old one's plus one by default.")
@click.option(
    "--topics", "path", type=click.Path(path_type=Path), help="Taxonomy (TOML); the one that ships by default."
)
def add(
    topic: str,
    examples: Path,
    bundle: Path,
    out: Path,
    background: Path | None,
    least: float,
    version: str | None,
    path: Path | None,
) -> None:
    """Teach TOPIC to a model from about 8 examples; nothing else it says moves.

    \b
    The topic must be in the taxonomy. For one of your own, copy monitor/understand/topics.toml,
    add it there, and name the copy here with --topics and in the settings as engine.topics.
        bellwether topics add sanctions --examples sanctions.jsonl --to models/en --out models/en-2
    Each text is left out in turn to see whether the topic can be told apart; if not, nothing is written.
    """
    from monitor.understand.topics import load_taxonomy
    from training.data.reading import read_examples
    from training.fewshot import add_topic, background_of

    rows = read_examples(examples)
    others = background_of(background, bundle)
    made, head = add_topic(
        bundle, out, topic, rows, others, load_taxonomy(path), file=examples, least=least, version=version
    )
    click.echo(
        f"{made.manifest.model} is in {out}: {made.manifest.topics[-1]} from probability {head.threshold:g}; over "
        f"left-out texts F1 {head.f1:.3f}, precision {head.precision:.3f}, recall {head.recall:.3f}"
    )
