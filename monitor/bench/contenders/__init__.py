"""What a user might have picked to run the same network: one file a library, each in a process of its own.

Every contender reads a prepared folder (`prepare.py`): the encoder as Hugging Face's files, the heads, and the texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Contender(Protocol):
    """A network that is ready to run.

    Attributes:
        numbers: in which it multiplies, as `peak.py` names them.
    """

    numbers: str

    def sentiment(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities (texts, 3) of each text, cut at the encoder's longest window."""
        ...


NAMES: dict[str, str] = {
    "pipeline": "transformers.pipeline, as it comes",
    "pipeline-32": "transformers.pipeline, batch_size=32",
    "torch": "PyTorch float32, sorted batches",
    "onnx": "ONNX Runtime float32, fused, sorted batches",
    "onnx-int8": "ONNX Runtime dynamic int8, fused, sorted batches",
    "openvino": "OpenVINO as it comes, sorted batches",
    "ctranslate2": "CTranslate2 float32, sorted batches",
    "ctranslate2-int8": "CTranslate2 int8, sorted batches",
    "engine-torch": "the engine on PyTorch (engine.runtime = torch)",
    "engine": "the engine",
    "engine-fast": "the engine, engine.model = fast",
}
"""What is compared, in the order it is shown."""
PACKAGES: dict[str, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxruntime"),
    "onnx-int8": ("onnx", "onnxruntime"),
    "ctranslate2": ("ctranslate2",),
    "ctranslate2-int8": ("ctranslate2",),
}
"""What must be installed beside the program itself."""


def make(name: str, folder: Path, told: dict[str, Any]) -> Contender:
    """Load a contender.

    Args:
        folder: the prepared one.
        told: `bundle` (of the engine), `fast` (its student's), `device`, `threads`, `cache`, `max_tokens`.
    """
    if name.startswith("pipeline"):
        from monitor.bench.contenders.pipelines import Pipeline

        return Pipeline(folder, told, batch=32 if name.endswith("-32") else 1)
    if name == "torch":
        from monitor.bench.contenders.plain_torch import PlainTorch

        return PlainTorch(folder, told)
    if name.startswith("onnx"):
        from monitor.bench.contenders.onnx_runtime import OnnxRuntime

        return OnnxRuntime(folder, told, eight=name.endswith("-int8"))
    if name == "openvino":
        from monitor.bench.contenders.plain_openvino import PlainOpenVino

        return PlainOpenVino(folder, told)
    if name.startswith("ctranslate2"):
        from monitor.bench.contenders.ctranslate import CTranslate

        return CTranslate(folder, told, eight=name.endswith("-int8"))
    if name.startswith("engine"):
        from monitor.bench.contenders.ours import Ours

        return Ours(told, kind=name.partition("-")[2])
    raise KeyError(name)
