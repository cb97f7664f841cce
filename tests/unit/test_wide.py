"""Linear heads beside an encoder's: their logits are added by their shares, wherever a bundle is asked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from monitor.errors import BundleError
from monitor.understand.bundle import load_bundle
from monitor.understand.explain import Explainer
from monitor.understand.manifest import Ngrams, read_manifest
from monitor.understand.runtimes.encoder import EncoderRuntime
from monitor.understand.runtimes.ngrams import MAX_CHARS, Hasher, weighted
from monitor.understand.runtimes.wide import WideRuntime, read_heads, with_blank_topic
from monitor.understand.topics import load_taxonomy
from tests.unit.models import TOPICS, make_bundle, make_encoder, make_wide_bundle
from training.data.examples import Example
from training.fewshot import add_topic
from training.widening import SHARES, weighed

TEXTS = ["bank profit falls", "[this company] rises", "", " ".join(f"oil n{n} fraud" for n in range(40))]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Path:
    return make_wide_bundle(tmp_path_factory.mktemp("wide"), encoder, toward=True)


def test_logits_are_the_encoders_and_shares_of_the_linear_heads(folder: Path, encoder: Path, tmp_path: Path) -> None:
    both = load_bundle(folder, device="cpu").runtime.logits(TEXTS)
    deep = load_bundle(make_bundle(tmp_path / "deep", encoder), device="cpu").runtime.logits(TEXTS)
    heads = read_heads(folder, read_manifest(folder)).logits(TEXTS)
    assert np.array_equal(both.starts, deep.starts) and len(both.sentiment) > len(TEXTS)
    for text, (start, share) in enumerate(zip(both.starts, (0.5, 2.0, 0.5, 0.5), strict=True)):
        end = both.starts[text + 1] if text + 1 < len(TEXTS) else len(both.sentiment)
        for window in range(start, end):
            assert both.sentiment[window] - deep.sentiment[window] == pytest.approx(
                share * heads.sentiment[text], abs=1e-5
            )
            assert both.topics[window] - deep.topics[window] == pytest.approx(0.25 * heads.topics[text], abs=1e-5)


def test_marker_is_a_word_like_any_other_where_it_was_not_taught(encoder: Path, tmp_path: Path) -> None:
    runtime = load_bundle(make_wide_bundle(tmp_path / "wide", encoder), device="cpu").runtime
    deep = load_bundle(make_bundle(tmp_path / "deep", encoder), device="cpu").runtime.logits(TEXTS[1:2])
    assert isinstance(runtime, WideRuntime)
    heads = runtime.heads.logits(TEXTS[1:2])
    assert runtime.logits(TEXTS[1:2]).sentiment - deep.sentiment == pytest.approx(0.5 * heads.sentiment, abs=1e-5)


def test_tokens_are_counted_as_the_encoder_reads_them(folder: Path) -> None:
    runtime = load_bundle(folder, device="cpu").runtime
    assert isinstance(runtime, WideRuntime)
    assert runtime.tokens(TEXTS) == runtime.deep.tokens(TEXTS) > 40


def test_a_text_gets_the_same_whatever_stands_beside_it(folder: Path) -> None:
    bundle = load_bundle(folder, device="cpu")
    together, topics = bundle.probabilities(TEXTS)
    for place, text in enumerate(TEXTS):
        alone = bundle.probabilities([text])
        assert np.array_equal(alone[0][0], together[place]) and np.array_equal(alone[1][0], topics[place])
    assert bundle.probabilities([])[0].shape == (0, 3)


@pytest.mark.parametrize(
    "text", ["bank profit falls, 35% of shares", "Ｂank ２０２４ ﬁne", " ".join(f"oil n{n}" for n in range(40)), "x"]
)
@pytest.mark.parametrize("topic", [None, "macro"])
def test_explained_shares_add_up_and_name_the_engines_probability(folder: Path, text: str, topic: str | None) -> None:
    found = Explainer(folder).explain(text, topic=topic)
    sentiment, topics = load_bundle(folder, device="cpu").probabilities([text])
    said = topics[0, TOPICS.index("macro")] if topic else sentiment[0].max()
    assert found.probability == pytest.approx(said, abs=2e-4)
    assert abs(found.gap) <= 0.03 * max(1.0, abs(found.value - found.baseline))
    assert found.method == "integrated gradients, n-grams exact"


def test_explanation_says_where_it_leaves_the_ngrams_out(folder: Path) -> None:
    found = Explainer(folder).explain("Cafe\u0301 Group falls")
    assert found.method == "integrated gradients, n-grams not shown"
    assert abs(found.gap) <= 0.03 * max(1.0, abs(found.value - found.baseline))


@pytest.mark.parametrize("shares", [(-0.1, 0, 0), (0, float("inf"), 0)])
def test_a_share_that_cannot_be_is_refused(tmp_path: Path, encoder: Path, shares: tuple[float, float, float]) -> None:
    make_wide_bundle(tmp_path, encoder, shares=shares)
    with pytest.raises(BundleError, match=r"a share is negative or no number"):
        read_manifest(tmp_path)


def test_linear_heads_need_an_encoder_to_stand_beside(tmp_path: Path, encoder: Path) -> None:
    make_wide_bundle(tmp_path, encoder)
    manifest = json.loads((tmp_path / "bundle.json").read_text(encoding="utf-8"))
    manifest |= {"kind": "ngrams", "ngrams": manifest["wide"]["ngrams"], "encoder": None}
    (tmp_path / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(BundleError, match="no encoder to stand beside"):
        read_manifest(tmp_path)


def test_lost_linear_heads_are_noticed(tmp_path: Path, encoder: Path, folder: Path) -> None:
    wide = {"ngrams": {"low": 1, "high": 3, "buckets": 512}, "sentiment": 1.0, "topics": 1.0, "toward": 1.0}
    with pytest.raises(BundleError, match="does not fit"):
        load_bundle(make_bundle(tmp_path, encoder, wide=wide), device="cpu")


def test_shares_are_those_that_make_held_out_labels_likeliest(folder: Path) -> None:
    """Labels that the linear heads alone decided: a large share. Labels of the encoder alone: none."""
    bundle = load_bundle(folder, device="cpu")
    assert isinstance(bundle.runtime, WideRuntime)
    chance = np.random.default_rng(4)
    words = ["profit", "loss", "bank", "rises", "falls", "oil", "deal", "fraud", "record"]
    texts = list(dict.fromkeys(" ".join(chance.choice(words, 4)) for _ in range(400)))
    for part, told in ((bundle.runtime.heads, True), (bundle.runtime.deep, False)):
        said = part.logits(texts)
        labels = [("negative", "neutral", "positive")[row] for row in said.sentiment.argmax(1)]
        topics = [tuple(t for t, yes in zip(TOPICS, row > 0, strict=True) if yes) for row in said.topics]
        held = [Example(t, "en", sentiment=s, topics=p) for t, s, p in zip(texts, labels, topics, strict=True)]  # type: ignore[arg-type]
        wide = weighed(bundle, held).manifest.wide
        assert wide is not None
        assert (wide.sentiment > 2.0) == told and (wide.topics > 2.0) == told, wide
        assert wide.sentiment in SHARES
        assert wide.toward == 0.0, "no marked text was held out"


def test_topic_added_by_examples_is_told_by_the_encoder_alone(tmp_path: Path, folder: Path) -> None:
    rows = [Example(f"dividend {word} record", "en") for word in ("bank", "oil", "deal", "market", "shares", "a")]
    others = [f"{one} {two} falls" for one in ("loss", "fraud", "bond", "the", "quarter") for two in "abcdefgh"]
    source = tmp_path / "examples.jsonl"
    source.write_text("", encoding="utf-8")
    bundle, _ = add_topic(
        folder, tmp_path / "out", "ipo", rows, others, load_taxonomy(), file=source, least=0.0, version="2.0.0"
    )
    assert isinstance(bundle.runtime, WideRuntime) and isinstance(bundle.runtime.deep, EncoderRuntime)
    assert not bundle.runtime.heads.logits(["bank oil"]).topics[0, -1]
    before = load_bundle(folder, device="cpu").runtime.logits(TEXTS)
    after = bundle.runtime.logits(TEXTS)
    assert after.topics[:, :-1] == pytest.approx(before.topics, abs=0.02)  # 16-bit floats in place of 8 bits


def test_blank_topic_of_heads_stored_in_float16(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert manifest.wide is not None
    plain = {"wide.topics.weight": np.ones((2, 512), np.float16), "wide.topics.bias": np.ones(2, np.float16)}
    found = with_blank_topic(plain, manifest.wide, 2)
    assert found["wide.topics.weight"].shape == (3, 512) and not found["wide.topics.weight"][2].any()
    assert found["wide.topics.bias"].tolist() == [1, 1, 0]


def test_text_whose_ngrams_nobody_knows_gets_the_bias_alone() -> None:
    hasher = Hasher(Ngrams(1, 2, 512))
    rows = hasher.counts(["🚀", "", "bank"])
    known = np.zeros(512)
    known[rows[2].indices] = 2.0
    known[rows[0].indices] = 0.0
    found = weighted(rows, known).toarray()
    assert np.isfinite(found).all()
    assert not found[0].any() and not found[1].any()
    assert np.linalg.norm(found[2]) == pytest.approx(1.0)


def test_heads_read_a_text_alike_alone_and_among_more_than_are_hashed_at_a_time(folder: Path) -> None:
    heads = read_heads(folder, read_manifest(folder))
    said = [f"{word} {number}" for number in range(2_000) for word in ("bank", "loss", "oil")]
    texts = ["", *(" ".join(said[begin : begin + 150]) for begin in range(60)), " ".join(said), "", "利润 up"]
    together = heads.logits(texts)
    assert sum(map(len, texts)) > 3 * MAX_CHARS
    for row, text in enumerate(texts):
        alone = heads.logits([text])
        assert together.sentiment[row].tobytes() == alone.sentiment[0].tobytes()
        assert together.topics[row].tobytes() == alone.topics[0].tobytes()
    assert together.cut == {61}
