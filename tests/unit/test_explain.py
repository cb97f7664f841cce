"""Explanations: the words' weights add up, and point where the model looks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monitor.errors import BundleError, InputError
from monitor.understand.bundle import SHIPPED, load_bundle
from monitor.understand.explain import Explainer, words
from monitor.understand.manifest import read_manifest
from monitor.understand.runtimes.gradients import SMALL, GradientRuntime
from monitor.understand.runtimes.ngrams import NgramRuntime, fold, traced
from tests.unit.models import TOPICS, make_bundle, make_encoder, make_prompted_bundle, make_toward_bundle

EN = "The bank profit falls in a record quarter, fraud: shares of oil market deal."


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explain")
    return make_bundle(folder / "bundle", make_encoder(folder / "encoder"))


@pytest.mark.parametrize("text", [EN, EN * 12, "bank", "", "  \n", "Ünïcode 5% & <b>é</b> 净利润"])
def test_weights_of_a_transformer_add_up_to_what_the_text_changes(tiny: Path, text: str) -> None:
    explainer = Explainer(tiny)
    for chosen in ({}, {"label": "positive"}, {"topic": "macro"}):
        found = explainer.explain(text, **chosen)  # type: ignore[arg-type]
        assert abs(found.gap) <= SMALL * max(abs(found.value - found.baseline), 0.1) + 1e-4
        assert [found.text[word.start : word.end] for word in found.words] == [word.text for word in found.words]


@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_bundle_with_learned_tokens_before_the_text_is_explained_like_any_other(tmp_path: Path, kind: str) -> None:
    folder = make_prompted_bundle(tmp_path / "bundle", make_encoder(tmp_path / "encoder"), kind)
    explainer, bundle = Explainer(folder), load_bundle(folder, device="cpu", threads=1)
    for text in (EN, EN * 12, "bank", ""):
        found = explainer.explain(text, label="negative")
        sentiment, _ = bundle.probabilities([text])
        assert found.probability == pytest.approx(sentiment[0, 0], abs=2e-4)
        assert abs(found.gap) <= SMALL * max(abs(found.value - found.baseline), 0.1) + 1e-4
    plain = Explainer(make_bundle(tmp_path / "plain", tmp_path / "encoder")).explain(EN, label="negative")
    assert abs(explainer.explain(EN, label="negative").value - plain.value) > 0.01, "the tokens change nothing"


def test_baseline_of_a_transformer_knows_nothing_of_the_text(tiny: Path) -> None:
    explainer = Explainer(tiny)
    same = {explainer.explain(text, label="negative").baseline for text in ("bank falls the", "deal rises a")}
    assert len(same) == 1  # of the same length, so of the same padding


@pytest.mark.parametrize("text", ["bank profit falls", EN * 12])
def test_explained_value_and_probability_are_the_engines(tiny: Path, text: str) -> None:
    found = Explainer(tiny).explain(text, label="negative")
    bundle = load_bundle(tiny, device="cpu", threads=1)
    sentiment, topics = bundle.probabilities([text])
    assert found.probability == pytest.approx(sentiment[0, 0], abs=2e-4)
    logits = bundle.runtime.logits([text])
    margin = logits.sentiment[:, 0] - (logits.sentiment[:, 1] + logits.sentiment[:, 2]) / 2
    assert found.value == pytest.approx(float((margin * logits.weights).sum()) / 1.5, abs=1e-3)
    about = Explainer(tiny).explain(text, topic="earnings")
    assert about.probability == pytest.approx(topics[0, TOPICS.index("earnings")], abs=2e-4)


def test_shares_are_the_integral_that_differences_give(tiny: Path) -> None:
    """Without any gradient: move one token's embedding a little at many points of the path and add up the changes."""
    import torch

    runtime = GradientRuntime.load(tiny, read_manifest(tiny))
    direction = np.array([1.0, -0.5, -0.5, *[0.0] * len(TOPICS)])
    found = runtime.attribute("bank profit falls", direction)
    splitter = runtime._splitter
    ids = (*splitter.prefix, *splitter.windows("bank profit falls")[0].ids, *splitter.suffix)
    blank, framed = runtime._embedded((ids[0], 0, 0, 0, ids[-1])), runtime._embedded(ids)
    toward, many, little = torch.tensor(direction, dtype=torch.float32), 200, 0.02
    at = (torch.arange(many) + 0.5)[:, None, None] / many
    for token, (_, _, share) in enumerate(found.pieces, 1):
        move = torch.zeros_like(framed)
        move[token] = little * (framed - blank)[token]
        points = blank + at * (framed - blank)
        with torch.inference_mode():
            change = runtime._values(points + move, toward) - runtime._values(points - move, toward)
        assert share == pytest.approx(float(change.mean()) / (2 * little), abs=0.02)


