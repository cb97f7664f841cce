"""CTranslate2's encoder, in float32 or with weights and activations in 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.bench.contenders.plain_torch import pooled_sentiment, read_heads
from monitor.bench.contenders.sorting import Sorted
from monitor.cores import cores


class CTranslate:
    """Sorted batches; each on one thread, as many at a time as there are cores."""

    def __init__(self, folder: Path, told: dict[str, Any], *, eight: bool) -> None:
        import ctranslate2

        self.numbers = "int8" if eight else "float32"
        made = folder / "ctranslate2"
        if not (made / "model.bin").is_file():
            ctranslate2.converters.TransformersConverter(str(folder)).convert(str(made), force=True)
        count = told["threads"] or cores()
        self._encoder = ctranslate2.Encoder(
            str(made),
            device="cpu",
            compute_type="int8" if eight else "float32",
            inter_threads=count,
            intra_threads=1,
        )
        self._heads, self._told = read_heads(folder), told
        self._sorted = Sorted(folder, told["max_tokens"])
        self._workers = ThreadPoolExecutor(count)

    def sentiment(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """See `Contender`."""
        rows = self._sorted.ids(texts)
        found = np.zeros((len(texts), 3))

        def run(batch: tuple[list[int], NDArray[np.int64], NDArray[np.int64]]) -> None:
            part, _, mask = batch
            states = np.array(self._encoder.forward_batch([list(rows[index]) for index in part]).last_hidden_state)
            weight = mask[:, : states.shape[1], None].astype(np.float32)
            pooled = states[:, 0] if self._told["pooling"] == "first" else (states * weight).sum(1) / weight.sum(1)
            found[part] = pooled_sentiment(pooled, self._heads, self._told["temperature"])

        list(self._workers.map(run, self._sorted.batches(rows)))
        return found
