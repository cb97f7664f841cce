"""Which backend runs an encoder bundle: a GPU if there is one, else OpenVINO, else PyTorch on the CPU."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import safe_open
from threadpoolctl import ThreadpoolController

from monitor.accelerators import gpus
from monitor.errors import SettingsError
from monitor.understand.encoders import find_encoder, load_tokenizer
from monitor.understand.manifest import WEIGHTS, Encoder, Manifest
from monitor.understand.runtimes import Choice
from monitor.understand.runtimes.encoder import Backend, EncoderRuntime, Heads
from monitor.understand.runtimes.graphs import graph_for
from monitor.understand.runtimes.windows import frame

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from monitor.understand.network import Network

log = logging.getLogger(__name__)
_HEADS = ("sentiment.weight", "sentiment.bias", "topics.weight", "topics.bias")


def load_encoder_runtime(
    folder: Path, manifest: Manifest, *, device: str, runtime: Choice, threads: int, tokens: int, cache: Path | None
) -> EncoderRuntime:
    """The runtime of a checked encoder bundle.

    Args:
        runtime: on a CPU; auto takes OpenVINO where it gives the answers it should.
        cache: where converted graphs are kept.

    Raises:
        BundleError: its encoder cannot be had or does not fit.
        SettingsError: the device is not there.
        KeyError, ValueError: its tensors do not fit.
    """
    described = manifest.encoder
    if described is None:
        raise ValueError("no encoder named")
    # After each product NumPy's other threads wait for the next one at full speed, on the cores that passes need: calls
    # of eight texts took twice as long. The heads' products are small enough for one.
    ThreadpoolController().select(internal_api="openblas").limit(limits=1)
    where = devices(device)
    if where:
        from monitor.understand.runtimes.accelerated import AcceleratedBackend

        network, tokenizer = _network(folder, manifest)
        try:
            backend: Backend = AcceleratedBackend(
                network, devices=where, max_tokens=described.max_tokens, tokens=tokens
            )
        except ValueError as error:
            log.warning("model %s is padded on one GPU, slower: %s", manifest.model, error)
            backend = _torch(network, tokenizer, described.max_tokens, threads, device=where[0], tokens=tokens or 4096)
        return EncoderRuntime(backend, heads_of(folder), tokenizer, max_tokens=described.max_tokens)
    heads = heads_of(folder)
    if runtime != "torch" and (graph := graph_for(folder, manifest, cache)) is not None:
        from monitor.understand.runtimes.openvino import OpenVinoBackend

        backend = OpenVinoBackend(graph, threads=threads)
        return EncoderRuntime(backend, heads, _tokenizer(folder, described), max_tokens=described.max_tokens)
    network, tokenizer = _network(folder, manifest)
    backend = _torch(network, tokenizer, described.max_tokens, threads)
    return EncoderRuntime(backend, heads, tokenizer, max_tokens=described.max_tokens)


def devices(name: str) -> list[str]:
    """The GPUs that a setting of `engine.device` means, none for the CPU.

    Raises:
        SettingsError: they are not there.
    """
    count = gpus()
    if name == "cpu" or (name == "auto" and not count):
        return []
    kind, _, number = name.partition(":")
    if kind != "auto" and int(number or 0) >= count:
        raise SettingsError(f"engine.device is {name}, but there are {count} GPUs here; set it to auto or cpu")
    return [name] if number else [f"cuda:{index}" for index in range(count)]


def heads_of(folder: Path) -> Heads:
    """The heads of a checked bundle, without reading the rest. Raises KeyError where its tensors do not fit."""
    with safe_open(folder / WEIGHTS, "numpy") as tensors:
        missing = [name for name in _HEADS if name not in tensors.keys()]  # noqa: SIM118 - no container
        if missing:
            raise KeyError(f"tensors {missing} missing")
        return Heads({name: np.asarray(tensors.get_tensor(name)) for name in _HEADS})


def _network(folder: Path, manifest: Manifest) -> tuple[Network, Tokenizer]:
    from monitor.understand.runtimes.pytorch import read_network

    return read_network(folder, manifest)


def _tokenizer(folder: Path, described: Encoder) -> Tokenizer:
    return load_tokenizer(folder if described.form == "whole" else find_encoder(described.source, beside=folder))


def _torch(network: Network, tokenizer: Tokenizer, max_tokens: int, threads: int, **more: Any) -> Backend:
    from monitor.understand.runtimes.pytorch import TorchBackend, padding

    prefix, suffix = frame(tokenizer)
    return TorchBackend(
        network, max_tokens=max_tokens, pad=padding(network), frame=(*prefix, *suffix), threads=threads, **more
    )
