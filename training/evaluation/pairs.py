"""Minimal pairs: two texts that differ in little, one good and one bad; and paraphrases, which differ in words only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monitor.documents import LABELS
from monitor.errors import InputError
from training.data.examples import Example
from training.data.reading import read_examples
from training.evaluation.answers import NEGATIVE, POSITIVE, Answers
from training.evaluation.intervals import wilson

PAIRS = Path(__file__).parents[1] / "pairs"
"""Where those that ship lie: `LANG.exam.jsonl`, `paraphrases.LANG.jsonl` and `LANG.toward.exam.jsonl` (labelled texts
that name several companies); no training sees them."""
SHOWN = 25


@dataclass(frozen=True, slots=True)
class MinimalPair:
    """A good and a bad text that differ in little, and perhaps a neutral one between them."""

    id: str
    lang: str
    bad: str
    good: str
    kind: str
    neutral: str | None = None


@dataclass(frozen=True, slots=True)
class Paraphrase:
    """Two texts that say the same."""

    lang: str
    a: str
    b: str


def read_minimal_pairs(path: Path) -> list[MinimalPair]:
    """The pairs of a file: JSON lines of `id`, `lang`, `bad`, `good`, `kind`, and `neutral` if there is one.

    Raises:
        InputError: a line is not that (file, line, field).
    """

    def made(row: dict[str, Any], number: int, text: Callable[[str], str]) -> MinimalPair:
        kind = row.get("kind")
        return MinimalPair(
            str(row.get("id") or f"{path.stem}-{number}"),
            text("lang"),
            text("bad"),
            text("good"),
            kind if isinstance(kind, str) and kind else "other",
            text("neutral") if row.get("neutral") else None,
        )

    return [made(row, number, text) for number, row, text in _rows(path)]


def read_paraphrases(path: Path) -> list[Paraphrase]:
    """The pairs of a file: JSON lines of `lang`, `a`, `b`. Raises InputError as above."""
    return [Paraphrase(text("lang"), text("a"), text("b")) for _, _, text in _rows(path)]


def pairs_for(languages: Sequence[str], folder: Path = PAIRS) -> list[MinimalPair]:
    """The minimal pairs of a folder in these languages."""
    files = [folder / f"{language}.exam.jsonl" for language in languages]
    return [pair for file in files if file.is_file() for pair in read_minimal_pairs(file)]


def paraphrases_for(languages: Sequence[str], folder: Path = PAIRS) -> list[Paraphrase]:
    """The paraphrases of a folder in these languages."""
    files = [folder / f"paraphrases.{language}.jsonl" for language in languages]
    return [pair for file in files if file.is_file() for pair in read_paraphrases(file)]


def toward_for(languages: Sequence[str], folder: Path = PAIRS) -> list[Example]:
    """The texts of a folder that are good for one company and often bad for another, in these languages."""
    files = [folder / f"{language}.toward.exam.jsonl" for language in languages]
    return [example for file in files if file.is_file() for example in read_examples(file)]


def texts_of(pairs: Sequence[MinimalPair], paraphrases: Sequence[Paraphrase]) -> list[str]:
    """Every text of the pairs."""
    return [text for pair in pairs for text in (pair.bad, pair.good, *([pair.neutral] if pair.neutral else []))] + [
        text for pair in paraphrases for text in (pair.a, pair.b)
    ]


def exam_for(languages: Sequence[str], folder: Path = PAIRS) -> list[Example]:
    """Every text of a folder that no training may see."""
    texts = texts_of(pairs_for(languages, folder), paraphrases_for(languages, folder))
    return [*map(Example, texts), *toward_for(languages, folder)]


def pairs_report(answers: Answers, pairs: Sequence[MinimalPair]) -> dict[str, Any] | None:
    """How the pairs come out, on the whole, by language and kind.

    `pairs`; `ordered`: share in which the good text scores over the bad one (score: P(positive) − P(negative)), with
    its 95 % interval `low`, `high`; `both_right`: share in which good is called positive and bad negative;
    `good_negative`, `bad_positive`: share called the opposite; `neutral_between`: share of those with a neutral text
    in which it scores between the two (None if there is none). `languages` and `kinds` hold the same for each, and
    `failing` the wrong ones, the worst first. None when there are no pairs.
    """
    if not pairs:
        return None
    bad, good = answers.scores([pair.bad for pair in pairs]), answers.scores([pair.good for pair in pairs])
    bad_said, good_said = answers.said([pair.bad for pair in pairs]), answers.said([pair.good for pair in pairs])
    middle = np.full(len(pairs), np.nan)
    rows = [row for row, pair in enumerate(pairs) if pair.neutral]
    if rows:
        middle[rows] = answers.scores([pairs[row].neutral or "" for row in rows])
    ordered = good > bad

    def numbers(where: Sequence[int]) -> dict[str, Any]:
        here = np.array(where)
        low, high = wilson(int(ordered[here].sum()), len(here))
        told = here[~np.isnan(middle[here])]
        between = (bad[told] < middle[told]) & (middle[told] < good[told])
        return {
            "pairs": len(here),
            "ordered": float(ordered[here].mean()),
            "low": low,
            "high": high,
            "both_right": float(((good_said == POSITIVE) & (bad_said == NEGATIVE))[here].mean()),
            "good_negative": float((good_said == NEGATIVE)[here].mean()),
            "bad_positive": float((bad_said == POSITIVE)[here].mean()),
            "neutral_between": float(between.mean()) if len(told) else None,
        }

    def grouped(key: Callable[[MinimalPair], str]) -> dict[str, Any]:
        names = sorted({key(pair) for pair in pairs})
        return {name: numbers([row for row, pair in enumerate(pairs) if key(pair) == name]) for name in names}

    wrong = ~ordered | (good_said == NEGATIVE) | (bad_said == POSITIVE)
    worst = sorted(np.flatnonzero(wrong).tolist(), key=lambda row: good[row] - bad[row])
    return {
        **numbers(range(len(pairs))),
        "languages": grouped(lambda pair: pair.lang),
        "kinds": grouped(lambda pair: f"{pair.lang}: {pair.kind}"),
        "wrong": int(wrong.sum()),
        "failing": [
            {
                "id": pairs[row].id,
                "kind": pairs[row].kind,
                "good": pairs[row].good,
                "good_score": float(good[row]),
                "good_said": LABELS[good_said[row]],
                "bad": pairs[row].bad,
                "bad_score": float(bad[row]),
                "bad_said": LABELS[bad_said[row]],
            }
            for row in worst[:SHOWN]
        ],
    }


def paraphrases_report(answers: Answers, pairs: Sequence[Paraphrase]) -> dict[str, Any] | None:
    """`pairs`; `disagree`: share whose two texts get different sentiments, with its 95 % interval `low`, `high`;
    `topics_differ`: share with different topics; `moved`: mean absolute difference of the scores; `failing`: those
    that disagree, the worst first. None when there are no pairs."""
    if not pairs:
        return None
    first, second = [pair.a for pair in pairs], [pair.b for pair in pairs]
    said, then = answers.said(first), answers.said(second)
    moved = np.abs(answers.scores(first) - answers.scores(second))
    differ = said != then
    low, high = wilson(int(differ.sum()), len(pairs))
    worst = sorted(np.flatnonzero(differ).tolist(), key=lambda row: -moved[row])[:SHOWN]
    return {
        "pairs": len(pairs),
        "disagree": float(differ.mean()),
        "low": low,
        "high": high,
        "topics_differ": float((answers.topic_sets(first) != answers.topic_sets(second)).any(1).mean()),
        "moved": float(moved.mean()),
        "failing": [
            {"a": first[row], "b": second[row], "a_said": LABELS[said[row]], "b_said": LABELS[then[row]]}
            for row in worst
        ],
    }


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any], Callable[[str], str]]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}: line {number}: not JSON: {error}") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}: line {number}: not a JSON object")

        def text(field: str, row: dict[str, Any] = row, number: int = number) -> str:
            value = row.get(field)
            if not isinstance(value, str) or not value.strip():
                raise InputError(f"{path}: line {number}: {field}: missing, empty or not a text")
            return value

        yield number, row, text
