"""A remembered answer is the one that would be computed, and no more is remembered than allowed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.settings import EngineSettings
from monitor.understand.bundle import Bundle, load_bundle
from monitor.understand.engine import Engine, load_seat
from monitor.understand.lineup import standing
from monitor.understand.runtimes import Logits, Runtime
from monitor.understand.runtimes.cached import CachedRuntime
from tests.unit.models import make_bundle, make_encoder
from tests.unit.side_by_side import in_threads


class Counting:
    """A runtime that notes what it was asked."""

    def __init__(self, inner: Runtime) -> None:
        self.inner = inner
        self.asked: list[str] = []

    def logits(self, texts: Sequence[str]) -> Logits:
        self.asked += texts
        return self.inner.logits(texts)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    root = tmp_path_factory.mktemp("tiny")
    return load_bundle(make_bundle(root / "bundle", make_encoder(root / "encoder")), device="cpu", threads=1)


def same(one: Logits, other: Logits) -> bool:
    parts = ("sentiment", "topics", "starts", "weights")
    return one.cut == other.cut and all(np.array_equal(getattr(one, p), getattr(other, p)) for p in parts)


def test_copies_are_computed_once_and_answered_alike(tiny: Bundle) -> None:
    inner = Counting(tiny.runtime)
    cache = CachedRuntime(inner, 100)
    texts = [
        "Bank profit falls https://t.co/a",
        "oil rises",
        "RT @someone: Bank profit falls https://t.co/b",
        "Bank  profit falls http://x.y/z",
    ]
    first = cache.logits(texts)
    assert inner.asked == texts[:2]
    assert first.sentiment[0].tobytes() == first.sentiment[2].tobytes() == first.sentiment[3].tobytes()
    second = cache.logits(["oil rises", "deal", "Bank profit falls https://t.co/c"])
    assert inner.asked == [*texts[:2], "deal"]
    assert same(second, tiny.runtime.logits(["oil rises", "deal", "Bank profit falls https://t.co/c"]))
    assert (cache.asked, cache.found) == (7, 4)


def test_what_was_asked_longest_ago_is_forgotten_first(tiny: Bundle) -> None:
    inner = Counting(tiny.runtime)
    cache = CachedRuntime(inner, 2)
    for text in ("one", "two", "one", "three", "one", "two"):
        cache.logits([text])
    assert inner.asked == ["one", "two", "three", "two"]


def test_long_texts_count_by_their_windows(tiny: Bundle) -> None:
    inner = Counting(tiny.runtime)
    cache = CachedRuntime(inner, 3)
    long = " ".join(f"profit n{number}" for number in range(60))
    assert len(tiny.runtime.logits([long]).sentiment) > 3
    for text in (long, "deal", long):
        assert same(cache.logits([text]), tiny.runtime.logits([text]))
    assert inner.asked == [long, "deal", long]  # it never fits


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from(["loss", "RT @a: loss", "oil " * 90, "", "deal 5%", "bank"]), max_size=6)))
def test_answers_are_those_without_a_cache(tiny: Bundle, batches: list[list[str]]) -> None:
    cache = CachedRuntime(tiny.runtime, 4)
    for batch in batches:
        assert same(cache.logits(batch), tiny.runtime.logits(batch))


def test_eight_threads_never_mix_up_texts(tiny: Bundle) -> None:
    cache = CachedRuntime(tiny.runtime, 20)
    words = ["profit", "loss", "bank", "oil", "deal", "fraud", "bond", "market"]
    texts = [" ".join(words[(k + j) % 8] for j in range(1 + k % 5)) + f" {k}" for k in range(60)]
    wanted = {text: tiny.runtime.logits([text]).sentiment.tobytes() for text in texts}
    wrong: list[str] = []

    def ask(number: int) -> None:
        chance = np.random.default_rng(number)
        for _ in range(15):
            batch = [texts[k] for k in chance.integers(0, len(texts), 12)]
            found = cache.logits(batch).sentiment
            wrong.extend(t for t, row in zip(batch, found, strict=True) if row.tobytes() != wanted[t])

    in_threads(8, ask)
    assert not wrong
    assert cache.asked == 8 * 15 * 12 and 0 < cache.found < cache.asked


def test_engine_tells_how_much_it_remembered_and_another_bundle_starts_anew(tmp_path: Path) -> None:
    encoder = make_encoder(tmp_path / "encoder")
    folders = [make_bundle(tmp_path / str(seed), encoder, seed=seed, version=f"1.0.{seed}") for seed in (1, 2)]
    engines = [Engine(EngineSettings(bundles=[folder], device="cpu", threads=1)) for folder in folders]
    for engine in engines:
        engine.score(["bank loss", "bank loss", "oil"], ["en"] * 3)
        assert engine.remembered == (3, 1)
    one, other = (engine.score(["oil"], ["en"])[0] for engine in engines)
    assert one is not None and other is not None
    assert (one.model, other.model) == ("tiny@1.0.1", "tiny@1.0.2") and one.sentiment != other.sentiment


def test_cache_of_no_size_is_none(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "bundle", make_encoder(tmp_path / "encoder"))
    settings = EngineSettings(bundles=[folder], device="cpu", threads=1, cache=0)
    bundle = load_seat(settings, standing(settings).seats[0])
    assert not isinstance(bundle.runtime, CachedRuntime)