SHIPPED_NGRAMS = [folder for folder in SHIPPED if read_manifest(folder).kind == "ngrams"]


@pytest.mark.parametrize(
    "text",
    [
        "贵州茅台净利润同比下降３５％，营收 １２３４５ 亿元！",
        "Mixed 文本 №5 ﬁne ﷺ 2024年",
        "",
        "a",
        "é̂ ﬁ ß İ ŉ",
        "跌" * 3000,
    ],
)
def test_weights_of_ngrams_add_up_exactly(tmp_path: Path, text: str) -> None:
    folder = make_toward_bundle(tmp_path / "bundle", languages=("en", "zh"))
    for one in [folder, *SHIPPED_NGRAMS]:
        explainer = Explainer(one)
        found = explainer.explain(text, label="negative")
        if found.words:
            assert found.gap == pytest.approx(0.0, abs=1e-6)
        else:
            assert not text.strip()
        runtime = NgramRuntime.load(one, explainer.manifest)
        direction = np.zeros(3 + len(explainer.manifest.topics))
        direction[:3] = np.array([1, -0.5, -0.5]) / explainer.manifest.temperature.sentiment
        logits = runtime.logits([text])
        assert found.value == pytest.approx(float(logits.sentiment[0] @ direction[:3]), abs=1e-3)


def test_folded_characters_know_where_they_come_from() -> None:
    text, folded, source = traced("净利润增长３５％ ﬁne X")
    assert folded == fold("净利润增长３５％ ﬁne X") == "净利润增长0% fine x"
    assert [text[place] for place in source] == list("净利润增长３％ ﬁﬁne X")


def test_words_point_where_the_model_looks(tmp_path: Path) -> None:
    folder = make_toward_bundle(tmp_path / "bundle", languages=("en", "zh"))
    found = Explainer(folder).explain("[another company] rests, [this company] falls at noon")
    assert (found.label, found.method) == ("negative", "exact")
    strongest = sorted(found.words, key=lambda word: -word.weight)[:5]
    assert {word.text for word in strongest} <= {"[", "this", "company", "]", "falls"}
    assert min(found.words, key=lambda word: abs(word.weight)).text not in {"this", "falls"}


def test_pieces_across_words_make_them_one_and_blanks_count_to_the_word_before() -> None:
    found = words("净利润 AT&T's 5.2% up", [(0, 2, 1.0), (2, 3, 2.0), (3, 4, 0.5), (4, 10, 3.0), (11, 15, 4.0)])
    assert [(word.text, word.weight) for word in found] == [
        ("净利", 1.0),
        ("润", 2.5),
        ("AT&T's", 3.0),
        ("5.2%", 4.0),
        ("up", 0.0),
    ]
    assert words("", [(0, 0, 0.0)]) == []


def test_unknown_topic_and_damaged_folder_say_so(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it knows dividend, earnings, macro"):
        Explainer(tiny).explain("bank", topic="weather")
    with pytest.raises(BundleError):
        Explainer(tmp_path)
