"""What a recipe teaches: its files read, their labels brought to the taxonomy, a slice held out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from monitor.errors import InputError
from monitor.understand.topics import Taxonomy
from training.data.classes import refuse_one_class
from training.data.doubles import conflicts, fingerprint, without_doubles, without_near_doubles
from training.data.examples import Example
from training.data.leaks import NearLeaks, refuse_leaks, without_near_leaks
from training.data.problems import Problems, nearest, shown
from training.data.reading import read_examples
from training.data.splits import held_out
from training.recipe import Recipe
from training.targets import aimed_examples

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Corpus:
    """The texts of a run.

    Attributes:
        taught: what the weights learn from.
        held: what temperatures and thresholds are chosen on; no weight sees it.
        topics: every topic id the taught texts carry, sorted.
        near_leaks: test file → the taught files' texts that are near copies of its own.
        near_taught: whether these were taught all the same.
    """

    taught: Sequence[Example]
    held: Sequence[Example]
    topics: tuple[str, ...]
    near_leaks: Mapping[str, NearLeaks] = field(default_factory=dict)
    near_taught: bool = False


def gather(recipe: Recipe, folder: Path, taxonomy: Taxonomy, *, near_doubles: bool = True) -> Corpus:
    """Read the recipe's training files from `folder`.

    Args:
        near_doubles: teach near copies of taught texts that carry no other label too.

    Raises:
        InputError: a file is missing or wrong, a topic is not in the taxonomy, nothing can be told apart by the
            labels, or a text is both taught and tested.
    """
    if not any(file.held for file in recipe.train):
        raise InputError(
            f"recipe {recipe.name}: no file has texts held out, and temperatures are chosen on such; "
            "leave held = false out of one"
        )
    rows: list[Example] = []
    repeats: dict[str, int] = {}
    all_taught: set[str] = set()
    for file in recipe.train:
        path = path_of(folder, file.file)
        found = in_taxonomy(
            read_examples(path, fields=file.fields, labels=file.labels), taxonomy, recipe.topics.ignore, path
        )
        if not file.exhaustive:
            known_here = tuple(sorted({topic for row in found for topic in row.topics or ()}))
            found = [replace(row, among=known_here) for row in found]
        if file.repeat != 1:
            repeats |= {fingerprint(row.text): file.repeat for row in found}
        if not file.held:
            all_taught |= {fingerprint(row.text) for row in found}
        rows.extend(found)
    refuse_one_class(rows, f"recipe {recipe.name}")
    contradictions = conflicts(rows)
    if contradictions:
        first = contradictions[0]
        log.warning(
            "%d copies contradict an earlier one and are not taught, such as %s and %s on %s: %s or %s; "
            "`bellwether data check` lists them",
            len(contradictions),
            first.one.origin,
            first.other.origin,
            first.what,
            *first.said,
        )
    rows = without_doubles(rows)
    leaked: dict[str, NearLeaks] = {}
    for file in recipe.test:
        path = path_of(folder, file.file)
        if path.is_file():
            tested = read_examples(path, fields=file.fields, labels=file.labels)
            refuse_leaks(rows, tested, train_name="the training files", test_name=file.file)
            kept, found_near = without_near_leaks(rows, tested)
            if found_near.pairs:
                log.warning("%s: %s: %s", file.file, found_near, "taught" if recipe.near_leaks else "not taught")
            leaked[file.file] = found_near
            if not recipe.near_leaks:
                rows = kept
    if not near_doubles:
        rows, dropped = without_near_doubles(rows)
        log.info("%d near copies with no other label are not taught", dropped)
    taught, held = held_out(rows, recipe.held_out)
    taught += [row for row in held if fingerprint(row.text) in all_taught]
    held = [row for row in held if fingerprint(row.text) not in all_taught]
    taught = [row for row in taught for _ in range(repeats.get(fingerprint(row.text), 1))]
    if recipe.toward:
        taught, held = aimed_examples(taught), aimed_examples(held)
    topics = tuple(sorted({topic for row in taught for topic in row.topics or ()}))
    known = set(topics)
    held = [
        row if row.topics is None else replace(row, topics=tuple(t for t in row.topics if t in known)) for row in held
    ]
    return Corpus(taught, held, topics, leaked, recipe.near_leaks)


def path_of(folder: Path, name: str) -> Path:
    """Where a recipe's file lies: in the data folder, or (`package:PATH`) among the files that come with us."""
    inside = name.removeprefix("package:")
    return Path(__file__).parent / inside if inside != name else folder / name


def in_taxonomy(rows: Iterable[Example], taxonomy: Taxonomy, ignore: Iterable[str], path: Path) -> list[Example]:
    """The examples with topic ids of the taxonomy in place of their file's labels, those in `ignore` left out.

    Raises:
        InputError: labels that are neither a topic nor an alias of one, with the nearest that is.
    """
    left_out = set(ignore)
    problems = Problems(path)
    found = []
    for row in rows:
        if row.topics is not None:
            ids = []
            for label in row.topics:
                topic = taxonomy.resolve(label)
                if topic is None:
                    near = nearest(label, [name for known in taxonomy for name in (known.id, *known.aliases)])
                    problems.add(
                        int(row.origin.rpartition(":")[2] or 0),
                        "topics",
                        f"{shown(label)} is neither a topic of {taxonomy.path} nor an alias"
                        + (f"; did you mean {near}?" if near else ""),
                    )
                elif topic not in left_out:
                    ids.append(topic)
            row = replace(row, topics=tuple(dict.fromkeys(ids)))
        found.append(row)
    problems.refuse()
    return found
