"""A small encoder cut out of a large one: fewer layers, a narrower state, the heads and neurons that matter most.

The states of the large encoder on texts of the run are rotated onto their principal axes; the small one keeps the
first of them as its own state, evenly spaced layers up to the top one, and in each of these the attention heads and
the neurons that add most to the state (compare McCarley, Chakravarti and Sil 2019, "Structured pruning of a BERT-based
question answering model"). It is a beginning only: `imitation.py` teaches it to read as the large one does.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from monitor.errors import InputError
from monitor.understand.encoders import load_encoder, load_tokenizer
from monitor.understand.normalise import normalise
from training.recipe import Student

SAMPLE = 2_000
"""Texts that are looked at to tell axes, heads and neurons that matter; of each, the first MAX_TOKENS tokens."""
MAX_TOKENS = 96
_LAYER = "encoder.layer.{}."
_NORMS = ("attention.output.LayerNorm", "output.LayerNorm")


@dataclass(frozen=True)
class Kept:
    """What of a large encoder goes on.

    Attributes:
        layers: their numbers, ascending.
        heads, neurons: of each of these layers, the numbers of those that stay.
        axes: (hidden, width), orthonormal columns.
        share: of the states' squared length that the axes hold.
    """

    layers: tuple[int, ...]
    heads: tuple[tuple[int, ...], ...]
    neurons: tuple[tuple[int, ...], ...]
    axes: Tensor
    share: float


def narrow(folder: Path, plan: Student, texts: Sequence[str], out: Path) -> Kept:
    """Write the small encoder of the one in `folder` into `out`; what was kept.

    Raises:
        InputError: the encoder is not laid out as BERT's, or is no larger than the plan.
    """
    from safetensors.torch import save_file

    encoder = load_encoder(folder)
    size = check_narrow(folder, plan)
    kept = chosen(encoder, plan, _batches(texts, folder))
    weights = cut(dict(encoder.state_dict()), kept, size)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    smaller = config | {
        "num_hidden_layers": plan.layers,
        "hidden_size": plan.width,
        "num_attention_heads": plan.width // size,
        "intermediate_size": plan.neurons,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(smaller, indent=1), encoding="utf-8")
    shutil.copyfile(folder / "tokenizer.json", out / "tokenizer.json")
    save_file({name: value.contiguous() for name, value in weights.items()}, out / "model.safetensors")
    return kept


def check_narrow(folder: Path, plan: Student) -> int:
    """The size of a head of the encoder in `folder`. Raises InputError as `narrow` does."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    known = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size")
    if config.get("model_type") not in ("bert", "roberta", "xlm-roberta", "camembert") or not all(
        map(config.get, known)
    ):
        raise InputError(f"student.bundle: an encoder of kind {config.get('model_type')} cannot be made smaller here")
    layers, width, heads, neurons = (int(config[key]) for key in known)
    size = width // heads
    for key, value, most in (("layers", plan.layers, layers), ("width", plan.width, width)):
        if value > most:
            raise InputError(f"student.{key}: {value} is more than the {most} of its bundle's encoder")
    if plan.neurons > neurons:
        raise InputError(f"student.neurons: {plan.neurons} is more than the {neurons} of its bundle's encoder")
    if plan.width % size:
        raise InputError(f"student.width: {plan.width} is no multiple of {size}, the size of an attention head")
    return size


