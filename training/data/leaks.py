"""Leaks: a text that is both taught and tested."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.errors import InputError
from training.data.doubles import fingerprint
from training.data.examples import Example


def refuse_leaks(train: Sequence[Example], test: Sequence[Example], *, train_name: str, test_name: str) -> None:
    """Make sure that no text is both taught and tested.

    Raises:
        InputError: some are; says how many and shows one.
    """
    taught = {fingerprint(example.text) for example in train}
    leaked = [example.text for example in test if fingerprint(example.text) in taught]
    if leaked:
        raise InputError(
            f"{test_name}: {len(leaked)} of its texts are also in {train_name}, so its numbers would flatter; "
            f"remove them, the first is {leaked[0][:80]!r}"
        )
