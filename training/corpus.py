"""What a recipe teaches: its files read, their labels brought to the taxonomy, a slice held out."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from monitor.errors import InputError
from monitor.understand.encoders import sha256
from monitor.understand.manifest import TrainingData
from monitor.understand.topics import Taxonomy
from training.data.classes import refuse_one_class
from training.data.doubles import conflicts, fingerprint, without_doubles
from training.data.examples import Example
from training.data.leaks import NearLeaks, refuse_leaks, without_near_leaks
from training.data.near import first_copies, marked
from training.data.problems import nearest
from training.data.reading import read_examples
from training.data.splits import held_out, stratified, time_ordered
from training.data.taxonomy import in_taxonomy
from training.recipe import LabelledFile, Recipe, UnlabelledFile
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
        near_taught: those of these files whose near copies were not left out on their account.
        always: fingerprints of the texts that are never held out (`held = false`).
        repeats: fingerprint → how often an epoch sees the text, where that is not once.
        tested: texts that the run will be measured on beside its test files.
        training_data: the files as they were when they were read.
        test_data: the same of the test files that are there: near copies of their texts are not taught.
        unlabelled: the same of the files without labels, where the run learns from any.
        start: SHA-256 of the files of the encoder that the run began with.
    """

    taught: Sequence[Example]
    held: Sequence[Example]
    topics: tuple[str, ...]
    near_leaks: Mapping[str, NearLeaks] = field(default_factory=dict)
    near_taught: frozenset[str] = frozenset()
    always: frozenset[str] = frozenset()
    repeats: Mapping[str, int] = field(default_factory=dict)
    tested: Sequence[Example] = ()
    training_data: tuple[TrainingData, ...] = ()
    test_data: tuple[TrainingData, ...] = ()
    unlabelled: tuple[TrainingData, ...] = ()
    start: Mapping[str, str] = field(default_factory=dict)


def gather(recipe: Recipe, folder: Path, taxonomy: Taxonomy) -> Corpus:
    """Read the recipe's training files from `folder`.

    Raises:
        InputError: a file is missing or wrong, a topic is not in the taxonomy, nothing can be told apart by the
            labels, a text is both taught and tested, or none is taught or held out.
    """
    files = [file for file in recipe.train if file.repeat]
    if not any(file.held for file in files):
        raise InputError(
            f"recipe {recipe.name}: no file has texts held out, and temperatures are chosen on such; "
            "leave held = false out of one"
        )
    rows: list[Example] = []
    repeats: dict[str, int] = {}
    always: set[str] = set()
    described: list[TrainingData] = []
    for file in files:
        path = path_of(folder, file.file)
        read, origin = as_read(file, folder)
        described.append(origin)
        found = in_taxonomy(read, taxonomy, recipe.topics.ignore, path)
        if not file.exhaustive:
            known_here = tuple(sorted({topic for row in found for topic in row.topics or ()}))
            found = [replace(row, among=known_here) for row in found]
        if file.repeat != 1:
            repeats |= {fingerprint(row.text): file.repeat for row in found}
        if not file.held:
            always |= {fingerprint(row.text) for row in found}
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
    measured: list[TrainingData] = []
    for test in recipe.test:
        if not path_of(folder, test.file).is_file():
            _tell_missing(recipe, test, folder)
            continue
        tested, origin = as_read(test, folder)
        measured.append(origin)
        refuse_leaks(rows, tested, train_name="the training files", test_name=test.file)
        kept, found_near = without_near_leaks(rows, tested)
        if found_near.pairs:
            log.warning("%s: %s: %s", test.file, found_near, "taught" if test.near_leaks else "not taught")
        leaked[test.file] = found_near
        if not test.near_leaks:
            rows = kept
    taught, held = divided(recipe, rows, always, repeats)
    topics = tuple(sorted({topic for row in taught for topic in row.topics or ()}))
    known = set(topics)
    held = [
        row if row.topics is None else replace(row, topics=tuple(t for t in row.topics if t in known)) for row in held
    ]
    near_taught = frozenset(test.file for test in recipe.test if test.near_leaks)
    return Corpus(
        taught,
        held,
        topics,
        leaked,
        near_taught,
        frozenset(always),
        repeats,
        training_data=tuple(described),
        test_data=tuple(measured),
    )


