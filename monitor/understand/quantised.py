"""Matrices in few bits: blocks of 32 weights that share a scale.

A block is rounded to the whole numbers -m … m, m = 2^(bits-1) - 1, times its largest magnitude / m. What is stored are
those numbers plus m, packed without gaps, and the scales in float16.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
BITS = (4, 5, 6, 8)


def quantise(values: NDArray[np.float32], bits: int) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    """Pack an array of any shape: (codes, scales), to be read back with its shape and the same `bits`.

    >>> codes, scales = quantise(np.linspace(-1, 1, 70, dtype=np.float32), 8)
    >>> float(np.abs(restore(codes, scales, 8, (70,)) - np.linspace(-1, 1, 70)).max()) < 0.005
    True
    """
    flat = np.asarray(values, np.float32).ravel()
    blocks = np.zeros((-(-len(flat) // BLOCK), BLOCK), np.float32)
    blocks.ravel()[: len(flat)] = flat
    most = 2 ** (bits - 1) - 1
    # The scale as it will be read back decides the rounding; a block of zeros gets any.
    scales = (np.abs(blocks).max(axis=1) / most).astype(np.float16)
    steps = np.where(scales > 0, scales, 1).astype(np.float32)
    codes = (np.clip(np.rint(blocks / steps[:, None]), -most, most) + most).astype(np.uint8)
    if bits == 8:
        return codes.ravel(), scales
    return np.packbits(np.unpackbits(codes.reshape(-1, 1), axis=1)[:, 8 - bits :]), scales


def restore(
    codes: NDArray[np.uint8], scales: NDArray[np.float16], bits: int, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """The array that `quantise` packed, in float32.

    Raises:
        ValueError: the parts do not fit each other.
    """
    count = len(scales) * BLOCK
    size = int(np.prod(shape))
    if not size <= count < size + BLOCK or codes.size != -(-count * bits // 8):
        raise ValueError(f"{codes.size} bytes and {len(scales)} scales of {bits} bits do not make {shape}")
    if bits < 8:
        wide = np.zeros((count, 8), np.uint8)
        wide[:, 8 - bits :] = np.unpackbits(codes, count=count * bits).reshape(count, bits)
        codes = np.packbits(wide, axis=1)
    values = codes.reshape(-1, BLOCK).astype(np.float32) - (2 ** (bits - 1) - 1)
    values *= scales.astype(np.float32)[:, None]
    return values.ravel()[:size].reshape(shape)
