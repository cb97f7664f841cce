"""The frozen exam: labelled files that no candidate was taught, and what candidate and champion make of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.errors import InputError
from monitor.settings import Settings
from monitor.understand.encoders import sha256
from monitor.understand.language import detect
from training.data.examples import Example
from training.data.reading import read_examples
from training.data.taught import hashes, read_taught
from training.registry.ancestry import Ancestor

if TYPE_CHECKING:
    from monitor.understand.bundle import Bundle
    from training.evaluation.answers import Answers
    from training.evaluation.contest import Contest
    from training.evaluation.verdict import Verdict


@dataclass(frozen=True)
class Exam:
    """Labelled files, read, every text with its language.

    Attributes:
        files: path → its examples.
        digests: path → SHA-256.
    """

    files: Mapping[Path, Sequence[Example]]
    digests: Mapping[Path, str]

    def of(self, language: str) -> dict[str, list[Example]]:
        """File name → the examples in one language; files without any are left out."""
        found: dict[str, list[Example]] = {}
        for path, examples in self.files.items():
            rows = [example for example in examples if example.lang == language]
            if rows:
                found.setdefault(path.name, []).extend(rows)
        return found

    @property
    def recorded(self) -> list[dict[str, str]]:
        """Path and hash of each file, as they are kept with a promotion."""
        return [{"file": str(path), "sha256": digest} for path, digest in self.digests.items()]


def read_exam(files: Sequence[Path], digests: Mapping[str, str] | None = None) -> Exam:
    """Read an exam.

    Args:
        digests: file → the SHA-256 it had at the last promotion; such a file must still be the same.

    Raises:
        InputError: a file cannot be read, holds a line that cannot be used, or has changed.
    """
    found: dict[Path, list[Example]] = {}
    hashed: dict[Path, str] = {}
    for file in files:
        path = file.expanduser().absolute()
        examples = read_examples(path)
        hashed[path] = sha256(path)
        before = (digests or {}).get(str(path))
        if before is not None and before != hashed[path]:
            raise InputError(
                f"{path} has changed since the last promotion, so its numbers would not compare; "
                f"put it back, or name another exam with --exam"
            )
        found[path] = [
            example if example.lang else replace(example, lang=detect(example.text, None)) for example in examples
        ]
    return Exam(found, hashed)


def leaks(exam: Exam, lineage: Sequence[Ancestor]) -> tuple[list[str], list[str]]:
    """What the exam asks that the candidate was taught, a line a file; and the models whose folders do not say.

    Args:
        lineage: the candidate and, behind it, the models it learned from.
    """
    wrong: list[str] = []
    silent: list[str] = []
    for model in lineage:
        for path, digest in exam.digests.items():
            if digest in model.data:
                wrong.append(f"{path} is {model.data[digest]}, which {model.model} was taught")
        taught = read_taught(model.folder)
        if taught is None:
            silent.append(model.model)
            continue
        for path, examples in exam.files.items():
            known = np.isin(hashes(example.text for example in examples), taught)
            if known.any() and exam.digests[path] not in model.data:
                first = examples[int(known.argmax())].text
                wrong.append(
                    f"{path}: {model.model} was taught {int(known.sum())} of its texts, such as {first[:60]!r}"
                )
    return wrong, silent


def examine(
    bundle: Bundle, exam: Exam, languages: Collection[str], tell: Callable[[int], None] | None = None
) -> Answers:
    """What a bundle answers to the exam's texts in these languages; `tell` hears how many are done."""
    from training.evaluation.answers import Answers

    return Answers(bundle, texts(exam, languages), tell)


def texts(exam: Exam, languages: Collection[str]) -> list[str]:
    """Every text the exam asks in these languages, each once."""
    from training.evaluation.tasks import texts_to_ask

    asked = [text for one in languages for rows in exam.of(one).values() for text in texts_to_ask(rows)]
    return list(dict.fromkeys(asked))


def judge(
    exam: Exam, language: str, champion: Answers, candidate: Answers, settings: Settings
) -> tuple[Contest, Verdict]:
    """Compare two bundles' answers to the exam in one language."""
    from monitor.understand.companies import Watchlist
    from monitor.understand.topics import load_taxonomy
    from training.evaluation.contest import contest
    from training.evaluation.verdict import verdict

    taxonomy, watchlist = load_taxonomy(settings.engine.topics), Watchlist.load(settings.engine.watchlist)
    found = contest(exam.of(language), champion, candidate, taxonomy, watchlist)
    return found, verdict(found)


def as_details(found: Contest, judged: Verdict) -> dict[str, Any]:
    """A comparison as it is kept with the event it led to."""
    return {
        "champion": found.champion,
        "candidate": found.candidate,
        "passes": judged.passes,
        "reason": judged.reason,
        "worse": [str(finding) for finding in judged.worse],
        "tasks": {task: _plain(asdict(comparison)) for task, comparison in found.tasks.items()},
        "micro_f1": {task: _plain(asdict(difference)) for task, difference in found.micro_f1.items()},
        "slices": [
            {"by": part.by, "slice": part.name, "task": part.task, **_plain(asdict(part.comparison))}
            for part in found.slices
        ],
    }


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers as JSON has them: four digits do for shares, and what is no number is null."""

    def told(value: Any) -> Any:
        if isinstance(value, Mapping):
            return _plain(value)
        if isinstance(value, float):
            return float(f"{value:.6g}") if math.isfinite(value) else None
        return value

    return {name: told(value) for name, value in values.items()}
