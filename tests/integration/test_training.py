"""Whole training runs on small made data: what comes out is a bundle the service can use."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from monitor.errors import InputError
from monitor.settings import EngineSettings
from monitor.understand.bundle import load_bundle
from monitor.understand.engine import Engine
from monitor.understand.lineup import check
from monitor.understand.topics import load_taxonomy
from tests.unit.models import make_encoder
from training.commands import train
from training.evaluation.command import evaluate
from training.recipe import read_recipe
from training.run import run

BAD, GOOD, PLAIN = ["loss", "fraud", "falls"], ["profit", "record", "rises"], ["market", "shares", "quarter"]
ABOUT = {"energy": "oil", "corporate_debt": "bond"}


def write_labels(path: Path, *, count: int, seed: int) -> Path:
    """Texts whose sentiment hangs on one word and whose topic on another."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        sentiment, words = chance.choice([("negative", BAD), ("positive", GOOD), ("neutral", PLAIN)])
        topic, word = chance.choice(list(ABOUT.items()))
        text = " ".join(chance.sample([*chance.choices(words, k=3), word, "the", f"n{seed}x{number}"], 6))
        rows.append({"text": text, "lang": "en", "sentiment": sentiment, "topics": [topic]})
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def write_recipe(folder: Path, body: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(
        'name = "small"\nversion = "0.0.1"\nlanguages = ["en"]\nsummary = "Small."\nprobes = false\n'
        'limits = ["Knows 9 words."]\n'
        + body
        + '\n[[train]]\nfile = "train.jsonl"\norigin = "made by the test"\nlicence = "none"\n'
        + '[[test]]\nfile = "test.jsonl"\norigin = "made by the test"\nlicence = "none"\n',
        encoding="utf-8",
    )
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_labels(tmp_path / "train.jsonl", count=600, seed=1)
    write_labels(tmp_path / "test.jsonl", count=100, seed=2)
    return tmp_path


def test_linear_run_makes_a_bundle_that_learned(data: Path) -> None:
    recipe = write_recipe(data, 'kind = "ngrams"\n[linear]\nbuckets = 4096\nheld_out = 0.2\n')
    out = data / "bundle"
    done = CliRunner().invoke(train, [str(recipe), "--data", str(data), "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "small@0.0.1" in done.output
    manifest = check(EngineSettings(bundles=[out]))[0]
    assert manifest.metrics["test.jsonl"]["sentiment_accuracy"] > 0.95
    assert manifest.metrics["test.jsonl"]["topics_accuracy"] > 0.95
    scored = Engine(EngineSettings(bundles=[out])).score(["the bond loss fraud"], ["en"])[0]
    assert scored is not None
    assert scored.sentiment.label == "negative"
    assert scored.topics[0].id == "corporate_debt"
    card = (out / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Knows 9 words." in card
    assert f"{manifest.metrics['test.jsonl']['sentiment_accuracy']:.4f}" in card

    measured = CliRunner().invoke(evaluate, [str(out), str(data / "test.jsonl"), "--json"], catch_exceptions=False)
    report = json.loads(measured.stdout)["files"][str(data / "test.jsonl")]
    assert report["sentiment"]["accuracy"] == pytest.approx(
        manifest.metrics["test.jsonl"]["sentiment_accuracy"], abs=1e-4
    )


def test_fine_tuning_run_makes_a_bundle_that_learned(data: Path) -> None:
    make_encoder(data / "encoder")
    plan = (
        f'kind = "encoder"\n[encoder]\nname = "{data / "encoder"}"\nmax_tokens = 64\n'
        "[schedule]\nepochs = 8\nbatch = 16\nrate = 1e-2\nhead_rate = 1e-2\nheld_out = 0.2\n"
        'precision = "fp32"\n[tuning]\nrank = 8\nalpha = 16\nadapt = ["query", "value", "dense", "word_embeddings"]\n'
    )
    recipe = read_recipe(str(write_recipe(data, plan)))
    out = data / "bundle"
    bundle = run(recipe, data=data, out=out, taxonomy=load_taxonomy())
    assert bundle.manifest.metrics["test.jsonl"]["sentiment_accuracy"] > 0.85
    assert bundle.manifest.metrics["test.jsonl"]["topics_accuracy"] > 0.85
    # What was merged by hand at loading is what PEFT trained: a second load says the same to the last bit.
    texts = ["the oil profit record", "bond fraud"]
    again = load_bundle(out, device="cpu")
    assert np.array_equal(again.probabilities(texts)[0], bundle.probabilities(texts)[0])
    assert any("word_embeddings.lora_a" in name for name in tensor_names(out / "weights.safetensors"))
    assert not (data / "bundle.run").exists()


def test_file_in_the_place_of_the_record_is_told_before_anything_is_taught(data: Path) -> None:
    recipe = read_recipe(str(write_recipe(data, 'kind = "ngrams"\n')))
    (data / "bundle.log").write_text("what a shell wrote here", encoding="utf-8")
    with pytest.raises(InputError, match=r"bundle\.log: TensorBoard's record goes into a folder of this name"):
        run(recipe, data=data, out=data / "bundle", taxonomy=load_taxonomy())
    assert not (data / "bundle").exists()


def test_linear_heads_beside_an_encoder_know_what_it_does_not(data: Path) -> None:
    """An encoder that hardly learns: what the bundle knows, it knows from the heads over n-grams."""
    make_encoder(data / "encoder")
    plan = (
        f'kind = "encoder"\nwide = true\n[encoder]\nname = "{data / "encoder"}"\nmax_tokens = 64\n'
        "[schedule]\nepochs = 1\nbatch = 64\nrate = 1e-6\nhead_rate = 1e-6\nheld_out = 0.2\n"
        '[tuning]\nmethod = "full"\n[storage]\nbits = 8\n[linear]\nbuckets = 4096\n'
    )
    out = data / "bundle"
    recipe = read_recipe(str(write_recipe(data, plan)))
    bundle = run(recipe, data=data, out=out, taxonomy=load_taxonomy())
    wide = bundle.manifest.wide
    assert wide is not None and wide.sentiment > 1.0 and wide.topics > 0.1
    assert bundle.manifest.metrics["test.jsonl"]["sentiment_accuracy"] > 0.95
    assert bundle.manifest.metrics["test.jsonl"]["topics_accuracy"] > 0.95
    assert "beside the encoder's; their logits count" in (out / "MODEL_CARD.md").read_text(encoding="utf-8")
    scored = Engine(EngineSettings(bundles=[out])).score(["the bond loss fraud"], ["en"])[0]
    assert scored is not None and scored.sentiment.label == "negative"
    assert scored.sentiment.negative == round(float(bundle.probabilities(["the bond loss fraud"])[0][0, 0]), 4)


def test_linear_heads_leave_to_the_encoder_what_no_text_tells_apart(tmp_path: Path) -> None:
    """Topics that every text has, and no sentiment at all: nothing for linear heads to learn, and no reason to fail."""
    rows = [{"text": f"oil n{number} bank", "lang": "en", "topics": ["energy"]} for number in range(40)]
    more = [{"text": f"bond n{number} deal", "lang": "en", "topics": ["corporate_debt"]} for number in range(40)]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows + more)), encoding="utf-8")
    (tmp_path / "other.jsonl").write_text(
        "\n".join(json.dumps({**row, "text": row["text"] + " x", "topics": ["macro"]}) for row in rows),
        encoding="utf-8",
    )
    recipe = write_recipe(
        tmp_path,
        'kind = "encoder"\nwide = true\n[linear]\nbuckets = 1024\n'
        f'[encoder]\nname = "{make_encoder(tmp_path / "encoder")}"\nmax_tokens = 64\n[schedule]\nepochs = 1\n'
        '[[train]]\nfile = "other.jsonl"\norigin = "made"\nlicence = "none"\nexhaustive = false\n',
    )
    bundle = run(read_recipe(str(recipe)), data=tmp_path, out=tmp_path / "out", taxonomy=load_taxonomy())
    wide = bundle.manifest.wide
    assert wide is not None and wide.sentiment == 0.0 and wide.topics > 0.0


def tensor_names(path: Path) -> list[str]:
    from safetensors import safe_open

    with safe_open(path, "numpy") as tensors:
        return list(tensors.keys())


def test_merged_adapters_give_what_peft_gives(tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from monitor.understand.encoders import load_encoder
    from monitor.understand.network import Network, merge_adapters
    from training.tuning import adapters_of

    folder = make_encoder(tmp_path / "encoder")
    torch.manual_seed(3)
    targets = ["query", "dense", "word_embeddings"]
    config = LoraConfig(r=4, lora_alpha=12, target_modules=targets, init_lora_weights=False)
    trained = Network(get_peft_model(load_encoder(folder), config), pooling="mean", topics=2).eval()
    ids = torch.randint(4, 60, (3, 10))
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        expected = trained.pooled(ids, mask)
    tensors = adapters_of(trained)
    plain = Network(load_encoder(folder), pooling="mean", topics=2).eval()
    adapters = {name.removeprefix("encoder."): value for name, value in tensors.items() if "lora" in name}
    merge_adapters(plain.encoder, adapters, scale=3.0)
    with torch.inference_mode():
        assert torch.allclose(plain.pooled(ids, mask), expected, atol=1e-3)


def test_run_without_its_files_says_which(data: Path) -> None:
    (data / "train.jsonl").unlink()
    recipe = read_recipe(str(write_recipe(data, 'kind = "ngrams"\n')))
    with pytest.raises(InputError, match=r"lacks train\.jsonl"):
        run(recipe, data=data, out=data / "bundle", taxonomy=load_taxonomy())


def test_tested_text_must_not_be_taught(data: Path) -> None:
    shutil.copy(data / "train.jsonl", data / "test.jsonl")
    recipe = read_recipe(str(write_recipe(data, 'kind = "ngrams"\n')))
    with pytest.raises(InputError, match="flatter"):
        run(recipe, data=data, out=data / "bundle", taxonomy=load_taxonomy())
    assert not (data / "bundle").exists()


def test_setting_without_a_value_is_refused(data: Path) -> None:
    recipe = write_recipe(data, 'kind = "ngrams"\n')
    done = CliRunner().invoke(train, [str(recipe), "--data", str(data), "--out", str(data / "b"), "--set", "version"])
    assert isinstance(done.exception, InputError)
    assert "KEY=VALUE" in str(done.exception)
