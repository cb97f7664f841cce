"""The engine: the whole bundle, linear heads and topics included, nothing remembered between two runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.settings import EngineSettings
from monitor.understand.engine import Engine


class Ours:
    """A bundle as the service runs it.

    Args:
        kind: "", "torch" or "fast".
    """

    def __init__(self, told: dict[str, Any], *, kind: str) -> None:
        self.numbers = "float32" if kind == "torch" else "bfloat16" if told["device"] == "cuda" else "int8"
        folder = Path(told["fast" if kind == "fast" else "bundle"])
        settings = EngineSettings(
            bundles=[folder],
            device="cpu" if told["device"] == "cpu" else "auto",
            runtime="torch" if kind == "torch" else "auto",
            threads=told["threads"],
            graphs=Path(told["cache"]),
            cache=0,
        )
        self._engine = Engine(settings)
        self._language = next(iter(self._engine.languages))

    def sentiment(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """See `Contender`; every text is read whole, and topics are decided, too."""
        found = self._engine.score(texts, [self._language] * len(texts))
        three = [one.sentiment for one in found if one is not None]
        return np.array([[one.negative, one.neutral, one.positive] for one in three]).reshape(-1, 3)
