"""What is wrong with a labelled file: all of it collected, then told in a few lines."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field as attribute
from pathlib import Path
from typing import Any

from monitor.errors import InputError

Row = tuple[int, dict[str, Any]]
"""A row's number in its file, from 1 (line, row or record), and its fields."""

SHOWN = 20
_NUMBERS = 3  # further rows named behind a problem's first
_KINDS = 1_000  # different problems told apart; beyond that they are only counted


@dataclass
class _Kind:
    field: str
    reason: str
    count: int = 0
    numbers: list[int] = attribute(default_factory=list)


class Problems:
    """The problems of one file, those of one kind together.

    Attributes:
        unit: what the numbers count: line, row or record.
        notes: what is worth knowing and no problem, with how often it came.
        advice: what to do, under a name for what it is about; said once, at the end.
    """

    def __init__(self, path: Path, unit: str = "line") -> None:
        self.path = path
        self.unit = unit
        self.notes: Counter[str] = Counter()
        self.advice: dict[str, str] = {}
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._untold = 0

    def add(
        self, number: int, field: str, reason: str, *, kind: str | None = None, advice: tuple[str, str] | None = None
    ) -> None:
        """Note a problem.

        Args:
            number: the line (row, record), from 1; 0 for the file as a whole.
            kind: problems with the same field and kind are told as one; the reason itself by default.
            advice: (what it is about, what to do); the first on a matter is kept.
        """
        key = (field, reason if kind is None else kind)
        found = self._kinds.get(key)
        if found is None:
            if len(self._kinds) >= _KINDS:
                self._untold += 1
                return
            found = self._kinds[key] = _Kind(field, reason)
        found.count += 1
        if len(found.numbers) <= _NUMBERS:
            found.numbers.append(number)
        if advice:
            self.advice.setdefault(*advice)

    def __len__(self) -> int:
        return self._untold + sum(kind.count for kind in self._kinds.values())

    def lines(self) -> list[str]:
        """At most `SHOWN` problems, a line each, and the number of the rest."""
        kinds = list(self._kinds.values())
        found = [self._line(kind) for kind in kinds[:SHOWN]]
        rest = self._untold + sum(kind.count for kind in kinds[SHOWN:])
        return [*found, f"and {rest:,} more"] if rest else found

    def _line(self, kind: _Kind) -> str:
        first, *others = kind.numbers
        where = f"{self.unit} {first}: " if first else ""
        said = f"{where}{kind.field}: {kind.reason}" if kind.field else f"{where}{kind.reason}"
        if kind.count == 1:
            return said
        dots = " …" if kind.count > 1 + len(others) else ""
        named = ", ".join(map(str, others))
        return f"{said} (and {kind.count - 1:,} more: {self.unit} {named}{dots})"

    def as_dict(self) -> dict[str, Any]:
        """For programs: every kind of problem with its count and first numbers."""
        return {
            "problems": [
                {
                    "field": kind.field,
                    "reason": kind.reason,
                    "count": kind.count,
                    "unit": self.unit,
                    "first": kind.numbers,
                }
                for kind in self._kinds.values()
            ],
            "notes": dict(self.notes),
        }

    def error(self) -> InputError:
        """All of it as one error: one line for one problem, a short list for several."""
        lines = self.lines()
        if len(lines) == 1:
            text = f"{self.path}: {lines[0]}"
        else:
            text = "\n  ".join([f"{self.path}: {len(self):,} problems", *lines])
        if self.advice:
            between = "\n  " if len(lines) > 1 else "; "
            text += "".join(between + line for line in self.advice.values())
        return InputError(text)

    def refuse(self) -> None:
        """Raises InputError if there is any problem."""
        if len(self):
            raise self.error()


def shown(value: object, width: int = 60) -> str:
    """A value of a file, fit for one line of a message."""
    text = repr(value)
    return text if len(text) <= width else text[: width - 2] + "…" + text[-1]


def nearest(value: str, choices: Iterable[str]) -> str | None:
    """The choice that `value` most likely is a misspelling of, if any is close.

    >>> nearest("Postive", ["negative", "neutral", "positive"])
    'positive'
    """
    known = {choice.casefold(): choice for choice in choices}
    close = difflib.get_close_matches(value.strip().casefold(), known, n=1, cutoff=0.7)
    return known[close[0]] if close else None
