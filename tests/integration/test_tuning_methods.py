"""Every way of teaching learns: from labelled texts to a bundle the service runs, measured on texts it never saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monitor.errors import InputError
from monitor.understand.bundle import Bundle
from monitor.understand.encoders import load_encoder
from monitor.understand.network import Network
from monitor.understand.stored import build
from monitor.understand.topics import load_taxonomy
from tests.integration.test_training import write_recipe
from training.bases import Base
from training.recipe import Tuning, read_recipe
from training.run import run
from training.storing import stored
from training.tuning import tuned

MAJORITY = 0.45
"""Over what always answering the likeliest of three labels, or the likeliest of two topics, would reach by luck."""


def taught(data: Path, out: Path, **settings: object) -> Bundle:
    """The bundle of a run of a second or two; `settings` as `section__key=value`."""
    plan = (
        f'kind = "encoder"\n[encoder]\nname = "{data / "encoder"}"\nmax_tokens = 64\n'
        "[schedule]\nepochs = 6\nbatch = 16\nrate = 4e-3\nhead_rate = 4e-2\nheld_out = 0.15\nmax_tokens = 48\n"
        'precision = "fp32"\nthreads = 1\n[loss]\nsentiment = 0.4\n'
    )
    out.mkdir(parents=True, exist_ok=True)
    path = write_recipe(out, plan)
    changes = {key.replace("__", "."): str(value) for key, value in settings.items()}
    return run(read_recipe(str(path), changes), data=data, out=out / "bundle", taxonomy=load_taxonomy())


def assert_learned(bundle: Bundle) -> None:
    found = bundle.manifest.metrics["test.jsonl"]
    assert found["sentiment_accuracy"] > MAJORITY + 0.1, found
    assert found["topics_accuracy"] > 0.65, found


METHODS = {
    "full": {"schedule__rate": 2e-3},
    "bfloat16": {"schedule__precision": "bf16"},
    "layer_decay": {"tuning__method": "full", "schedule__rate": 3e-3, "schedule__layer_decay": 0.8},
    "lora": {},
    "adalora": {"schedule__rate": 2e-2},
    "ia3": {"schedule__rate": 2e-2},
    "prefix": {"schedule__rate": 1e-2},
    "prompt": {"schedule__rate": 1e-2},
    "heads": {},
    "focal": {"loss__kind": "focal", "loss__gamma": 1.0},
    "class_weights": {"loss__class_weights": "balanced"},
    "rdrop": {"loss__rdrop": 0.5},
    "adversarial": {"loss__adversarial": 0.03},
}
PLAIN = ("full", "lora", "adalora", "ia3", "prefix", "prompt", "heads")


@pytest.mark.parametrize("name", METHODS)
def test_learns_more_than_the_majority_class(data: Path, tmp_path: Path, name: str) -> None:
    settings: dict[str, object] = dict(METHODS[name])
    if name in PLAIN:
        settings["tuning__method"] = name
    assert_learned(taught(data, tmp_path, **settings))


def moved(network: torch.nn.Module) -> torch.nn.Module:
    """A network all of whose learning weights have moved from where they began."""
    torch.manual_seed(5)
    with torch.no_grad():
        for value in network.parameters():
            if value.requires_grad:
                value.add_(torch.randn_like(value) * 0.05)
    return network.eval()


@pytest.mark.parametrize(
    ("method", "form"),
    [*((method, "auto") for method in PLAIN), ("lora", "delta"), ("lora", "whole"), ("prefix", "whole")],
)
def test_a_bundle_says_what_the_trained_network_said(data: Path, tmp_path: Path, method: str, form: str) -> None:
    settings = {"tuning.method": method, "storage.form": form, "tuning.virtual_tokens": "4", "tuning.rank": "4"}
    path = write_recipe(tmp_path, f'kind = "encoder"\n[encoder]\nname = "{data / "encoder"}"\nmax_tokens = 64\n')
    recipe = read_recipe(str(path), settings)
    trained = Network(
        tuned(load_encoder(data / "encoder"), recipe.tuning, dropout=0.0, steps=30), pooling="mean", topics=2
    )
    moved(trained)
    random = np.random.default_rng(1)
    ids = torch.from_numpy(random.integers(4, 60, (5, 12)))
    mask = torch.ones_like(ids)
    mask[0, 7:] = 0
    with torch.inference_mode():
        expected = [part.numpy() for part in trained(ids, mask)]
    tensors, described = stored(recipe, trained, Base(data / "encoder", own=False), tmp_path)
    taught_parts = {name.removeprefix("encoder."): torch.from_numpy(np.array(part)) for name, part in tensors.items()}
    heads = {name: taught_parts.pop(name) for name in list(taught_parts) if name.startswith(("sentiment.", "topics."))}
    encoder, _ = build(tmp_path, described, taught_parts)
    loaded = Network(encoder, pooling="mean", topics=2).eval()
    loaded.load_state_dict({name: value.float() for name, value in heads.items()}, strict=False)
    with torch.inference_mode():
        found = [part.numpy() for part in loaded(ids, mask)]
    for one, other in zip(expected, found, strict=True):
        assert np.abs(one - other).max() < 5e-3, method
        assert np.abs(one).max() > 0.05


def test_prefixes_do_not_fit_an_encoder_without_a_cache() -> None:
    from transformers import DistilBertConfig, DistilBertModel

    encoder = DistilBertModel(DistilBertConfig(vocab_size=50, dim=32, n_heads=2, n_layers=1, hidden_dim=64))
    with pytest.raises(InputError, match="prefix tuning cannot reach the attention of distilbert"):
        tuned(encoder, Tuning(method="prefix"), dropout=0.0, steps=10)
    with pytest.raises(InputError, match=r"its matrices are called k_lin, lin1, .* name some of them in tuning\.adapt"):
        tuned(encoder, Tuning(method="lora", adapt=["query"]), dropout=0.0, steps=10)
    assert "lora_A" in str(dict(tuned(encoder, Tuning(method="lora"), dropout=0.0, steps=10).named_parameters()).keys())


def test_too_many_virtual_tokens_are_refused(data: Path) -> None:
    with pytest.raises(InputError, match="over the 128 positions"):
        tuned(
            load_encoder(data / "encoder"), Tuning(method="prompt", virtual_tokens=100), dropout=0, steps=9, length=64
        )


def test_batches_are_added_up_for_a_step(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    plain = torch.optim.AdamW.step

    def counted(self: torch.optim.AdamW, *given: Any, **named: Any) -> Any:
        steps.append(
            sum(float(p.grad.abs().sum()) for g in self.param_groups for p in g["params"] if p.grad is not None)
        )
        return plain(self, *given, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", counted)
    common = {"schedule__warmup": 0.0}
    taught(data, tmp_path / "whole", schedule__batch=16, **common)
    whole, steps[:] = list(steps), []
    assert_learned(taught(data, tmp_path / "parts", schedule__batch=4, schedule__accumulate=4, **common))
    assert len(steps) == len(whole) > 20
    assert steps[0] == pytest.approx(whole[0], rel=0.5)  # not a quarter of it, nor four times


@pytest.mark.parametrize(("curve", "last"), [("linear", 0.0), ("cosine", 0.0), ("constant", 1.0)])
def test_rate_rises_and_falls_as_the_recipe_says(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, curve: str, last: float
) -> None:
    rates: list[float] = []
    plain = torch.optim.AdamW.step

    def noted(self: torch.optim.AdamW, *given: Any, **named: Any) -> Any:
        rates.append(max(group["lr"] for group in self.param_groups))
        return plain(self, *given, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    taught(data, tmp_path, schedule__epochs=2, schedule__warmup=0.25, schedule__curve=curve, tuning__method="heads")
    peak, top = 4e-2, rates.index(max(rates))
    assert rates[top] == pytest.approx(peak)
    assert top == pytest.approx(len(rates) / 4, abs=1)
    assert rates[0] < peak / 4 and rates[:top] == sorted(rates[:top])
    assert rates[-1] == pytest.approx(last * peak, abs=0.1 * peak)
    if curve == "constant":
        assert set(rates[top:]) == {peak}
