"""A network as an OpenVINO graph: traced by PyTorch, the weights of its matrices in 8 bits.

Each row of a matrix (one output) is scaled by its largest weight to whole numbers from -127 to 127. OpenVINO multiplies
these with activations that it quantises itself, token by token. Embeddings, norms and sums stay float32.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from monitor.understand.network import Network
from monitor.understand.prompts import Prefixed, Prompted

if TYPE_CHECKING:
    from openvino import Model


class _Pooled(nn.Module):
    """Token ids (windows, length), nothing of it padding, to pooled states (windows, hidden)."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.encoder, self.pooling = network.encoder, network.pooling
        self._masked = isinstance(network.encoder, Prefixed | Prompted)

    def forward(self, ids: Tensor) -> Tensor:
        more = {"attention_mask": torch.ones_like(ids)} if self._masked else {}
        states: Tensor = self.encoder(input_ids=ids, **more).last_hidden_state
        return states.mean(1) if self.pooling == "mean" else states[:, 0]


@torch.no_grad()
def converted(network: Network) -> Model:
    """The graph of a network in float32 on the CPU; it goes on working.

    Raises:
        Exception: whatever PyTorch or OpenVINO find they cannot trace or convert.
    """
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    # The front end itself and not openvino.convert_model, which reports its use to its makers.
    front = FrontEndManager().load_by_framework("pytorch")
    example = torch.full((2, 9), int(network.encoder.config.vocab_size) // 2)  # type: ignore[union-attr, arg-type]
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")  # of what tracing takes for constant: `graphs.py` compares the answers
        # Names of their own: the front end does not keep alive what it reads from.
        decoder = TorchScriptPythonDecoder(_Pooled(network).eval(), example_input=example)
        read = front.load(decoder)
        model: Model = front.convert(read)
    model.reshape({0: openvino.PartialShape([-1, -1])})
    if _quantise(model) == 0:
        raise ValueError("no matrix of the network was found in its graph")
    model.validate_nodes_and_infer_types()
    return model


@contextmanager
def quiet() -> Iterator[None]:
    """Without what transformers says of a network that is traced."""
    from transformers.utils import logging as chatter

    level = chatter.get_verbosity()
    chatter.set_verbosity_error()
    try:
        yield
    finally:
        chatter.set_verbosity(level)


def _quantise(model: Model) -> int:
    """Put 8-bit weights in the place of the constant ones of all products; how many."""
    from openvino import opset13

    count = 0
    for node in model.get_ops():
        if node.get_type_name() != "MatMul":
            continue
        source = node.input_value(1).get_node()
        if source.get_type_name() != "Constant" or len(source.get_output_shape(0)) != 2:
            continue
        attributes = node.get_attributes()
        weight = np.asarray(source.get_data(), np.float32)
        codes, scales = in_eight_bits(weight if attributes["transpose_b"] else weight.T)
        whole = opset13.convert(opset13.constant(codes), "f32")
        node.input(1).replace_source_output(opset13.multiply(whole, opset13.constant(scales)).output(0))
        if not attributes["transpose_b"]:
            node.set_attributes({**attributes, "transpose_b": True})
        count += 1
    return count


def in_eight_bits(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A matrix (out, in) as whole numbers of the same shape and the scale (out, 1) of each row."""
    scales: Any = np.abs(weight).max(1, keepdims=True) / np.float32(127)
    scales = np.where(scales > 0, scales, np.float32(1)).astype(np.float32)
    return np.ascontiguousarray(np.rint(weight / scales).astype(np.int8)), scales