def as_read(file: LabelledFile | UnlabelledFile, folder: Path) -> tuple[list[Example], TrainingData]:
    """The examples of a recipe's file, and what a bundle says of it: hash and rows of what was read just now."""
    path = path_of(folder, file.file)
    digest = sha256(path)
    fields, labels = (file.fields, file.labels) if isinstance(file, LabelledFile) else (None, None)
    rows = read_examples(path, fields=fields, labels=labels)
    return rows, TrainingData(file.file, file.origin, file.licence, digest, len(rows))


def divided(
    recipe: Recipe, rows: Sequence[Example], always: Collection[str], repeats: Mapping[str, int]
) -> tuple[list[Example], list[Example]]:
    """What is taught and what is held out of texts of which none stands twice, as `schedule.split` says.

    Args:
        always, repeats: as in `Corpus`; texts that are taught several times come so often.

    Raises:
        InputError: nothing is left on one of the sides, or texts that are to be split by time have none.
    """

    def bound(row: Example) -> bool:
        return fingerprint(row.text) in always

    if recipe.schedule.split == "hash":
        # All of them, though only the free ones stay held out: the order of what is taught is as it always was.
        taught, held = held_out(rows, recipe.held_out)
        taught += [row for row in held if bound(row)]
        held = [row for row in held if not bound(row)]
    else:
        free = [row for row in rows if not bound(row)]
        taught, held = _split(recipe, free)
        taught += [row for row in rows if bound(row)]
    if not taught or not held:
        key = "schedule.held_out" if recipe.kind == "encoder" else "linear.held_out"
        what = "held out, and temperatures are chosen on such; raise" if taught else "left to teach; lower"
        raise InputError(
            f"recipe {recipe.name}: of {len(rows):,} texts none is {what} {key} ({recipe.held_out:g}) or add texts"
        )
    taught = [row for row in taught for _ in range(repeats.get(fingerprint(row.text), 1))]
    return (aimed_examples(taught), aimed_examples(held)) if recipe.toward else (taught, held)


def _split(recipe: Recipe, rows: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    if recipe.schedule.split == "stratified":
        return stratified(rows, recipe.held_out, seed=recipe.schedule.seed, together=near_groups(rows))
    try:
        return time_ordered(rows, recipe.held_out)
    except InputError as error:
        raise InputError(f"recipe {recipe.name}: schedule.split = time: {error}") from None


def near_groups(rows: Sequence[Example]) -> list[int]:
    """A number for each text, the same for near copies."""
    groups: list[int] = first_copies(marked([row.text for row in rows])).tolist()
    return groups


def _tell_missing(recipe: Recipe, file: LabelledFile, folder: Path) -> None:
    """Warn of a test file that is not there: what it tests may be taught unseen. Raises InputError if it ships."""
    if file.file.startswith("package:"):
        raise InputError(f"recipe {recipe.name}: {file.file}: no such file comes with the program")
    named = {other.file for other in (*recipe.train, *recipe.test)} | {other.file for other in recipe.unlabelled}
    there = {path.name for path in folder.iterdir() if path.is_file()} if folder.is_dir() else set()
    near = nearest(file.file, sorted(there - named))
    log.warning(
        "%s is not in %s%s; its texts are not kept out of what is taught",
        file.file,
        folder,
        f" (did you mean {near}?)" if near else "",
    )


def path_of(folder: Path, name: str) -> Path:
    """Where a recipe's file lies: in the data folder, or (`package:PATH`) among the files that come with us."""
    inside = name.removeprefix("package:")
    return Path(__file__).parent / inside if inside != name else folder / name
