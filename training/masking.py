"""Texts with some of their words hidden, for an encoder to guess (Devlin et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monitor.errors import InputError
from monitor.understand.normalise import normalise

if TYPE_CHECKING:
    from tokenizers import Tokenizer

IGNORED = -100
"""The label of a piece that is not to be guessed."""
KEPT, SWAPPED = 0.1, 0.1
"""Shares of the hidden pieces that stay as they are, and that become another piece."""
LONGEST = 8
"""Pieces of one word at most; where a word has more, the tokenizer's words are none."""


class Masked(torch.utils.data.Dataset[dict[str, Any]]):
    """Tokenised texts with some of their words hidden; which ones hangs on the seed, the epoch and the text alone.

    Attributes:
        epoch: which one it is, from 0.
    """

    def __init__(
        self, texts: Sequence[str], tokenizer: Tokenizer, cut: int, mask: int, share: float, seed: int
    ) -> None:
        self.epoch = 0
        self._mask, self._share, self._seed = mask, share, seed
        self._size = tokenizer.get_vocab_size()
        tokenizer.enable_truncation(cut)
        self._rows = [
            (np.array(found.ids), _words(found))
            for begin in range(0, len(texts), 10_000)
            for found in tokenizer.encode_batch([normalise(text) for text in texts[begin : begin + 10_000]])
        ]
        tokenizer.no_truncation()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each text, cut."""
        return [len(ids) for ids, _ in self._rows]

    def __getitem__(self, index: int) -> dict[str, Any]:
        ids, words = self._rows[index]
        random = np.random.default_rng([self._seed, self.epoch, index])
        labels = np.full(len(ids), IGNORED)
        count = int(words.max()) + 1 if len(words) else 0
        if count > 0:
            chosen = random.permutation(count)[: max(1, round(self._share * count))]
            hidden = np.flatnonzero(np.isin(words, chosen))
            labels[hidden] = ids[hidden]
            ids = ids.copy()
            fate = random.random(len(hidden))
            ids[hidden[fate >= KEPT + SWAPPED]] = self._mask
            swapped = hidden[(fate >= KEPT) & (fate < KEPT + SWAPPED)]
            ids[swapped] = random.integers(0, self._size, len(swapped))
        return {"input_ids": ids, "labels": labels}


def _words(encoding: Any) -> NDArray[np.int64]:
    """To which word of the text each piece belongs, from 0; -1: a special token.

    A tokenizer may find words by white space alone; then a Chinese sentence is one word, and its pieces count singly.
    """
    special = np.array(encoding.special_tokens_mask, bool)
    found = [-1 if word is None else word for word in encoding.word_ids]
    words = np.where(special, -1, np.array(found, np.int64))
    _, sizes = np.unique(words[words >= 0], return_counts=True)
    if len(sizes) and sizes.max() > LONGEST:
        words = np.where(words >= 0, np.arange(len(words)), -1)
    # Without gaps, so that a draw is fair.
    kept = np.unique(words[words >= 0])
    return np.where(words >= 0, np.searchsorted(kept, words), -1)


class Padded:
    """Rows to one batch."""

    def __init__(self, pad: int) -> None:
        self._pad = pad

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        length = max(len(row["input_ids"]) for row in rows)
        ids = torch.full((len(rows), length), self._pad)
        labels = torch.full((len(rows), length), IGNORED)
        mask = torch.zeros(len(rows), length, dtype=torch.long)
        for place, row in enumerate(rows):
            size = len(row["input_ids"])
            ids[place, :size] = torch.from_numpy(row["input_ids"])
            labels[place, :size] = torch.from_numpy(row["labels"])
            mask[place, :size] = 1
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def mask_of(tokenizer: Tokenizer, folder: Path) -> int:
    """The id of the mask token; where a vocabulary was made without one, of the unknown token.

    Raises:
        InputError: the tokenizer has neither.
    """
    for name in ("[MASK]", "<mask>", "[UNK]", "<unk>"):
        found = tokenizer.token_to_id(name)
        if found is not None:
            return int(found)
    raise InputError(f"{folder}: pretrain: its tokenizer has no mask token")
