"""What an encoder is asked for must be there: weights to freeze, positions for every token."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from monitor.errors import InputError
from tests.unit.models import small_recipe
from training.recipe import Recipe, Tuning
from training.tuning import check, positions, tuned

SMALL: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


def encoder(kind: str, rows: int = 34, pad: int = 1) -> Any:
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.for_model(kind, **SMALL, max_position_embeddings=rows, pad_token_id=pad)
    return AutoModel.from_config(config).eval()


def recipe(**sections: dict[str, Any]) -> Recipe:
    return small_recipe(**{"encoder": {"name": "small", "max_tokens": 24}, "schedule": {"max_tokens": 24}, **sections})


@pytest.mark.parametrize(
    ("kind", "most"), [("bert", 34), ("roberta", 32), ("xlm-roberta", 32), ("mpnet", 32), ("electra", 34)]
)
def test_positions_are_as_many_as_the_encoder_takes(kind: str, most: int) -> None:
    model = encoder(kind)
    assert positions(model) == most
    with torch.inference_mode():
        model(input_ids=torch.full((1, most), 5))
        with pytest.raises((IndexError, RuntimeError)):
            model(input_ids=torch.full((1, most + 1), 5))


def test_encoder_without_a_table_of_positions_has_no_limit() -> None:
    from transformers import ModernBertConfig, ModernBertModel

    assert positions(ModernBertModel(ModernBertConfig(**SMALL, pad_token_id=0))) == 0


@pytest.mark.parametrize("method", ["prefix", "prompt"])
def test_virtual_tokens_must_fit_beside_the_padding_of_roberta(method: str) -> None:
    choice = Tuning(method=method, virtual_tokens=4)
    with pytest.raises(InputError, match="4 and texts of 29 tokens are over the 32 positions"):
        tuned(encoder("roberta"), choice, dropout=0.0, steps=9, length=29)
    network = tuned(encoder("roberta"), choice, dropout=0.0, steps=9, length=28).eval()
    ids = torch.full((1, 28), 5)
    with torch.inference_mode():
        network(input_ids=ids, attention_mask=torch.ones_like(ids))


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"schedule": {"max_tokens": 33}}, r"schedule\.max_tokens: 33 tokens are over the 32 positions"),
        ({"encoder": {"name": "e", "max_tokens": 40}}, r"encoder\.max_tokens: 40 tokens are over the 32 positions"),
        ({"pretrain": {"epochs": 1, "max_tokens": 48}}, r"pretrain\.max_tokens: 48 tokens are over the 32 positions"),
        (
            {"schedule": {"max_tokens": 24, "checkpointing": True}, "tuning": {"method": "prefix"}},
            r"schedule\.checkpointing: a prefix would not be read",
        ),
    ],
)
def test_recipe_that_the_encoder_cannot_follow_is_refused(sections: dict[str, Any], said: str) -> None:
    check(recipe(), encoder("roberta"))
    with pytest.raises(InputError, match=said):
        check(recipe(**sections), encoder("roberta"))


def test_weights_that_are_frozen_are_there() -> None:
    model = tuned(
        encoder("bert"), Tuning(method="full", freeze=["embeddings.word", "encoder.layer.0.att"]), dropout=0.0, steps=9
    )
    still = {name for name, value in model.named_parameters() if not value.requires_grad}
    assert "embeddings.word_embeddings.weight" in still
    assert "embeddings.position_embeddings.weight" not in still
    assert any(name.startswith("encoder.layer.0.attention") for name in still)
    for wrong, right in [
        ("embedings.word_embeddings", "embeddings.word_embeddings"),
        ("bert.encoder.layer.0", "encoder.layer.0"),
    ]:
        with pytest.raises(InputError, match=rf"no weight's name begins with {wrong}; did you mean {right}\?"):
            tuned(encoder("bert"), Tuning(method="full", freeze=["embeddings", wrong]), dropout=0.0, steps=9)


@pytest.mark.parametrize("method", ["lora", "adalora", "ia3", "prefix", "prompt", "heads"])
def test_nothing_is_frozen_beside_a_method_that_freezes_everything(method: str) -> None:
    choice = Tuning(method=method, freeze=["embeddings"])
    with pytest.raises(InputError, match=rf"tuning\.freeze: {method} leaves all of the encoder's own weights"):
        tuned(encoder("bert"), choice, dropout=0.0, steps=9)


@pytest.mark.parametrize(("kind", "names"), [("distilbert", ["k_lin", "v_lin"]), ("modernbert", ["Wqkv"])])
def test_scales_of_an_encoder_that_peft_does_not_know_are_named_in_the_recipe(kind: str, names: list[str]) -> None:
    model = encoder(kind)
    with pytest.raises(InputError, match=rf"ia3 does not fit {kind}.*name some of them in tuning\.adapt"):
        tuned(model, Tuning(method="ia3"), dropout=0.0, steps=9, length=24)
    network = tuned(model, Tuning(method="ia3", adapt=names), dropout=0.0, steps=9, length=24)
    learning = [name for name, value in network.named_parameters() if value.requires_grad]
    assert learning and all("ia3" in name for name in learning)
