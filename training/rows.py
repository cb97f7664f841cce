"""Labelled texts as a network takes them: token ids and targets, padded to a batch."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monitor.documents import LABELS
from monitor.understand.normalise import normalise
from monitor.understand.toward import MARKERS
from training.data.examples import Example

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNLABELLED = -100
"""Stands for a label that nobody gave."""
CHUNK = 10_000
"""Texts that are tokenised together."""


@dataclass(frozen=True)
class Advice:
    """What teachers say of the texts of a set: probabilities of (texts, 3) sentiments and (texts, topics) topics."""

    sentiment: NDArray[np.float32]
    topics: NDArray[np.float32]


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """Tokenised examples.

    Args:
        topics: the ids the network's topic head gives, in its order.
        cut: tokens a text is cut at.
        change: makes another text of the same meaning, called each time a text is asked for; None: texts stay. What
            it draws from `random` hangs on the seed, the epoch and the row alone.
        advice: of teachers, a row an example.
        twice: give each text as it is and, beside it, as it was changed, for a loss that wants both to say the same.

    Attributes:
        epoch: which one it is, from 0; the training run counts.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        topics: Sequence[str],
        tokenizer: Tokenizer,
        cut: int,
        *,
        change: Callable[[Example], str] | None = None,
        advice: Advice | None = None,
        twice: bool = False,
        seed: int = 0,
    ) -> None:
        self.epoch = 0
        self._twice = twice
        self._seed = seed
        self._examples, self._tokenizer, self._cut, self._change, self._advice = (
            examples,
            tokenizer,
            cut,
            change,
            advice,
        )
        place = {topic: index for index, topic in enumerate(topics)}
        self._ids = self._encode([example.text for example in examples])
        self._labels = [_labels(example, place) for example in examples]

    def __len__(self) -> int:
        return len(self._examples)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each text as it is, cut."""
        return [len(ids) for ids in self._ids]

    def __getitem__(self, index: int) -> dict[str, Any]:
        changed = self._changed(index)
        row = {"input_ids": self._ids[index] if self._twice else changed, **self._labels[index]}
        if self._twice:
            row["other_ids"] = changed
        if self._advice is not None:
            row |= {"taught_sentiment": self._advice.sentiment[index], "taught_topics": self._advice.topics[index]}
        return row

    def _changed(self, index: int) -> NDArray[np.int32]:
        """Token ids of the text as it is changed in this epoch."""
        if self._change is None:
            return self._ids[index]
        before = random.getstate()
        random.seed(f"{self._seed} {self.epoch} {index}")
        text = self._change(self._examples[index])
        random.setstate(before)
        return self._ids[index] if text == self._examples[index].text else self._encode([text])[0]

    def _encode(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        self._tokenizer.enable_truncation(self._cut)
        ids = [
            np.array(encoding.ids, np.int32)
            for begin in range(0, len(texts), CHUNK)  # an encoding is 13 KB
            for encoding in self._tokenizer.encode_batch_fast(
                [normalise(text) for text in texts[begin : begin + CHUNK]]
            )
        ]
        self._tokenizer.no_truncation()
        return ids


def within(examples: Sequence[Example], tokenizer: Tokenizer, cut: int) -> tuple[list[Example], int]:
    """The examples that can be taught of texts cut at so many tokens, and how many of them are cut.

    A text marked for a company whose first mention comes after the cut would teach a label of nothing: it is left out.
    """
    kept, longer = [], 0
    tokenizer.enable_truncation(cut)
    for begin in range(0, len(examples), CHUNK):
        part = examples[begin : begin + CHUNK]
        texts = [normalise(example.text) for example in part]
        for example, text, encoding in zip(part, texts, tokenizer.encode_batch(texts), strict=True):
            if encoding.overflowing:
                end = max((end for _, end in encoding.offsets), default=0)
                if example.target is not None and not any(this in text[:end] for this, _ in MARKERS.values()):
                    continue
                longer += 1
            kept.append(example)
    tokenizer.no_truncation()
    return kept, longer


def _labels(example: Example, place: Mapping[str, int]) -> dict[str, Any]:
    vector = np.full(len(place), UNLABELLED, np.float32)
    if example.topics is not None:
        vector[[place[topic] for topic in (place if example.among is None else example.among) if topic in place]] = 0
        vector[[place[topic] for topic in example.topics]] = 1
    return {
        "sentiment_label": UNLABELLED if example.sentiment is None else LABELS.index(example.sentiment),
        "negative_label": UNLABELLED if example.negative is None else int(example.negative),
        "topic_labels": vector,
    }


@dataclass(frozen=True)
class Collator:
    """Rows to one padded batch."""

    pad: int

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        batch: dict[str, Tensor] = {}
        batch["input_ids"], batch["attention_mask"] = self._padded([row["input_ids"] for row in rows])
        if "other_ids" in rows[0]:
            batch["other_ids"], batch["other_mask"] = self._padded([row["other_ids"] for row in rows])
        for name in ("sentiment_label", "negative_label"):
            batch[name] = torch.tensor([row[name] for row in rows])
        for name in ("topic_labels", "taught_sentiment", "taught_topics"):
            if name in rows[0]:
                batch[name] = torch.from_numpy(np.stack([row[name] for row in rows]))
        return batch

    def _padded(self, rows: Sequence[NDArray[np.int32]]) -> tuple[Tensor, Tensor]:
        """(rows, length) ids and their 0/1 mask."""
        length = max(map(len, rows))
        ids = torch.full((len(rows), length), self.pad)
        mask = torch.zeros(len(rows), length, dtype=torch.long)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.from_numpy(row)
            mask[index, : len(row)] = 1
        return ids, mask
