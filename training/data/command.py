"""The command `bellwether data`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.errors import InputError

if TYPE_CHECKING:
    from training.data.check import Checked, File
    from training.data.doubles import Conflict
    from training.data.examples import Example

_WIDTH = 100
_CLASSES = 12  # rows of a table of confusions that still fit a screen


@click.group()
def data() -> None:
    """Look at labelled files before anything is trained on them.

    \b
    bellwether data check labels.csv --test exam.jsonl
    """


@data.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--test",
    "tests",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file to measure on: no text of FILES may be in it (repeatable).",
)
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="OURS=THEIRS",
    help="What a field is called in the files, such as text=headline (repeatable).",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="THEIRS=OURS",
    help="What a label of the files means, such as 1=positive; 9= stands for none (repeatable).",
)
@click.option(
    "--topics", type=click.Path(path_type=Path), help="Taxonomy (TOML) of the topics; the one that ships by default."
)
@click.option("--noise", is_flag=True, help="Also list labels that are probably wrong (confident learning).")
@click.option("--show", default=5, show_default=True, type=click.IntRange(0), help="Examples shown of each finding.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines for people.")
def check(
    files: tuple[Path, ...],
    tests: tuple[Path, ...],
    fields: tuple[str, ...],
    labels: tuple[str, ...],
    topics: Path | None,
    noise: bool,
    show: int,
    as_json: bool,
) -> None:
    """Read labelled FILES and say what they hold and what is wrong with them.

    FILES are JSON lines, a JSON array, CSV or Parquet, also .gz and .zst, or exports of Label Studio (JSON,
    JSON-MIN) and Argilla. Told are the labels, languages and lengths, rows that cannot be used, topics that the
    taxonomy lacks, copies and near copies, copies whose labels contradict each other, and texts that are both taught
    and tested. The exit status is 1 if a training run would refuse the files.

    \b
    bellwether data check train.csv --field text=headline --label 0=negative --label 1=positive
    bellwether data check train.jsonl.gz --test exam.jsonl.gz --noise --show 20
    bellwether data check project-7-at-2026-05-21.json --json | jq .conflicts
    """
    from monitor.understand.topics import load_taxonomy
    from training.data.check import check as look

    found = look(
        files,
        tests,
        fields=_pairs("--field", fields),
        labels=_pairs("--label", labels, blank=True),
        taxonomy=load_taxonomy(topics),
        noise=noise,
    )
    if as_json:
        click.echo(json.dumps(found.as_dict(show), ensure_ascii=False, indent=1))
    else:
        click.echo("\n".join(_report(found, show)))
    if found.wrong:
        raise InputError("; ".join(found.wrong))


def _pairs(option: str, values: Iterable[str], *, blank: bool = False) -> dict[str, str]:
    found = {}
    for value in values:
        name, equals, meant = value.partition("=")
        if not equals or not name.strip() or not (meant.strip() or blank):
            raise InputError(f"{option} {value}: write it as NAME=VALUE")
        found[name.strip()] = meant.strip()
    return found


def _report(found: Checked, show: int) -> Iterator[str]:
    for file in found.files:
        yield from _of_file(file)
    for file in found.tests:
        yield from _of_file(file, " (test)")
    if not any(file.examples for file in found.files):
        return
    yield f"copies: {found.doubles:,}; near copies: {found.near_doubles:,}"
    yield from _conflicts("copies that contradict each other", found.conflicts, show)
    yield from _conflicts("near copies with different labels (may well be right)", found.near_conflicts, show)
    if found.tests:
        yield f"taught and tested: {len(found.leaked):,} texts"
        yield from _leaks(found.leaked, show)
        yield (
            f"near copies of tested texts: {len(found.near_leaked):,}, of {found.near_leaked_tests:,} tested ones; "
            "training leaves them out"
        )
        yield from _leaks(found.near_leaked, show)
    yield from _noise(found, show)


def _of_file(file: File, what: str = "") -> Iterator[str]:
    if file.error:
        yield f"{file.path}{what}: cannot be used"
        yield f"  {file.error.removeprefix(f'{file.path}: ')}"
        return
    facts = file.as_dict()
    yield f"{file.path}{what}: {facts['texts']:,} texts"
    if facts["sentiment"]:
        yield f"  sentiment: {_counts(facts['sentiment'])}"
    if facts["topics"]:
        yield f"  topics: {_counts(dict(sorted(facts['topics'].items(), key=lambda item: -item[1])))}"
    if facts["negative"] or facts["not_negative"]:
        yield f"  negative or not: {facts['negative']:,} and {facts['not_negative']:,}"
    if facts["entities"]:
        yield f"  entities: {facts['entities']:,}"
    if file.examples:
        long = facts["characters"]
        yield f"  languages: {_counts(facts['languages'])}"
        yield f"  characters: median {long['median']:,}, 95 % at most {long['most']:,}, longest {long['longest']:,}"
    if facts["dated"]:
        yield f"  with published_at: {facts['dated']:,}"
    for note, count in facts["notes"].items():
        yield f"  note: {count:,} times: {note}"
    if len(file.problems):
        yield f"  {len(file.problems):,} problems:"
        yield from (f"    {line}" for line in (*file.problems.lines(), *file.problems.advice.values()))


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _conflicts(title: str, found: Sequence[Conflict], show: int) -> Iterator[str]:
    yield f"{title}: {len(found):,}"
    for conflict in found[:show]:
        yield f"  {conflict.what}:"
        for example, said in zip((conflict.one, conflict.other), conflict.said, strict=True):
            yield f"    {said:<10} {_line(example)}"


def _leaks(found: Sequence[tuple[Example, Example]], show: int) -> Iterator[str]:
    for taught, tested in found[:show]:
        yield f"  taught  {_line(taught)}"
        yield f"  tested  {_line(tested)}"


def _line(example: Example) -> str:
    """Where an example stands and how it begins, on one line of a terminal."""
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in example.text).split())
    return f"{example.origin}  {text if len(text) <= _WIDTH else text[: _WIDTH - 1] + '…'}"


def _noise(found: Checked, show: int) -> Iterator[str]:
    for noise in sorted(found.noise or (), key=lambda noise: -len(noise.suspects)):
        yield (
            f"labels of {noise.about}: about {noise.share:.1%} of {noise.texts:,} look wrong to a quick model (its own "
            f"mistakes count in); {len(noise.suspects):,} suspects"
        )
        if 2 < len(noise.classes) <= _CLASSES:
            wide = max(map(len, noise.classes)) + 2
            yield "  given \\ true".ljust(wide + 2) + "".join(name.rjust(wide) for name in noise.classes)
            for name, row in zip(noise.classes, noise.joint, strict=True):
                yield f"  {name:<{wide}}" + "".join(f"{share:{wide}.3f}" for share in row)
        for suspect in noise.suspects[:show]:
            example = found.noise_examples[suspect.index]
            yield f"  {suspect.given} → {suspect.likely}  {suspect.margin:+.2f}  {_line(example)}"
