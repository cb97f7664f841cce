"""Runs that do not begin at a plain encoder or do not end with one network: pre-training, continual training, soups."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from monitor.errors import InputError
from monitor.understand.bundle import load_bundle
from monitor.understand.encoders import digests
from monitor.understand.topics import load_taxonomy
from tests.integration.test_tuning_methods import assert_learned, taught
from training.masking import IGNORED, Masked, mask_of
from training.recipe import read_recipe
from training.run import run


def test_pretrained_encoder_is_stored_as_the_difference_upon_the_public_one(data: Path, tmp_path: Path) -> None:
    bundle = taught(
        data,
        tmp_path,
        tuning__method="heads",
        schedule__epochs=9,
        pretrain__epochs=2,
        pretrain__rate=5e-4,
        pretrain__max_tokens=32,
    )
    assert_learned(bundle)
    described = bundle.manifest.encoder
    assert described is not None
    assert described.form == "delta"
    assert dict(described.sha256) == digests(data / "encoder")
    tensors = load_file(bundle.folder / "weights.safetensors")
    moved = tensors["encoder.encoder.layer.0.attention.self.query.weight"]
    assert np.abs(moved.astype(np.float32)).mean() > 1e-4
    assert list((tmp_path / "bundle.log").rglob("pretraining"))


def test_whole_words_are_hidden_the_same_way_however_often_one_looks(data: Path) -> None:
    from monitor.understand.encoders import load_tokenizer

    tokenizer = load_tokenizer(data / "encoder")
    # "unheard" is seven pieces of one word; the rest are whole words.
    text = "unheard profit loss bank rises falls shares oil deal fraud"
    rows = Masked([text] * 200, tokenizer, 64, mask_of(tokenizer, data / "encoder"), 0.2, seed=3)
    pieces = tokenizer.encode(text).word_ids
    word = [place for place, number in enumerate(pieces) if number == 0]
    assert len(word) > 3
    shares, fates = [], set()
    for index in range(200):
        labels = rows[index]["labels"]
        hidden = labels != IGNORED
        assert hidden[word].all() or not hidden[word].any()
        assert not hidden[0]
        assert not hidden[-1]
        shares.append(len({pieces[place] for place in np.flatnonzero(hidden)}) / 10)
        fates.add(bool(hidden[word].all()))
    assert np.mean(shares) == pytest.approx(0.2, abs=0.01)
    assert fates == {True, False}
    assert np.array_equal(rows[5]["input_ids"], rows[5]["input_ids"])
    first = rows[5]["labels"]
    rows.epoch = 1
    assert any(not np.array_equal(rows[index]["labels"], first) for index in range(5, 8))


def test_going_on_learns_the_new_and_tells_what_was_forgotten(data: Path, tmp_path: Path) -> None:
    first = taught(data, tmp_path / "first", schedule__epochs=5)
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    rows = []
    for number in range(120):
        label = ("negative", "neutral")[number % 2]
        word = ("deal", "a")[number % 2]
        text = f"{word} {word} the n{number} of {'oil' if number % 3 else 'bond'} in"
        rows.append({"text": text, "lang": "en", "sentiment": label, "topics": ["ipo"] if number % 2 else []})
    (folder / "new.jsonl").write_text("\n".join(map(json.dumps, rows[:100])), encoding="utf-8")
    (folder / "new.test.jsonl").write_text("\n".join(map(json.dumps, rows[100:])), encoding="utf-8")
    path = tmp_path / "more.toml"
    path.write_text(
        'name = "small"\nversion = "0.0.2"\nkind = "encoder"\nlanguages = ["en"]\n'
        f'[continual]\nbundle = "{first.folder}"\nreplay = 0.5\n'
        "[schedule]\nepochs = 4\nbatch = 16\nrate = 4e-3\nhead_rate = 2e-2\nheld_out = 0.15\nmax_tokens = 48\n"
        'precision = "fp32"\nthreads = 1\n'
        '[[train]]\nfile = "train.jsonl"\norigin = "made"\nlicence = "none"\nold = true\n'
        '[[train]]\nfile = "new.jsonl"\norigin = "made"\nlicence = "none"\nexhaustive = false\n'
        '[[test]]\nfile = "test.jsonl"\norigin = "made"\nlicence = "none"\n'
        '[[test]]\nfile = "new.test.jsonl"\norigin = "made"\nlicence = "none"\n',
        encoding="utf-8",
    )
    bundle = run(read_recipe(str(path)), data=folder, out=tmp_path / "second", taxonomy=load_taxonomy())
    assert bundle.manifest.metrics["new.test.jsonl"]["sentiment_accuracy"] > 0.8
    assert_learned(bundle)
    assert set(bundle.manifest.topics) == {"corporate_debt", "energy", "ipo"}
    # Adapters of the first run are in the difference upon the same public encoder.
    assert bundle.manifest.encoder is not None
    assert bundle.manifest.encoder.form == "delta"
    assert dict(bundle.manifest.encoder.sha256) == digests(data / "encoder")
    card = (bundle.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "## What it forgot" in card
    assert "| sentiment: negative |" in card
    assert "| topics: ipo |" in card
    assert card.index("## What it forgot") < card.index("## How good it is")
    load_bundle(bundle.folder, device="cpu")


def test_everything_old_is_nothing_new(data: Path, tmp_path: Path) -> None:
    first = taught(data, tmp_path / "first", schedule__epochs=1, tuning__method="heads")
    path = first.folder.parent / "recipe.toml"
    text = path.read_text(encoding="utf-8").replace('file = "train.jsonl"', 'file = "train.jsonl"\nold = true')
    path.write_text(text, encoding="utf-8")
    recipe = read_recipe(str(path), {"continual.bundle": str(first.folder)})
    with pytest.raises(InputError, match="every training file is marked old"):
        run(recipe, data=data, out=tmp_path / "second", taxonomy=load_taxonomy())


@pytest.mark.parametrize("method", ["lora", "full"])
def test_mean_weights_are_one_network_as_good_as_its_members(data: Path, tmp_path: Path, method: str) -> None:
    settings: dict[str, object] = {"tuning__method": method, "ensemble__members": 2, "tuning__rank": 4}
    bundle = taught(data, tmp_path, schedule__epochs=5, schedule__rate=2e-3, **settings)
    assert_learned(bundle)
    members = [load_bundle(tmp_path / "bundle.members" / str(number), device="cpu") for number in (1, 2)]
    for member in members:
        assert_learned(member)
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "| average of answers |" in card
    assert "| mean of weights |" in card
    assert members[0].manifest.topics == bundle.manifest.topics
    texts = ["the oil profit record", "bond fraud"]
    assert not np.allclose(members[0].probabilities(texts)[0], members[1].probabilities(texts)[0], atol=1e-6)


def test_mean_of_adapters_is_the_mean_of_the_matrices_they_make() -> None:
    from monitor.understand.manifest import Encoder
    from training.ensemble import Member, mean

    random = np.random.default_rng(2)
    encoder = Encoder("e", None, {}, "mean", 64, rank=2, alpha=6.0)
    parts = [
        {"encoder.m.lora_a": random.normal(size=(2, 5)), "encoder.m.lora_b": random.normal(size=(7, 2))}
        for _ in range(3)
    ]
    members = [Member(n, part, encoder, 0.0) for n, part in enumerate(parts)]
    tensors, described = mean(members)
    expected = 3.0 * np.mean([part["encoder.m.lora_b"] @ part["encoder.m.lora_a"] for part in parts], axis=0)
    found = described.alpha / described.rank * tensors["encoder.m.lora_b"] @ tensors["encoder.m.lora_a"]
    assert np.allclose(found, expected)
