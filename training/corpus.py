"""What a recipe teaches: its files read, their labels brought to the taxonomy, a slice held out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from monitor.errors import InputError
from monitor.understand.topics import Taxonomy
from training.data.doubles import fingerprint, without_doubles
from training.data.examples import Example
from training.data.leaks import refuse_leaks
from training.data.reading import read_examples
from training.data.splits import held_out
from training.recipe import Recipe
from training.targets import aimed_examples


@dataclass(frozen=True)
class Corpus:
    """The texts of a run.

    Attributes:
        taught: what the weights learn from.
        held: what temperatures and thresholds are chosen on; no weight sees it.
        topics: every topic id the taught texts carry, sorted.
    """

    taught: Sequence[Example]
    held: Sequence[Example]
    topics: tuple[str, ...]


def gather(recipe: Recipe, folder: Path, taxonomy: Taxonomy) -> Corpus:
    """Read the recipe's training files from `folder`.

    Raises:
        InputError: a file is missing or wrong, a topic is not in the taxonomy, or a text is both taught and tested.
    """
    rows: list[Example] = []
    repeats: dict[str, int] = {}
    for file in recipe.train:
        path = path_of(folder, file.file)
        found = in_taxonomy(read_examples(path), taxonomy, recipe.topics.ignore, path)
        if not file.exhaustive:
            known_here = tuple(sorted({topic for row in found for topic in row.topics or ()}))
            found = [replace(row, among=known_here) for row in found]
        if file.repeat != 1:
            repeats |= {fingerprint(row.text): file.repeat for row in found}
        rows.extend(found)
    rows = without_doubles(rows)
    for file in recipe.test:
        path = path_of(folder, file.file)
        if path.is_file():
            refuse_leaks(rows, read_examples(path), train_name="the training files", test_name=file.file)
    taught, held = held_out(rows, recipe.held_out)
    taught = [row for row in taught for _ in range(repeats.get(fingerprint(row.text), 1))]
    if recipe.toward:
        taught, held = aimed_examples(taught), aimed_examples(held)
    topics = tuple(sorted({topic for row in taught for topic in row.topics or ()}))
    known = set(topics)
    held = [
        row if row.topics is None else replace(row, topics=tuple(t for t in row.topics if t in known)) for row in held
    ]
    return Corpus(taught, held, topics)


def path_of(folder: Path, name: str) -> Path:
    """Where a recipe's file lies: in the data folder, or (`package:PATH`) among the files that come with us."""
    inside = name.removeprefix("package:")
    return Path(__file__).parent / inside if inside != name else folder / name


def in_taxonomy(rows: Iterable[Example], taxonomy: Taxonomy, ignore: Iterable[str], path: Path) -> list[Example]:
    """The examples with topic ids of the taxonomy in place of their file's labels, those in `ignore` left out.

    Raises:
        InputError: a label that is neither a topic nor an alias of one.
    """
    left_out = set(ignore)
    found = []
    for row in rows:
        if row.topics is not None:
            ids = []
            for label in row.topics:
                topic = taxonomy.resolve(label)
                if topic is None:
                    raise InputError(f"{path}: topics: {label!r} is neither a topic of {taxonomy.path} nor an alias")
                if topic not in left_out:
                    ids.append(topic)
            row = replace(row, topics=tuple(dict.fromkeys(ids)))
        found.append(row)
    return found
