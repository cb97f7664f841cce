"""Windows laid end to end: the arrays that a packed pass reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLOTS = 16
"""The slots of a row in attention are a multiple of this, so that what stands in it is added up in the same order
whatever the row's length."""


def fill(
    ids: NDArray[np.int64],
    positions: NDArray[np.int64],
    bounds: NDArray[np.int32],
    windows: Sequence[tuple[int, ...]],
) -> None:
    """Lay windows end to end into the buffers of a pass; what is left belongs to no window."""
    lengths = np.fromiter(map(len, windows), np.int32, len(windows))
    ends = np.cumsum(lengths)
    bounds[0], bounds[1 : len(windows) + 1], bounds[len(windows) + 1 :] = 0, ends, ends[-1]
    used = int(ends[-1])
    ids[:used] = np.concatenate([np.array(window) for window in windows])
    positions[:used] = np.arange(used) - np.repeat(ends - lengths, lengths)
    ids[used:], positions[used:] = 0, 0


def laid(windows: Sequence[tuple[int, ...]], tokens: int) -> list[NDArray[Any]]:
    """The inputs of a pass over windows laid end to end, filled up with tokens that belong to none.

    Returns:
        ids, positions: int64 (tokens,); where each token stands in its window, from 0.
        slots: int64 (windows, length), the token in each slot of each window's row; any in those that are left.
        real: float32 (windows, length), 1 for the slots of its tokens, 0 for those that are left.
        places: int64 (tokens,), the slot of each token, counted through all rows; any for those that belong to none.
    """
    ids, positions, places = (np.zeros(tokens, np.int64) for _ in range(3))
    bounds = np.empty(len(windows) + 1, np.int32)
    fill(ids, positions, bounds, windows)
    begins, lengths = bounds[:-1].astype(np.int64), np.diff(bounds)
    slot = np.arange(-(-int(lengths.max()) // SLOTS) * SLOTS)
    real = slot < lengths[:, None]
    places[: bounds[-1]] = np.flatnonzero(real)
    return [ids, positions, np.where(real, begins[:, None] + slot, 0), real.astype(np.float32), places]
