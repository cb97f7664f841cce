"""Whether a bundle was taught what it is asked: numbers on such texts flatter."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from training.data.taught import hashes, read_taught


def seen(folder: Path, texts: Iterable[str]) -> int:
    """How many of the texts the bundle of a folder was taught, or tuned on; 0 where the folder does not say."""
    known = read_taught(folder)
    return 0 if known is None else int(np.isin(hashes(texts), known).sum())
