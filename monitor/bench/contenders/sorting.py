"""Batches as a careful user would make them: tokenised at once, sorted by length, so many padded tokens each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.understand.encoders import load_tokenizer

TOKENS = 1_024
"""Padded tokens of a batch: of 256 to 4,096 the best for most contenders on two cores."""


class Sorted:
    """Tokenises texts and cuts them into batches."""

    def __init__(self, folder: Path, most: int) -> None:
        self._tokenizer = load_tokenizer(folder)
        self._tokenizer.enable_truncation(most)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Framed token ids of each text as it stands."""
        return [found.ids for found in self._tokenizer.encode_batch_fast(list(texts))]

    def batches(
        self, rows: Sequence[Sequence[int]]
    ) -> Iterator[tuple[list[int], NDArray[np.int64], NDArray[np.int64]]]:
        """Which texts, their padded ids and the mask (texts, longest)."""
        order = sorted(range(len(rows)), key=lambda index: -len(rows[index]))
        begin = 0
        while begin < len(order):
            longest = max(1, len(rows[order[begin]]))
            part = order[begin : begin + max(1, TOKENS // longest)]
            ids = np.zeros((len(part), longest), np.int64)
            mask = np.zeros_like(ids)
            for place, index in enumerate(part):
                ids[place, : len(rows[index])] = rows[index]
                mask[place, : len(rows[index])] = 1
            yield part, ids, mask
            begin += len(part)


def softmax(logits: Any, temperature: float) -> NDArray[np.float64]:
    """Row-wise softmax of (texts, 3) logits over a temperature."""
    from monitor.understand.probabilities import softmax as plain

    return plain(np.asarray(logits, np.float64) / temperature)
