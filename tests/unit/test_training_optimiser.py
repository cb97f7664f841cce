"""How fast each weight learns, in which number format, what rare classes weigh, and who is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from monitor.errors import InputError
from monitor.understand.encoders import load_encoder
from monitor.understand.network import Network
from tests.unit.models import make_encoder, small_recipe
from training import arguments, precision
from training.objective import balanced
from training.optimiser import make_optimiser


def test_lower_layers_learn_slower_and_norms_do_not_decay(tmp_path: Path) -> None:
    network = Network(load_encoder(make_encoder(tmp_path)), pooling="mean", topics=2)
    plan = small_recipe(
        encoder={"name": "small"}, schedule={"rate": 1e-3, "head_rate": 2e-2, "layer_decay": 0.5, "weight_decay": 0.1}
    ).schedule
    group = {
        id(value): (entry["lr"], entry["weight_decay"])
        for entry in make_optimiser(network, plan).param_groups
        for value in entry["params"]
    }
    found = {name: group[id(value)] for name, value in network.named_parameters()}
    assert found["encoder.encoder.layer.1.output.dense.weight"] == (1e-3, 0.1)
    assert found["encoder.encoder.layer.0.output.dense.weight"] == (5e-4, 0.1)
    assert found["encoder.embeddings.word_embeddings.weight"] == (2.5e-4, 0.1)
    assert found["encoder.encoder.layer.1.output.LayerNorm.weight"] == (1e-3, 0.0)
    assert found["sentiment.weight"] == (2e-2, 0.1)
    assert found["sentiment.bias"] == (2e-2, 0.0)
    assert len(found) == len(group)


def test_balanced_weights_make_every_class_count_alike() -> None:
    labels = torch.tensor([0] * 1 + [1] * 6 + [2] * 3)
    weights = balanced(labels)
    assert (torch.bincount(labels) * weights).tolist() == pytest.approx([10 / 3] * 3)
    # A class that does not occur takes nothing from the others.
    assert balanced(torch.tensor([0, 0, 0, 2])).tolist() == pytest.approx([2 / 3, 1.0, 2.0])


def test_number_format_is_what_was_asked_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert precision.products("bf16") == {"bf16": True, "fp16": False}
    assert precision.products("fp32") == {"bf16": False, "fp16": False}
    with pytest.raises(InputError, match=r"schedule\.precision: fp16 needs a GPU; .* use bf16 or auto"):
        precision.products("fp16")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert precision.products("fp16") == {"bf16": False, "fp16": True}


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, False),
        ({"WANDB_API_KEY": "k"}, True),
        ({"WANDB_MODE": "offline"}, True),
        ({"WANDB_MODE": "disabled", "WANDB_API_KEY": "k"}, False),
        ({"WANDB_MODE": "online"}, False),
    ],
)
def test_weights_and_biases_is_told_when_it_is_configured(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], told: bool
) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(arguments, "find_spec", lambda name: object())
    assert arguments.reporters() == ["tensorboard", *(["wandb"] if told else [])]
