"""OpenVINO with the network as it comes: no 8 bits, its own choice of number format for this processor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.bench.contenders.sorting import Sorted, softmax
from monitor.cores import cores


class PlainOpenVino:
    """Sorted batches through an asynchronous queue, as many streams as there are cores."""

    def __init__(self, folder: Path, told: dict[str, Any]) -> None:
        import openvino
        import torch
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        from monitor.bench.contenders.plain_torch import classifier
        from monitor.understand.runtimes.conversion import quiet

        class Logits(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = classifier(folder, told)

            def forward(self, ids: Any, mask: Any) -> Any:
                return self.model(ids, mask).logits

        ids = torch.full((2, 9), 5)
        front = FrontEndManager().load_by_framework("pytorch")
        with torch.no_grad(), quiet():
            decoder = TorchScriptPythonDecoder(Logits().eval(), example_input=(ids, torch.ones_like(ids)))
            read = front.load(decoder)
            model = front.convert(read)
        count = told["threads"] or cores()
        hints = {"NUM_STREAMS": count, "INFERENCE_NUM_THREADS": count}
        compiled = openvino.Core().compile_model(model, "CPU", hints)
        own = str(compiled.get_property("INFERENCE_PRECISION_HINT"))
        self.numbers = "bfloat16" if "bfloat16" in own else "float32"
        self._queue = openvino.AsyncInferQueue(compiled, count)
        self._sorted = Sorted(folder, told["max_tokens"])

    def sentiment(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """See `Contender`."""
        found = np.zeros((len(texts), 3))

        def keep(request: Any, part: list[int]) -> None:
            found[part] = softmax(request.get_output_tensor(0).data, 1.0)

        self._queue.set_callback(keep)
        for part, ids, mask in self._sorted.batches(self._sorted.ids(texts)):
            self._queue.start_async([ids, mask], part)
        self._queue.wait_all()
        return found
