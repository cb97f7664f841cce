"""The engine: the whole bundle, linear heads and topics included, nothing remembered between two runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.understand.bundle import load_bundle


class Ours:
    """A bundle as the service runs it.

    Args:
        kind: "", "torch" or "fast".
    """

    def __init__(self, told: dict[str, Any], *, kind: str) -> None:
        self.numbers = "float32" if kind == "torch" else "bfloat16" if told["device"] == "cuda" else "int8"
        self._bundle = load_bundle(
            Path(told["fast" if kind == "fast" else "bundle"]),
            device=told["device"],
            runtime="torch" if kind == "torch" else "auto",
            threads=told["threads"],
            cache=Path(told["cache"]),
        )

    def sentiment(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """See `Contender`; every text is read whole."""
        return self._bundle.probabilities(texts)[0]
