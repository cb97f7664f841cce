"""In which order texts are taught: like lengths together, drawn anew each epoch from the seed and the epoch alone.

So a run that goes on from a checkpoint in the middle of an epoch sees the texts that an unbroken one would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

SPREAD = 50
"""Batches whose texts are sorted by length together: more would make the order less random, fewer would pad more."""


class Order(torch.utils.data.Sampler[int]):
    """Indices of one epoch after the other.

    Args:
        lengths: of the texts, in tokens.
        batch: texts of a step over all devices.
        seldom: texts of which an epoch sees only a share; one epoch after the other goes through them all.
        share: that share, in (0, 1].
    """

    def __init__(
        self, lengths: Sequence[int], batch: int, seed: int, *, seldom: Sequence[int] = (), share: float = 1.0
    ) -> None:
        self.epoch = 0
        self._lengths, self._batch, self._seed = lengths, batch, seed
        mixed = torch.randperm(len(seldom), generator=torch.Generator().manual_seed(seed)).tolist()
        self._seldom = [seldom[place] for place in mixed]
        self._some = math.ceil(share * len(seldom))

    def __len__(self) -> int:
        return len(self._lengths) - len(self._seldom) + self._some

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + 1_000_003 * self.epoch)
        drawn = torch.randperm(len(self._lengths), generator=generator).tolist()
        if self._some < len(self._seldom):
            begin = self.epoch * self._some % len(self._seldom)
            left_out = set((self._seldom[begin:] + self._seldom[:begin])[self._some :])
            drawn = [index for index in drawn if index not in left_out]
        size = SPREAD * self._batch
        batches: list[list[int]] = []
        for begin in range(0, len(drawn), size):
            part = sorted(drawn[begin : begin + size], key=lambda index: -self._lengths[index])
            batches += [part[at : at + self._batch] for at in range(0, len(part), self._batch)]
        # A batch that is not full comes last, and the one with the longest text first: too little memory shows at once.
        rest = [batch for batch in batches if len(batch) < self._batch]
        batches = [batch for batch in batches if len(batch) == self._batch]
        if batches:
            longest = max(range(len(batches)), key=lambda place: self._lengths[batches[place][0]])
            others = [batches[place] for place in torch.randperm(len(batches), generator=generator) if place != longest]
            batches = [batches[longest], *others]
        for batch in (*batches, *rest):
            yield from batch
