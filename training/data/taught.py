"""Which texts a model was taught, as hashes: enough to refuse an exam that asks what was taught.

`taught.u64` in a model's folder holds one 64-bit hash a text, sorted, little-endian: 8 bytes a text, and no text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.doubles import fingerprint

TAUGHT = "taught.u64"
_FORM = np.dtype("<u8")


def hashes(texts: Iterable[str]) -> NDArray[np.uint64]:
    """A hash of each text's fingerprint (what two copies share), in the order of the texts."""
    digests = b"".join(hashlib.blake2b(fingerprint(text).encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, _FORM)


def write_taught(folder: Path, texts: Iterable[str], others: Iterable[NDArray[np.uint64]] = ()) -> Path:
    """Note in a model's folder which texts it was taught (those held out of teaching to tune it are among them).

    Args:
        others: what `read_taught` gives of the models that it learned from.
    """
    path = folder / TAUGHT
    np.unique(np.concatenate([hashes(texts), *others])).astype(_FORM).tofile(path)
    return path


def read_taught(folder: Path) -> NDArray[np.uint64] | None:
    """The hashes of the texts a model was taught, sorted; None where its folder does not say."""
    path = folder / TAUGHT
    return np.fromfile(path, _FORM) if path.is_file() else None
