"""The engine: what a text gets depends on the text alone, and no text can hurt it."""

from __future__ import annotations

import random
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.documents import LABELS
from monitor.errors import SettingsError
from monitor.settings import EngineSettings
from monitor.understand.bundle import SHIPPED, Bundle, load_bundle
from monitor.understand.engine import Engine, Scored, decide
from monitor.understand.manifest import read_manifest
from monitor.understand.runtimes.windows import MAX_WINDOWS
from tests.unit.models import TOPICS, WORDS, make_bundle, make_encoder

ODD = [
    "",
    "   \n\t ",
    "\ud800 lone \udfff surrogates",
    "\x00 nul",
    "🚀" * 300,
    "a" * 100_000,
    "profit " * 20_000,
    "&amp;" * 50_000,
    "https://t.co/x " * 5_000,
    "تراجعت أرباح البنك",
    "e" + "\u0301" * 5_000,
    "净利润同比增长",
]


@pytest.fixture(scope="module")
def shipped() -> Engine:
    return Engine(EngineSettings(device="cpu"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    root = tmp_path_factory.mktemp("tiny")
    return load_bundle(make_bundle(root / "bundle", make_encoder(root / "encoder")), device="cpu")


def sentences(count: int, *, seed: int, longest: int = 60) -> list[str]:
    """Texts of 1 to `longest` words, most of them short."""
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.choice([3, 8, 15, 25, longest]))) for _ in range(count)]


def alone(bundle: Bundle, texts: list[str]) -> list[bytes]:
    """The raw logits of each text, computed by itself."""
    found = [bundle.runtime.logits([text]) for text in texts]
    return [one.sentiment.tobytes() + one.topics.tobytes() for one in found]


def together(bundle: Bundle, texts: list[str]) -> list[bytes]:
    """The raw logits of each text, computed in one call."""
    logits = bundle.runtime.logits(texts)
    ends = [*logits.starts[1:], len(logits.sentiment)]
    return [
        logits.sentiment[begin:end].tobytes() + logits.topics[begin:end].tobytes()
        for begin, end in zip(logits.starts, ends, strict=True)
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(alphabet="profit loss bank0%. ", max_size=400), min_size=1, max_size=40), st.randoms())
def test_logits_are_the_same_bits_in_any_company(tiny: Bundle, texts: list[str], chance: random.Random) -> None:
    expected = dict(zip(texts, alone(tiny, texts), strict=True))
    chance.shuffle(texts)
    assert together(tiny, texts) == [expected[text] for text in texts]


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_shipped_logits_are_the_same_bits_at_every_batch_size(folder: Path) -> None:
    bundle = load_bundle(folder, device="cpu")
    texts = (
        sentences(150, seed=3)
        if folder.name == "en"
        else [f"沧澜电池{n}起火，股价下跌{n}%" * (n % 7 + 1) for n in range(150)]
    )
    whole = together(bundle, texts)
    for size in (1, 2, 37):
        some = texts[: 3 * size] if size < 10 else texts
        parts = [together(bundle, some[begin : begin + size]) for begin in range(0, len(some), size)]
        assert list(chain.from_iterable(parts)) == whole[: len(some)]
    order = list(range(len(texts)))
    random.Random(5).shuffle(order)
    assert together(bundle, [texts[place] for place in order]) == [whole[place] for place in order]


def test_scores_and_decisions_are_equal_at_every_batch_size(shipped: Engine) -> None:
    texts = sentences(100, seed=4) + ["沧澜电池起火，股价跌停，交易所问询", "净利润同比增长35%"] * 10
    langs = ["en"] * 100 + ["zh"] * 20
    whole = shipped.score(texts, langs)
    for size in (7, 37):
        parts = [
            shipped.score(texts[begin : begin + size], langs[begin : begin + size])
            for begin in range(0, len(texts), size)
        ]
        assert list(chain.from_iterable(parts)) == whole


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_odd_texts_get_scores_like_any_other(shipped: Engine, lang: str) -> None:
    for scored in shipped.score(ODD, [lang] * len(ODD)):
        assert scored is not None
        three = (scored.sentiment.negative, scored.sentiment.neutral, scored.sentiment.positive)
        assert sum(three) == pytest.approx(1, abs=2e-4)
        assert all(0 <= value <= 1 for value in three)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(), max_size=200), max_size=5))
def test_no_text_makes_the_engine_raise(shipped: Engine, texts: list[str]) -> None:
    for lang in ("en", "zh"):
        assert len(shipped.score(texts, [lang] * len(texts))) == len(texts)


def test_language_without_a_model_is_never_guessed(shipped: Engine) -> None:
    scored = shipped.score(["Gewinn", "profit up", "Gewinn"], ["de", "en", "und"])
    assert [one is None for one in scored] == [True, False, True]
    assert shipped.languages == {"en", "zh"}
    assert set(shipped.models) == shipped.languages


