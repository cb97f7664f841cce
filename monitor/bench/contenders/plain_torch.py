"""PyTorch with the network as transformers has it, batches sorted by length."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.bench.contenders.sorting import Sorted, softmax
from monitor.documents import LABELS


def classifier(folder: Path, told: dict[str, Any]) -> Any:
    """The encoder, its pooling and the sentiment head as a model that transformers takes for a classifier."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModel, PreTrainedModel
    from transformers.modeling_outputs import SequenceClassifierOutput

    from monitor.understand.network import pool

    heads = load_file(folder / "heads.safetensors")

    class Classifier(PreTrainedModel):
        base_model_prefix = "encoder"

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            more = {"add_pooling_layer": False} if config.model_type in ("bert", "roberta", "xlm-roberta") else {}
            self.encoder = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32, **more)
            self.head = torch.nn.Linear(heads["sentiment.weight"].shape[1], len(LABELS))
            self.head.load_state_dict({"weight": heads["sentiment.weight"], "bias": heads["sentiment.bias"]})

        def forward(self, input_ids: Any, attention_mask: Any, **_: Any) -> SequenceClassifierOutput:
            states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            pooled = pool(states, attention_mask, told["pooling"])
            return SequenceClassifierOutput(logits=self.head(pooled) / told["temperature"])

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    config.id2label = dict(enumerate(LABELS))
    config.label2id = {label: index for index, label in enumerate(LABELS)}
    return Classifier(config).eval()


class PlainTorch:
    """Sorted batches through the classifier."""

    numbers = "float32"

    def __init__(self, folder: Path, told: dict[str, Any]) -> None:
        import torch

        if told["threads"]:
            torch.set_num_threads(told["threads"])
        self._torch = torch
        self._device = told["device"]
        self._model = classifier(folder, told).to(self._device)
        self._sorted = Sorted(folder, told["max_tokens"])

    def sentiment(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """See `Contender`."""
        found = np.zeros((len(texts), 3))
        with self._torch.inference_mode():
            for part, ids, mask in self._sorted.batches(self._sorted.ids(texts)):
                given = [self._torch.from_numpy(each).to(self._device) for each in (ids, mask)]
                found[part] = softmax(self._model(*given).logits.float().cpu().numpy(), 1.0)
        return found


def read_heads(folder: Path) -> dict[str, NDArray[np.float32]]:
    """The heads of a prepared folder."""
    from safetensors.numpy import load_file

    found: dict[str, NDArray[np.float32]] = load_file(folder / "heads.safetensors")
    return found


def pooled_sentiment(
    pooled: NDArray[np.float32], heads: dict[str, NDArray[np.float32]], temperature: float
) -> NDArray[np.float64]:
    """Probabilities of pooled states (texts, hidden)."""
    return softmax(pooled @ heads["sentiment.weight"].T + heads["sentiment.bias"], temperature)


def told_of(folder: Path) -> dict[str, Any]:
    """What `prepare.py` noted in a prepared folder."""
    found: dict[str, Any] = json.loads((folder / "told.json").read_text(encoding="utf-8"))
    return found
