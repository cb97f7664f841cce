"""Splits: what is held out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from training.data.doubles import fingerprint
from training.data.examples import Example


def held_out(examples: Iterable[Example], share: float) -> tuple[list[Example], list[Example]]:
    """Split into (taught, held out); which text falls where depends on the text alone, so it never changes."""
    taught: list[Example] = []
    held: list[Example] = []
    for example in examples:
        digest = hashlib.blake2b(fingerprint(example.text).encode(), digest_size=8).digest()
        (held if int.from_bytes(digest, "big") < share * 2**64 else taught).append(example)
    return taught, held
