"""A student: cut out of a bundle's encoder, taught to read as it does, then taught like any other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from monitor.errors import InputError
from monitor.understand.bundle import Bundle, load_bundle
from monitor.understand.encoders import load_encoder, load_tokenizer
from monitor.understand.topics import load_taxonomy
from tests.integration.test_tuning_methods import assert_learned, taught
from tests.unit.models import make_bundle, make_encoder
from training.imitation import MAP, Imitation, imitate, taken_along
from training.narrowing import check_narrow, chosen, cut, narrow
from training.recipe import Student, read_recipe
from training.run import run

SMALL = Student(bundle="b", layers=1, width=16, neurons=24)


@pytest.fixture(scope="module")
def teacher(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return taught(data, tmp_path_factory.mktemp("teacher"), schedule__epochs=5)


def texts(data: Path) -> list[str]:
    return [json.loads(line)["text"] for line in (data / "train.jsonl").read_text().splitlines()]


def recipe_of(path: Path, bundle: Path, *, epochs: float = 12) -> str:
    path.write_text(
        'name = "small-fast"\nversion = "0.0.1"\nkind = "encoder"\nlanguages = ["en"]\n'
        f'[student]\nbundle = "{bundle}"\nlayers = 1\nwidth = 16\nneurons = 24\nepochs = {epochs}\nrate = 5e-3\n'
        f'batch = 32\n[distil]\nteachers = ["{bundle}"]\n[tuning]\nmethod = "full"\n[storage]\nbits = 8\n'
        "[schedule]\nepochs = 5\nbatch = 16\nrate = 4e-3\nhead_rate = 1e-2\nheld_out = 0.15\nmax_tokens = 48\n"
        'precision = "fp32"\nthreads = 1\n'
        '[[train]]\nfile = "train.jsonl"\norigin = "made"\nlicence = "none"\n'
        '[[test]]\nfile = "test.jsonl"\norigin = "made"\nlicence = "none"\n',
        encoding="utf-8",
    )
    return str(path)


def test_student_is_small_learns_and_needs_nobody(data: Path, teacher: Bundle, tmp_path: Path) -> None:
    recipe = read_recipe(recipe_of(tmp_path / "fast.toml", teacher.folder))
    bundle = run(recipe, data=data, out=tmp_path / "bundle", taxonomy=load_taxonomy())
    assert_learned(bundle)
    described = bundle.manifest.encoder
    assert described is not None and described.form == "whole" and not described.sha256
    config = json.loads((bundle.folder / "config.json").read_text())
    sizes = [config[key] for key in ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size")]
    assert sizes == [1, 16, 2, 24]
    lineage = json.loads((bundle.folder / "lineage.json").read_text())
    assert [row["model"] for row in lineage["teachers"]] == [teacher.manifest.model]
    # What serves does so too: converted, it says the same.
    texts = ["profit profit rises", "loss fraud", "the a of"]
    plain = load_bundle(bundle.folder, device="cpu").probabilities(texts)[0]
    fast = load_bundle(bundle.folder, device="cpu", runtime="openvino").probabilities(texts)[0]
    assert np.abs(plain - fast).max() < 0.1


def test_imitation_takes_the_states_and_the_heads_along(data: Path, teacher: Bundle, tmp_path: Path) -> None:
    from training.continual import of_bundle, opened

    path = recipe_of(tmp_path / "fast.toml", teacher.folder)
    recipe, manifest = of_bundle(read_recipe(path), str(teacher.folder), "student.bundle")
    base, heads = opened(teacher.folder, manifest, manifest.topics, tmp_path)
    out = imitate(recipe, base.folder, texts(data), tmp_path)
    rows = [found.ids for found in load_tokenizer(out).encode_batch(texts(data)[:40])]
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    mask = (ids > 0).long()
    large, small = load_encoder(base.folder), load_encoder(out)
    untaught = load_encoder(tmp_path / "narrow")
    axes = load_file(tmp_path / "narrow" / MAP)["weight"]

    def gap(encoder: Any, weight: torch.Tensor, bias: torch.Tensor | float) -> float:
        with torch.inference_mode():
            wanted = large(input_ids=ids, attention_mask=mask).last_hidden_state[mask.bool()]
            said = encoder(input_ids=ids, attention_mask=mask).last_hidden_state[mask.bool()] @ weight.T + bias
        return float((said - wanted).square().mean() / wanted.var())

    top = load_file(out / MAP)
    after = gap(small, top["weight"], top["bias"])
    assert after < 0.6 * gap(untaught, axes, 0.0) and after < 0.5

    moved = taken_along(heads, out)
    assert moved["sentiment.weight"].shape == (3, 16)
    with torch.inference_mode():
        state = small(input_ids=ids, attention_mask=mask).last_hidden_state.mean(1)
        through = (state @ top["weight"].T + top["bias"]) @ heads["topics.weight"].T + heads["topics.bias"]
        directly = state @ moved["topics.weight"].T + moved["topics.bias"]
    assert torch.allclose(through, directly, atol=1e-4)

    # What is done is not done again.
    before = (out / "model.safetensors").stat().st_mtime_ns
    assert imitate(recipe, base.folder, texts(data), tmp_path) == out
    assert (out / "model.safetensors").stat().st_mtime_ns == before


def test_killed_imitation_goes_on_and_ends_the_same(data: Path, teacher: Bundle, tmp_path: Path) -> None:
    path = recipe_of(tmp_path / "fast.toml", teacher.folder, epochs=40)
    command = [sys.executable, "-m", "monitor.cli", "train", path, "--data", str(data)]
    environment = os.environ | {"BELLWETHER_DATA_DIR": str(tmp_path / "data")}

    def started(out: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*command, "--out", str(out)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    whole = started(tmp_path / "whole")
    assert whole.wait(timeout=240) == 0
    cut_off = started(tmp_path / "cut")
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("cut.run/*/imitation/checkpoint-*/complete")) and time.monotonic() < deadline:
        time.sleep(0.02)
    cut_off.send_signal(signal.SIGKILL)
    cut_off.wait()
    assert list(tmp_path.glob("cut.run/*/imitation/checkpoint-*")) and not list(tmp_path.glob("cut.run/*/student"))
    assert started(tmp_path / "cut").wait(timeout=240) == 0
    one, other = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "cut"))
    assert set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)


def test_heads_and_neurons_that_add_nothing_go_first(tmp_path: Path) -> None:
    folder = make_encoder(tmp_path / "encoder")
    encoder: Any = load_encoder(folder)
    layer = encoder.encoder.layer[1]
    with torch.no_grad():
        layer.attention.output.dense.weight[:, 8:16] = 0  # head 1 of 4
        layer.attention.output.dense.weight[:, 24:32] = 0  # head 3
        layer.output.dense.weight[:, 40:] = 0
    ids = torch.randint(4, 150, (8, 12))
    kept = chosen(encoder, SMALL, iter([(ids, torch.ones_like(ids))]))
    assert kept.layers == (1,) and kept.heads == ((0, 2),)
    assert max(kept.neurons[0]) < 40 and len(kept.neurons[0]) == 24
    assert torch.allclose(kept.axes.T @ kept.axes, torch.eye(16), atol=1e-5)
    assert 0.3 < kept.share <= 1
    weights = cut(dict(encoder.state_dict()), kept, 8)
    assert weights["embeddings.word_embeddings.weight"].shape[1] == 16
    assert weights["encoder.layer.0.attention.self.query.weight"].shape == (16, 16)
    assert weights["encoder.layer.0.output.dense.weight"].shape == (16, 24)


def test_imitation_saves_nothing_of_the_large_encoder(tmp_path: Path) -> None:
    large = load_encoder(make_encoder(tmp_path / "large"))
    narrow(tmp_path / "large", SMALL, ["profit of the bank", "loss"] * 20, tmp_path / "small")
    model = Imitation(load_encoder(tmp_path / "small"), large, (1,), torch.eye(32)[:, :16])
    assert {name.split(".")[0] for name in model.state_dict()} == {"small", "maps"}
    assert not any(value.requires_grad for value in large.parameters())


def test_plans_that_cannot_be_are_refused(tmp_path: Path) -> None:
    folder = make_encoder(tmp_path / "encoder")
    for change, line in (
        ({"layers": 3}, r"student\.layers: 3 is more than the 2"),
        ({"width": 40}, r"student\.width: 40 is more than the 32"),
        ({"neurons": 65}, r"student\.neurons: 65 is more than the 64"),
        ({"width": 12}, r"student\.width: 12 is no multiple of 8"),
    ):
        with pytest.raises(InputError, match=line):
            check_narrow(folder, SMALL.model_copy(update=change))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "modernbert"}))
    with pytest.raises(InputError, match="kind modernbert cannot be made smaller"):
        check_narrow(folder, SMALL)


def test_recipe_that_goes_on_and_makes_smaller_is_refused(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", make_encoder(tmp_path / "encoder"))
    path = Path(recipe_of(tmp_path / "fast.toml", bundle))
    path.write_text(path.read_text() + f'[continual]\nbundle = "{bundle}"\n')
    with pytest.raises(InputError, match="leave continual out"):
        read_recipe(str(path))


def test_bundle_that_is_not_there_is_told_at_once(data: Path, tmp_path: Path) -> None:
    recipe = read_recipe(recipe_of(tmp_path / "fast.toml", tmp_path / "none"))
    with pytest.raises(InputError, match=r"student\.bundle: no bundle is in"):
        run(recipe, data=data, out=tmp_path / "bundle", taxonomy=load_taxonomy())