def test_plain_news_gets_the_sentiment_any_reader_would_give(shipped: Engine) -> None:
    expected = {
        ("Shares of Halvern Bank plunge after profit warning and fraud probe", "en"): "negative",
        ("Orlane Foods raises its outlook after record quarterly profit, shares surge", "en"): "positive",
        ("沧澜电池起火，股价跌停，交易所问询", "zh"): "negative",
        ("净利润同比增长35%", "zh"): "positive",
        ("今天又跌停了，套死在里面，骗子公司", "zh"): "negative",
    }
    scored = shipped.score([text for text, _ in expected], [lang for _, lang in expected])
    assert [one.sentiment.label for one in scored if one] == list(expected.values())


def test_plain_news_gets_its_topic(shipped: Engine) -> None:
    texts = [
        "The Federal Reserve raises interest rates by 75 basis points",
        "Board declares a quarterly dividend of $0.25",
    ]
    scored = shipped.score(texts, ["en", "en"])
    assert [one.topics[0].id for one in scored if one] == ["central_banks", "dividend"]


def test_end_of_a_long_text_counts(tiny: Bundle) -> None:
    start = "profit " * 40
    one, other = tiny.probabilities([start + "fraud " * 40, start + "dividend " * 40])[0]
    assert abs(one - other).max() > 1e-3


def test_windows_of_a_long_text_are_bounded_and_weigh_one(tiny: Bundle) -> None:
    logits = tiny.runtime.logits(["loss", " ".join(f"profit n{n}" for n in range(2_500)), "deal"])
    assert logits.starts.tolist() == [0, 1, 1 + MAX_WINDOWS]
    assert logits.weights[1:-1].sum() == pytest.approx(1)


def test_no_texts_give_no_scores(shipped: Engine, tiny: Bundle) -> None:
    assert shipped.score([], []) == []
    assert tiny.probabilities([])[0].shape == (0, 3)
    assert load_bundle(SHIPPED[1]).probabilities([])[0].shape == (0, 3)


def test_runtime_computes_the_encoder_plus_alpha_over_rank_times_b_times_a(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from monitor.understand.encoders import load_encoder, load_tokenizer

    folder = make_encoder(tmp_path / "encoder")
    bundle = load_bundle(make_bundle(tmp_path / "bundle", folder), device="cpu")
    encoder, tensors = load_encoder(folder), load_file(bundle.folder / "weights.safetensors")
    name = "encoder.layer.0.attention.self.query"
    a, b = tensors[f"encoder.{name}.lora_a"].float(), tensors[f"encoder.{name}.lora_b"].float()
    ids = torch.tensor([load_tokenizer(folder).encode("profit of the bank rises").ids])
    with torch.inference_mode():
        encoder.get_submodule(name).weight += 2.0 * b @ a
        pooled = encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.mean(1)
        expected = pooled @ tensors["sentiment.weight"].float().T + tensors["sentiment.bias"].float()
    found = bundle.runtime.logits(["profit of the bank rises"]).sentiment
    assert np.allclose(found, expected.numpy(), atol=1e-4)


def test_decisions_are_made_on_rounded_values_in_a_fixed_order(tmp_path: Path) -> None:
    manifest = read_manifest(make_bundle(tmp_path / "bundle", make_encoder(tmp_path / "encoder")))
    sentiment = np.array([[0.39996, 0.40001, 0.20003], [0.5, 0.2, 0.3]])
    topics = np.array([[0.49996, 0.7, 0.7], [0.49994, 0.1, 0.2]])
    first, second = decide(manifest, sentiment, topics)
    assert first.sentiment.label == "neutral"
    assert [(topic.id, topic.probability) for topic in first.topics] == [
        ("earnings", 0.7),
        ("macro", 0.7),
        ("dividend", 0.5),
    ]
    assert second == Scored("tiny@1.2.3", second.sentiment, ())
    assert second.sentiment.label == LABELS[0]


def test_topic_outside_the_taxonomy_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "bundle", make_encoder(tmp_path / "encoder"))
    taxonomy = tmp_path / "topics.toml"
    taxonomy.write_text("\n".join(f'[{topic}]\nen = "{topic}"\nzh = "{topic}"' for topic in TOPICS[1:]))
    with pytest.raises(SettingsError, match="dividend"):
        Engine(EngineSettings(bundles=[folder], topics=taxonomy))


def test_gpu_that_is_not_there_is_a_clear_line() -> None:
    with pytest.raises(SettingsError, match=r"engine\.device is cuda:99"):
        Engine(EngineSettings(device="cuda:99"))
