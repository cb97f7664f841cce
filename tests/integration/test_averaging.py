"""A bundle of the mean weights of others: it is their mean, also over two vocabularies, and says what it is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monitor.errors import InputError
from monitor.understand.encoders import load_encoder, load_tokenizer
from monitor.understand.manifest import read_manifest
from tests.integration.test_tuning_methods import assert_learned, taught
from tests.unit.models import make_encoder
from training.averaging import averaged, check_averaged
from training.data.taught import read_taught
from training.recipe import read_recipe

FULL: dict[str, Any] = {"tuning__method": "full", "schedule__rate": 2e-3}


@pytest.fixture(scope="module")
def members(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("members")
    one = taught(data, root / "one", **FULL, name="one")
    other = taught(data, root / "other", **FULL, name="other", augment__typos=0.4, schedule__layer_decay=0.8)
    return [str(one.folder), str(other.folder)]


def test_mean_is_one_network_that_says_of_what_it_is_made(data: Path, members: list[str], tmp_path: Path) -> None:
    bundle = taught(data, tmp_path, **FULL, average__bundles=json.dumps(members))
    assert_learned(bundle)
    assert bundle.manifest.encoder is not None and bundle.manifest.encoder.form == "delta"
    names = ("encoder.encoder.layer.1.output.dense.weight", "sentiment.weight")
    weights = [_weights(Path(folder)) for folder in (*members, str(bundle.folder))]
    for name in names:
        mean = (weights[0][name] + weights[1][name]) / 2
        assert np.abs(weights[0][name] - weights[1][name]).max() > 1e-3
        assert weights[2][name] == pytest.approx(mean, abs=2e-3)
    lineage = json.loads((bundle.folder / "lineage.json").read_text())
    assert [one["model"] for one in lineage["teachers"]] == ["one@0.0.1", "other@0.0.1"]
    assert lineage["taught_of"] == ["one@0.0.1", "other@0.0.1"]
    card = (bundle.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "- the mean of the weights of 2 bundles, each taught by a recipe of its own" in card
    assert "- weights of other@0.0.1, SHA-256 of its bundle.json" in card
    assert "epochs" not in card.partition("## What it learned")[0]
    known = [read_taught(folder) for folder in (bundle.folder, Path(members[0]))]
    assert known[0] is not None and known[1] is not None
    assert np.isin(known[1], known[0]).all()


def _weights(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return {name: value.astype(np.float32) for name, value in load_file(folder / "weights.safetensors").items()}


def test_each_piece_gets_the_mean_of_its_own_embeddings(data: Path, members: list[str], tmp_path: Path) -> None:
    """The base has its vocabulary in another order, and a piece that no bundle has."""
    base = make_encoder(tmp_path / "base", seed=5)
    tree = json.loads((base / "tokenizer.json").read_text())
    ids = tree["model"]["vocab"]
    ids["bank"], ids["oil"] = ids["oil"], ids["bank"]
    ids["unheard"] = ids.pop("fraud")
    (base / "tokenizer.json").write_text(json.dumps(tree))
    recipe = _recipe(data, tmp_path, members)
    topics = read_manifest(Path(members[0])).topics
    network = averaged(recipe, base, topics)
    words = network.encoder.get_input_embeddings().weight  # type: ignore[operator]
    each = [averaged(_recipe(data, tmp_path, [folder, folder]), data / "encoder", topics) for folder in members]
    own = [one.encoder.get_input_embeddings().weight for one in each]  # type: ignore[operator]
    known = load_tokenizer(data / "encoder").get_vocab()
    here = load_tokenizer(base).get_vocab()
    for piece in ("bank", "oil", "profit"):
        mean = sum(each[known[piece]].float() for each in own) / 2
        assert torch.allclose(words[here[piece]], mean, atol=2e-3), piece
    start = load_encoder(base).get_input_embeddings().weight  # type: ignore[operator]
    assert torch.equal(words[here["unheard"]], start[here["unheard"]])


def _recipe(data: Path, folder: Path, bundles: list[str], **more: str) -> Any:
    path = folder / "mean.toml"
    path.write_text(
        'name = "mean"\nversion = "0.0.1"\nkind = "encoder"\nlanguages = ["en"]\n'
        f'[encoder]\nname = "{data / "encoder"}"\n[tuning]\nmethod = "full"\n'
        f"[average]\nbundles = {json.dumps(bundles)}\n"
        '[[train]]\nfile = "train.jsonl"\norigin = "x"\nlicence = "x"\n'
    )
    return read_recipe(str(path), more)


def test_what_has_no_mean_is_refused_before_any_work(data: Path, members: list[str], tmp_path: Path) -> None:
    for settings, said in (
        ({"tuning.method": "lora"}, "use tuning.method = full"),
        ({"ensemble.members": "2"}, "nothing is taught"),
        ({"average.bundles": json.dumps(members[:1])}, "the mean of one bundle is that bundle"),
    ):
        with pytest.raises(InputError, match=said):
            _recipe(data, tmp_path, members, **settings)
    topics = read_manifest(Path(members[0])).topics
    check_averaged(_recipe(data, tmp_path, members), topics)
    with pytest.raises(InputError, match="does not know the topics ipo"):
        check_averaged(_recipe(data, tmp_path, members), [*topics, "ipo"])
    with pytest.raises(InputError, match="was not taught sentiment toward"):
        check_averaged(_recipe(data, tmp_path, members, toward="true"), topics)
    with pytest.raises(InputError, match="was not taught from the encoder of this recipe"):
        check_averaged(_recipe(data, tmp_path, members, **{"encoder.name": "another"}), topics)
