"""Matrices in few bits: blocks of 32 weights that share a scale.

A block is rounded to the whole numbers -m … m, m = 2^(bits-1) - 1, times its scale: its largest magnitude / m or, with
few bits, a little less if the squared error is then smaller, as it is when one weight stands out. What is stored are
those numbers plus m, packed without gaps, and the scales in float16.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
BITS = (4, 5, 6, 8)
_NARROWER = (1.0, 0.95, 0.9, 0.85, 0.8)
"""Shares of the largest magnitude that the outermost whole number may stand for."""


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
    largest = np.abs(blocks).max(axis=1)
    scales, codes = _rounded(blocks, largest, most)
    for share in _NARROWER[1:] if bits < 8 else ():
        narrower, others = _rounded(blocks, share * largest, most)
        better = _error(blocks, narrower, others) < _error(blocks, scales, codes)
        scales[better], codes[better] = narrower[better], others[better]
    codes = (codes + most).astype(np.uint8)
    if bits == 8:
        return codes.ravel(), scales
    return np.packbits(np.unpackbits(codes.reshape(-1, 1), axis=1)[:, 8 - bits :]), scales


def _rounded(
    blocks: NDArray[np.float32], reach: NDArray[np.float32], most: int
) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Scales (blocks,) with which `most` stands for `reach`, and the nearest whole numbers (blocks, BLOCK)."""
    # The scale as it will be read back decides the rounding; a block of zeros gets any.
    scales = (reach / most).astype(np.float16)
    steps = np.where(scales > 0, scales, 1).astype(np.float32)
    return scales, np.clip(np.rint(blocks / steps[:, None]), -most, most)


def _error(blocks: NDArray[np.float32], scales: NDArray[np.float16], codes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(blocks,), the squared error."""
    found: NDArray[np.float32] = ((codes * scales.astype(np.float32)[:, None] - blocks) ** 2).sum(axis=1)
    return found


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
