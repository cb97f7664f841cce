"""What a set of labelled files holds and what is wrong with it, without training anything."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.errors import InputError
from monitor.understand.language import detect
from monitor.understand.topics import Taxonomy
from training.data.classes import refuse_one_class
from training.data.doubles import Conflict, conflicts, without_doubles
from training.data.examples import Example, counted
from training.data.leaks import leaks, without_near_leaks
from training.data.near import first_copies, marked
from training.data.noise import Noise, label_noise
from training.data.problems import Problems
from training.data.reading import no_example, stream_examples
from training.data.taxonomy import resolved

_SAMPLE = 2_000
"""Texts whose language is looked at where a file does not say it."""


@dataclass
class File:
    """One file.

    Attributes:
        error: why nothing of it can be used.
        problems: what is wrong with single rows.
    """

    path: Path
    problems: Problems
    examples: Sequence[Example] = ()
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "file": str(self.path),
            **counted(self.examples),
            "dated": sum(example.at is not None for example in self.examples),
            "languages": languages(self.examples),
            "characters": lengths(self.examples),
            "error": self.error,
            **self.problems.as_dict(),
        }


@dataclass
class Checked:
    """What was found.

    Attributes:
        doubles: copies beyond the first, over all files.
        near_doubles: near copies beyond the first, copies not counted.
        leaked: (taught, tested) pairs of the same text; near_leaked: of near copies.
        one_class: why the files together cannot teach anything, if so.
    """

    files: list[File]
    tests: list[File]
    doubles: int = 0
    near_doubles: int = 0
    conflicts: list[Conflict] = field(default_factory=list)
    near_conflicts: list[Conflict] = field(default_factory=list)
    leaked: list[tuple[Example, Example]] = field(default_factory=list)
    near_leaked: list[tuple[Example, Example]] = field(default_factory=list)
    near_leaked_tests: int = 0
    one_class: str | None = None
    noise: list[Noise] | None = None
    noise_examples: Sequence[Example] = ()

    @property
    def wrong(self) -> list[str]:
        """What would stop a training run, each in a few words."""
        found = []
        broken = [file for file in (*self.files, *self.tests) if file.error or len(file.problems)]
        if broken:
            found.append(f"{len(broken)} of the files cannot be used as they are")
        if self.one_class:
            found.append(self.one_class)
        if self.leaked:
            found.append(f"{len(self.leaked):,} tested texts are also taught")
        return found

    def as_dict(self, most: int) -> dict[str, Any]:
        """For programs; of each list at most `most`."""

        def pairs(found: Sequence[tuple[Example, Example]]) -> list[dict[str, str]]:
            return [
                {"taught": one.text, "at": one.origin, "tested": other.text, "tested_at": other.origin}
                for one, other in found[:most]
            ]

        def contradictions(found: Sequence[Conflict]) -> list[dict[str, Any]]:
            return [
                {
                    "what": conflict.what,
                    "said": list(conflict.said),
                    "texts": [conflict.one.text, conflict.other.text],
                    "at": [conflict.one.origin, conflict.other.origin],
                }
                for conflict in found[:most]
            ]

        tree: dict[str, Any] = {
            "files": [file.as_dict() for file in self.files],
            "tests": [file.as_dict() for file in self.tests],
            "doubles": self.doubles,
            "near_doubles": self.near_doubles,
            "conflicts": {"count": len(self.conflicts), "first": contradictions(self.conflicts)},
            "near_conflicts": {"count": len(self.near_conflicts), "first": contradictions(self.near_conflicts)},
            "leaks": {"count": len(self.leaked), "first": pairs(self.leaked)},
            "near_leaks": {
                "taught": len(self.near_leaked),
                "tested": self.near_leaked_tests,
                "first": pairs(self.near_leaked),
            },
            "wrong": self.wrong,
        }
        if self.noise is not None:
            tree["noise"] = [
                {
                    "about": noise.about,
                    "texts": noise.texts,
                    "share": round(noise.share, 4),
                    "classes": list(noise.classes),
                    "joint": noise.joint.round(5).tolist(),
                    "suspects": len(noise.suspects),
                    "first": [
                        {
                            "text": self.noise_examples[suspect.index].text,
                            "at": self.noise_examples[suspect.index].origin,
                            "given": suspect.given,
                            "likely": suspect.likely,
                            "margin": suspect.margin,
                        }
                        for suspect in noise.suspects[:most]
                    ],
                }
                for noise in self.noise
            ]
        return tree


def check(
    paths: Sequence[Path],
    tests: Sequence[Path] = (),
    *,
    fields: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    taxonomy: Taxonomy | None = None,
    noise: bool = False,
) -> Checked:
    """Read the files and look for everything that could spoil a training run or its numbers.

    Args:
        paths: files to learn from; tests: files to measure on.
        fields, labels: for all the files, as for `read_examples`.
        taxonomy: topics must be of it; None: any will do.
        noise: judge the labels too; takes seconds for ten thousand texts.
    """
    taught_files, tested_files = ([_read(path, fields, labels, taxonomy) for path in every] for every in (paths, tests))
    found = Checked(taught_files, tested_files)
    taught = [example for file in found.files for example in file.examples]
    tested = [example for file in found.tests for example in file.examples]
    if not taught:
        return found
    try:
        refuse_one_class(taught, "these files")
    except InputError as error:
        found.one_class = str(error)
    found.conflicts = conflicts(taught)
    single = without_doubles(taught)
    found.doubles = len(taught) - len(single)
    found.near_conflicts = conflicts(single, near=True)
    heads = first_copies(marked([example.text for example in single]))
    found.near_doubles = sum(head != place for place, head in enumerate(heads.tolist()))
    if tested:
        found.leaked = leaks(taught, tested)
        # A copy is a near copy too: those told above are not told again.
        same = {id(example) for _, example in found.leaked}
        _, near = without_near_leaks(single, [example for example in tested if id(example) not in same])
        found.near_leaked, found.near_leaked_tests = list(near.pairs), near.tested
    if noise:
        found.noise_examples = single
        found.noise = label_noise(single)
    return found


def _read(
    path: Path, fields: Mapping[str, str] | None, labels: Mapping[str, str] | None, taxonomy: Taxonomy | None
) -> File:
    problems = Problems(path)
    file = File(path, problems)
    try:
        file.examples = list(stream_examples(path, problems, fields=fields, labels=labels))
        if not file.examples and not len(problems):
            raise no_example(problems)
        if taxonomy is not None:
            file.examples = resolved(file.examples, taxonomy, problems)
    except InputError as error:
        file.error = str(error)
    return file


def languages(examples: Sequence[Example]) -> dict[str, int]:
    """Texts per language, the commonest first; where none is declared it is told from an even sample."""
    counts = Counter(example.lang for example in examples if example.lang)
    silent = [example for example in examples if not example.lang]
    step = max(1, -(-len(silent) // _SAMPLE))
    sample = Counter(detect(example.text, None) for example in silent[::step])
    total = sum(sample.values())
    for lang, count in sample.items():
        counts[lang] += round(count * len(silent) / total)
    return dict(counts.most_common())


def lengths(examples: Sequence[Example]) -> dict[str, int]:
    """Characters of a text: the median, what 95 % do not pass, the longest."""
    found = sorted(len(example.text) for example in examples)
    if not found:
        return {"median": 0, "most": 0, "longest": 0}
    return {"median": found[len(found) // 2], "most": found[math.ceil(0.95 * len(found)) - 1], "longest": found[-1]}
