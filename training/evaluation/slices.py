"""Slices: the texts of one kind, length, language …, each measured by itself.

A model that is good on the whole may be bad at what one desk reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.understand.companies import Watchlist
from monitor.understand.normalise import normalise
from training.data.examples import Example
from training.evaluation.intervals import wilson
from training.evaluation.judged import Judged

LENGTHS = {"zh": (20, 100)}
"""Language → the most characters of a short and of a medium text; a Chinese character says more than a letter."""
LENGTHS_ELSEWHERE = (60, 140)
WEAK_FROM = 50
"""A slice with fewer answers is never called weak."""

_NOT_EN = re.compile(
    r"\b(?:no|not|nor|none|never|neither|without|cannot|lacks?|denie[sd]|deny|fail(?:s|ed)? to|(?:\w+n['’]t))\b",
    re.IGNORECASE,
)
_NOT_ZH = re.compile(r"[不没未无非否别勿]")
# Words that hold such a character and deny nothing.
_NO_DENIAL_ZH = re.compile(
    r"不断|不仅|不但|不过|不同|不少|不动产|不锈钢|不良|未来|非常|非洲|无锡|无人机|无人驾驶|无线|无论|是否|能否|否则|别墅"
    r"|分别|特别|级别|区别|个别|类别|性别|别克|非银|非农|北非|南非"
)


def slices_of(example: Example, watchlist: Watchlist) -> dict[str, str]:
    """By what a text can be sliced → the slice it is in. Links count as one word, so digits in them are none."""
    text = normalise(example.text)
    lang = example.lang or "unknown"
    short, medium = LENGTHS.get(lang, LENGTHS_ELSEWHERE)
    named = bool(example.entities or example.target or watchlist.match(example.text))
    found = {
        "length": "short" if len(text) <= short else "medium" if len(text) <= medium else "long",
        "language": lang,
        "company": "named" if named else "none named",
        "negation": "with a negation" if denies(text) else "without negation",
        "numbers": "with numbers" if re.search(r"\d", text) else "without numbers",
    }
    return found if example.kind is None else {"kind": example.kind, **found}


def denies(text: str) -> bool:
    """Whether the text holds a word of negation, English or Chinese.

    >>> denies("Profit didn't rise"), denies("公司未来增长可期"), denies("公司尚未盈利")
    (True, False, True)
    """
    return bool(_NOT_EN.search(text) or _NOT_ZH.search(_NO_DENIAL_ZH.sub("", text)))


def members(files: Mapping[str, Sequence[Example]], watchlist: Watchlist) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """(by, slice) → which of all the files' examples, one after another, are in it. The files are slices too."""
    tags = [{"file": name, **slices_of(example, watchlist)} for name, examples in files.items() for example in examples]
    found: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for row, tag in enumerate(tags):
        for pair in tag.items():
            if pair not in found:
                found[pair] = np.zeros(len(tags), bool)
            found[pair][row] = True
    return dict(sorted(found.items()))


def slice_reports(
    judged: Mapping[str, Judged], slices: Mapping[tuple[str, str], NDArray[np.bool_]]
) -> list[dict[str, Any]]:
    """For each slice and task: `by`, `slice`, `task`, `answers`, `accuracy` with its 95 % interval (Wilson) `low` and
    `high`, `macro_f1`, and `weak`: whether even `high` is under the accuracy over all slices of the file or files.

    A slice that holds all the answers of a task says nothing new and is left out.
    """
    found = []
    for task, answers in judged.items():
        whole = answers.accuracy
        for (by, name), where in slices.items():
            part = answers.only(where[answers.rows])
            if not 0 < len(part) < len(answers):
                continue
            right = int(part.right.sum())
            low, high = wilson(right, len(part))
            found.append(
                {
                    "by": by,
                    "slice": name,
                    "task": task,
                    "answers": len(part),
                    "accuracy": right / len(part),
                    "low": low,
                    "high": high,
                    "macro_f1": part.macro_f1,
                    "weak": len(part) >= WEAK_FROM and high < whole,
                }
            )
    return found
