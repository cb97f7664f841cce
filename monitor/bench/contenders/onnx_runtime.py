"""ONNX Runtime, with its own fusions for transformers, in float32 or with weights and activations in 8 bits."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.bench.contenders.sorting import Sorted, softmax
from monitor.cores import cores


class OnnxRuntime:
    """Sorted batches through a session; each batch on one thread, as many at a time as there are cores."""

    def __init__(self, folder: Path, told: dict[str, Any], *, eight: bool) -> None:
        import onnxruntime

        self.numbers = "int8" if eight else "float32"
        path = _graph(folder, told, eight)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._sorted = Sorted(folder, told["max_tokens"])
        self._workers = ThreadPoolExecutor(told["threads"] or cores())

    def sentiment(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """See `Contender`."""
        found = np.zeros((len(texts), 3))

        def run(batch: tuple[list[int], NDArray[np.int64], NDArray[np.int64]]) -> None:
            part, ids, mask = batch
            found[part] = softmax(self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0], 1.0)

        list(self._workers.map(run, self._sorted.batches(self._sorted.ids(texts))))
        return found


def _graph(folder: Path, told: dict[str, Any], eight: bool) -> Path:
    """The graph's file, made when it is not there."""
    path = folder / ("int8.onnx" if eight else "fused.onnx")
    if path.is_file():
        return path
    logging.getLogger("onnxruntime").setLevel(logging.ERROR)
    fused = folder / "fused.onnx"
    if not fused.is_file():
        _export(folder, told, fused)
    if eight:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(
            fused, path, weight_type=QuantType.QInt8, per_channel=True, extra_options={"DefaultTensorType": 1}
        )
    return path


def _export(folder: Path, told: dict[str, Any], fused: Path) -> None:
    import torch
    from onnxruntime.transformers import optimizer

    from monitor.bench.contenders.plain_torch import classifier

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = classifier(folder, told)
            # The form of attention that ONNX Runtime's fusions know.
            self.model.encoder.set_attn_implementation("eager")

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids, attention_mask).logits

    ids = torch.full((2, 9), 5)
    axes = {0: "texts", 1: "tokens"}
    plain = folder / "plain.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Logits().eval(),
            (ids, torch.ones_like(ids)),
            str(plain),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes},
            opset_version=17,
            dynamo=False,
        )
    config = told["config"]
    found = optimizer.optimize_model(
        str(plain), "bert", num_heads=config["num_attention_heads"], hidden_size=config["hidden_size"]
    )
    found.save_model_to_file(str(fused))