@torch.inference_mode()
def chosen(encoder: nn.Module, plan: Student, batches: Iterator[tuple[Tensor, Tensor]]) -> Kept:
    """What matters most on the texts of some batches (token ids and their 0/1 mask)."""
    layers: Any = encoder.encoder.layer  # type: ignore[union-attr]
    step = len(layers) / plan.layers
    numbers = tuple(round(step * (place + 1)) - 1 for place in range(plan.layers))
    config: Any = encoder.config
    size = config.hidden_size // config.num_attention_heads
    moment = torch.zeros(config.hidden_size, config.hidden_size, dtype=torch.float64)
    contexts = {number: torch.zeros(config.hidden_size, dtype=torch.float64) for number in numbers}
    activity = {number: torch.zeros(config.intermediate_size, dtype=torch.float64) for number in numbers}
    here: dict[str, Tensor] = {}
    hooks = []

    def watched(totals: dict[int, Tensor], number: int) -> Any:
        def add(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
            totals[number] += (given[0].double().square() * here["mask"]).sum((0, 1))

        return add

    for number in numbers:
        hooks.append(layers[number].attention.output.dense.register_forward_pre_hook(watched(contexts, number)))
        hooks.append(layers[number].output.dense.register_forward_pre_hook(watched(activity, number)))
    for ids, mask in batches:
        here["mask"] = mask[:, :, None].double()
        states = encoder(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        for state in (states[0], *(states[number + 1] for number in numbers)):
            rows = state[mask.bool()].double()
            moment += rows.T @ rows
    for hook in hooks:
        hook.remove()
    values, vectors = torch.linalg.eigh(moment)
    axes = vectors.flip(1)[:, : plan.width]
    heads, neurons = [], []
    for number in numbers:
        output = layers[number].attention.output.dense.weight.double()
        weight = (contexts[number] * output.square().sum(0)).reshape(-1, size).sum(1)
        heads.append(tuple(sorted(weight.topk(plan.width // size).indices.tolist())))
        output = layers[number].output.dense.weight.double()
        weight = activity[number] * output.square().sum(0)
        neurons.append(tuple(sorted(weight.topk(plan.neurons).indices.tolist())))
    share = float(values.flip(0)[: plan.width].sum() / values.sum())
    return Kept(numbers, tuple(heads), tuple(neurons), axes.float(), share)


def cut(weights: dict[str, Tensor], kept: Kept, size: int) -> dict[str, Tensor]:
    """The small encoder's weights.

    A norm's gain cannot be rotated: each becomes the mean of its gains, scaled so that the state keeps its length.
    """
    axes = kept.axes
    hidden, width = axes.shape
    length = (width / hidden / max(kept.share, 1e-6)) ** -0.5

    def norm(name: str) -> dict[str, Tensor]:
        gain = weights[f"{name}.weight"].mean() * length
        return {f"{name}.weight": gain.expand(width).clone(), f"{name}.bias": axes.T @ weights[f"{name}.bias"]}

    found = {
        f"embeddings.{part}_embeddings.weight": weights[f"embeddings.{part}_embeddings.weight"] @ axes
        for part in ("word", "position", "token_type")
    }
    found |= norm("embeddings.LayerNorm")
    for place, (number, heads, neurons) in enumerate(zip(kept.layers, kept.heads, kept.neurons, strict=True)):
        old, new = _LAYER.format(number), _LAYER.format(place)
        rows = torch.cat([torch.arange(head * size, (head + 1) * size) for head in heads])
        some = torch.tensor(neurons)
        for part in ("query", "key", "value"):
            name = f"attention.self.{part}"
            found[f"{new}{name}.weight"] = weights[f"{old}{name}.weight"][rows] @ axes
            found[f"{new}{name}.bias"] = weights[f"{old}{name}.bias"][rows]
        found[f"{new}attention.output.dense.weight"] = axes.T @ weights[f"{old}attention.output.dense.weight"][:, rows]
        found[f"{new}attention.output.dense.bias"] = axes.T @ weights[f"{old}attention.output.dense.bias"]
        found[f"{new}intermediate.dense.weight"] = weights[f"{old}intermediate.dense.weight"][some] @ axes
        found[f"{new}intermediate.dense.bias"] = weights[f"{old}intermediate.dense.bias"][some]
        found[f"{new}output.dense.weight"] = axes.T @ weights[f"{old}output.dense.weight"][:, some]
        found[f"{new}output.dense.bias"] = axes.T @ weights[f"{old}output.dense.bias"]
        for name in _NORMS:
            found |= {key.replace(old, new, 1): value for key, value in norm(f"{old}{name}").items()}
    return found


def _batches(texts: Sequence[str], folder: Path) -> Iterator[tuple[Tensor, Tensor]]:
    tokenizer = load_tokenizer(folder)
    tokenizer.enable_truncation(MAX_TOKENS)
    picked = np.random.default_rng(0).permutation(len(texts))[:SAMPLE]
    rows = [found.ids for found in tokenizer.encode_batch([normalise(texts[place]) for place in picked])]
    rows.sort(key=len)
    for begin in range(0, len(rows), 32):
        part = [torch.tensor(row) for row in rows[begin : begin + 32]]
        ids = nn.utils.rnn.pad_sequence(part, batch_first=True)
        mask = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in part], batch_first=True)
        yield ids, mask
