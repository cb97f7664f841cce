"""`transformers.pipeline`, the way most people begin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.documents import LABELS


class Pipeline:
    """A text-classification pipeline over the encoder, mean pooling and the sentiment head, in float32."""

    numbers = "float32"

    def __init__(self, folder: Path, told: dict[str, Any], *, batch: int) -> None:
        from transformers import PreTrainedTokenizerFast, pipeline

        from monitor.bench.contenders.plain_torch import classifier
        from monitor.understand.encoders import load_tokenizer

        plain = load_tokenizer(folder)
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=plain, pad_token=plain.id_to_token(told["pad"]), model_max_length=told["max_tokens"]
        )
        self._pipeline = pipeline(
            "text-classification",
            model=classifier(folder, told),
            tokenizer=tokenizer,
            device=0 if told["device"] == "cuda" else -1,
        )
        self._batch = batch

    def sentiment(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """See `Contender`."""
        answers: Any = self._pipeline(list(texts), batch_size=self._batch, top_k=None, truncation=True)
        found = np.zeros((len(texts), 3))
        for row, answer in zip(found, answers, strict=True):
            for one in answer:
                row[LABELS.index(one["label"])] = one["score"]
        return found
