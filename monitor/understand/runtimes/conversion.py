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
from torch.nn import functional

from monitor.understand.network import Network
from monitor.understand.prompts import Prefixed, Prompted
from monitor.understand.runtimes.laying import laid
from monitor.understand.runtimes.packed import PackedEncoder

if TYPE_CHECKING:
    from openvino import Model


_FAR = 1e4
"""What keeps a token from being seen: its weight is exactly 0 then, and half a number's bits still hold it."""


class _Alike(nn.Module):
    """Token ids (windows, length), nothing of it padding, to pooled states (windows, hidden)."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.encoder, self.pooling = network.encoder, network.pooling
        self._masked = isinstance(network.encoder, Prefixed | Prompted)

    def forward(self, ids: Tensor) -> Tensor:
        more = {"attention_mask": torch.ones_like(ids)} if self._masked else {}
        states: Tensor = self.encoder(input_ids=ids, **more).last_hidden_state
        return states.mean(1) if self.pooling == "mean" else states[:, 0]


class _Packed(nn.Module):
    """Windows of several lengths laid end to end; only for attention is each given a row of its own.

    Everything else, nine tenths of the work, meets one number of tokens again and again: OpenVINO makes every node
    ready anew when the shapes change, which took a tenth of the time where each pass held another length.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.encoder = PackedEncoder(network)

    def forward(self, ids: Tensor, positions: Tensor, slots: Tensor, real: Tensor, places: Tensor) -> Tensor:
        """Pooled states (windows, hidden). The arguments: `laying.laid`."""
        bias = (real - 1)[:, None, None] * _FAR
        rows, length = slots.shape

        def attend(threefold: Tensor, heads: int) -> Tensor:
            width = threefold.shape[-1] // 3
            parts = threefold.view(-1, width)
            query, key, value = (
                parts[slots * 3 + part].view(rows, length, heads, -1).transpose(1, 2) for part in range(3)
            )
            seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
            return seen.transpose(1, 2).reshape(-1, width)[places][None]

        # With a leading dimension of one, as the network has it: OpenVINO is a little slower with plain matrices.
        states = self.encoder.embedded(ids, positions)[None]
        for layer in self.encoder.layers:
            states = layer(states, attend)
        if self.encoder.pooling == "first":
            return states[0][slots[:, 0]]
        return (states[0][slots] * real[:, :, None]).sum(1) / real.sum(1, keepdim=True)


@torch.no_grad()
def converted(network: Network) -> Model:
    """The graph of a network in float32 on the CPU; it goes on working.

    One that is laid out as BERT reads windows of all lengths at a time (inputs: `laying.laid`), another reads
    windows of one length (one input, (windows, length)).

    Raises:
        Exception: whatever PyTorch or OpenVINO find they cannot trace or convert.
    """
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    some = int(network.encoder.config.vocab_size) // 2  # type: ignore[union-attr, arg-type]
    module: nn.Module
    try:
        module = _Packed(network)
        example = tuple(map(torch.from_numpy, laid([(some,) * 5, (some,) * 9], 16)))
    except ValueError:
        module, example = _Alike(network), (torch.full((2, 9), some),)
    # The front end itself and not openvino.convert_model, which reports its use to its makers.
    front = FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")  # of what tracing takes for constant: `making.py` compares the answers
        # Names of their own: the front end does not keep alive what it reads from.
        decoder = TorchScriptPythonDecoder(module.eval(), example_input=example)
        read = front.load(decoder)
        model: Model = front.convert(read)
    model.reshape({place: openvino.PartialShape([-1] * part.ndim) for place, part in enumerate(example)})
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
