"""Leaks: a text that is both taught and tested, word for word or nearly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitor.errors import InputError
from training.data.doubles import fingerprint
from training.data.examples import Example
from training.data.near import copied_from, marked


def leaks(train: Sequence[Example], test: Sequence[Example]) -> list[tuple[Example, Example]]:
    """Each tested text that is also taught, with the first taught copy: (taught, tested)."""
    taught: dict[str, Example] = {}
    for example in train:
        taught.setdefault(fingerprint(example.text), example)
    found = ((taught.get(fingerprint(example.text)), example) for example in test)
    return [(copy, example) for copy, example in found if copy is not None]


def refuse_leaks(train: Sequence[Example], test: Sequence[Example], *, train_name: str, test_name: str) -> None:
    """Make sure that no text is both taught and tested.

    Raises:
        InputError: some are; says how many and shows one.
    """
    leaked = leaks(train, test)
    if leaked:
        taught, tested = leaked[0]
        where = f" ({taught.origin} and {tested.origin})" if taught.origin and tested.origin else ""
        raise InputError(
            f"{test_name}: {len(leaked)} of its texts are also in {train_name}, so its numbers would flatter; "
            f"remove them, the first is {tested.text[:80]!r}{where}"
        )


@dataclass(frozen=True, slots=True)
class NearLeaks:
    """Taught texts that are near copies of tested ones.

    Attributes:
        pairs: (taught, tested) for every taught text that is a near copy, with the first tested text it is one of.
        tested: how many tested texts have a near copy among the taught.
    """

    pairs: Sequence[tuple[Example, Example]]
    tested: int

    def __str__(self) -> str:
        if not self.pairs:
            return "no near copies of tested texts"
        taught, tested = self.pairs[0]
        return (
            f"{len(self.pairs):,} texts are near copies of {self.tested:,} tested ones, "
            f"such as {taught.text[:70]!r} of {tested.text[:70]!r}"
        )


def without_near_leaks(train: Sequence[Example], test: Sequence[Example]) -> tuple[list[Example], NearLeaks]:
    """What is taught without near copies of what is tested, whatever their labels, and which these were."""
    taught, tested = marked([example.text for example in train]), marked([example.text for example in test])
    of = copied_from(taught, tested)
    kept = [example for place, example in enumerate(train) if of[place] < 0]
    pairs = [(train[place], test[of[place]]) for place in np.flatnonzero(of >= 0).tolist()]
    return kept, NearLeaks(pairs, int((copied_from(tested, taught) >= 0).sum()))
