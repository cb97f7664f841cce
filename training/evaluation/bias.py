"""Bias: sentiment must not move when one company, country or gender word is swapped for another."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from monitor.documents import LABELS
from monitor.errors import InputError
from training.evaluation.answers import Answers
from training.evaluation.pairs import PAIRS

SWAPS = "swaps.toml"
MEAN_MOVEMENT, FLIPS = 0.05, 0.02
"""The bounds: a group passes when the mean absolute movement of the score (P(positive) − P(negative)) over all swaps
and the share of swaps that change the answer are no larger."""
SHOWN = 5
_SLOT = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True)
class Swap:
    """Templates and the words that may stand in them.

    Attributes:
        group: what the words are: company, country, gender …
        words: for each word the text of every slot (`{}` is the slot with the empty name).
    """

    group: str
    lang: str
    templates: tuple[str, ...]
    words: tuple[Mapping[str, str], ...]

    def text(self, template: str, word: Mapping[str, str]) -> str:
        """The template with its slots filled."""
        return _SLOT.sub(lambda slot: word[slot[1]], template)

    def texts(self) -> Iterator[str]:
        """Every template with every word, template by template."""
        for template, word in itertools.product(self.templates, self.words):
            yield self.text(template, word)


def read_swaps(path: Path) -> list[Swap]:
    """The swaps of a file: `[[swap]]` tables of `group`, `lang`, `templates` and `words`.

    A word is a text, which fills every `{}`, or a table of slot → text where it has several forms
    (`{he = "she", his = "her"}` fills `{he}` and `{his}`).

    Raises:
        InputError: the file is not that (file, entry, field).
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("swap", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: not readable as TOML: {error}") from None
    if not isinstance(entries, list):
        raise InputError(f"{path}: swap: write each as [[swap]]")
    return [_swap(entry, path, number) for number, entry in enumerate(entries, 1)]


def swaps_for(languages: Sequence[str], folder: Path = PAIRS, *, most_words: int | None = None) -> list[Swap]:
    """The swaps of a folder in these languages; none if it holds no file of swaps.

    Args:
        most_words: take only so many words of each, evenly from its list.
    """
    if not (folder / SWAPS).is_file():
        return []
    found = [swap for swap in read_swaps(folder / SWAPS) if swap.lang in languages]
    if most_words is None:
        return found
    return [replace(swap, words=swap.words[:: max(1, -(-len(swap.words) // most_words))]) for swap in found]


def bias_report(answers: Answers, swaps: Sequence[Swap]) -> list[dict[str, Any]]:
    """For each group and language: `templates`, `words`, `swaps` (pairs of words over all templates), the mean
    (`mean_movement`) and `largest_movement` of the score when one word is swapped for another, the share of swaps
    that change the answer (`flips`), the bounds and whether they are kept (`passes`), `lifts` (word → how far it
    moves the score from the mean over all words; the largest) and `examples` of the largest movements."""
    return [_report(answers, swap) for swap in swaps if len(swap.words) > 1]


def _report(answers: Answers, swap: Swap) -> dict[str, Any]:
    texts = list(swap.texts())
    shape = len(swap.templates), len(swap.words)
    scores, said = answers.scores(texts).reshape(shape), answers.said(texts).reshape(shape)
    first, second = np.triu_indices(len(swap.words), 1)
    moved = np.abs(scores[:, first] - scores[:, second])
    flips = float((said[:, first] != said[:, second]).mean())
    lifts = (scores - scores.mean(1, keepdims=True)).mean(0)
    names = [next(iter(word.values())) for word in swap.words]
    strongest = sorted(range(len(names)), key=lambda place: -abs(lifts[place]))[:SHOWN]
    examples = []
    for row in sorted(range(shape[0]), key=lambda row: scores[row].min() - scores[row].max())[:SHOWN]:
        low, high = int(scores[row].argmin()), int(scores[row].argmax())
        examples.append(
            {
                "low": swap.text(swap.templates[row], swap.words[low]),
                "low_score": float(scores[row, low]),
                "low_said": LABELS[said[row, low]],
                "high": swap.text(swap.templates[row], swap.words[high]),
                "high_score": float(scores[row, high]),
                "high_said": LABELS[said[row, high]],
            }
        )
    mean = float(moved.mean())
    return {
        "group": swap.group,
        "lang": swap.lang,
        "templates": shape[0],
        "words": shape[1],
        "swaps": int(moved.size),
        "mean_movement": mean,
        "largest_movement": float(moved.max()),
        "flips": flips,
        "bounds": {"mean_movement": MEAN_MOVEMENT, "flips": FLIPS},
        "passes": mean <= MEAN_MOVEMENT and flips <= FLIPS,
        "lifts": {names[place]: round(float(lifts[place]), 4) for place in strongest},
        "examples": examples,
    }


def _swap(entry: Any, path: Path, number: int) -> Swap:
    def wrong(field: str, why: str) -> InputError:
        return InputError(f"{path}: swap {number}: {field}: {why}")

    if not isinstance(entry, dict):
        raise InputError(f"{path}: swap {number}: not a table")
    for field in ("group", "lang"):
        if not isinstance(entry.get(field), str) or not entry[field]:
            raise wrong(field, "missing or not a text")
    templates, words = entry.get("templates"), entry.get("words")
    if not isinstance(templates, list) or not templates or not all(isinstance(row, str) for row in templates):
        raise wrong("templates", "not a list of texts")
    if not isinstance(words, list) or not words:
        raise wrong("words", "not a list of words")
    forms: list[Mapping[str, str]] = []
    for word in words:
        form = {"": word} if isinstance(word, str) else word
        if not isinstance(form, dict) or not form or not all(isinstance(value, str) for value in form.values()):
            raise wrong("words", f"{word!r} is neither a text nor a table of texts")
        forms.append(form)
    for template in templates:
        slots = set(_SLOT.findall(template))
        if not slots:
            raise wrong("templates", f"{template!r} has no slot such as {{}}")
        lacking = next((form for form in forms if not slots <= set(form)), None)
        if lacking is not None:
            raise wrong("words", f"{dict(lacking)} does not fill every slot of {template!r}")
    return Swap(entry["group"], entry["lang"], tuple(templates), tuple(forms))
