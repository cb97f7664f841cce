"""Significance and the verdict: what is chance, what is not, and what bars a candidate."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from monitor.understand.companies import Watchlist
from monitor.understand.topics import load_taxonomy
from monitor.understand.watchlist import Company
from tests.unit.scripted import by_words, scripted, tone
from training.data.examples import Example
from training.evaluation import resampling
from training.evaluation.contest import Contest, contest_of_bundles
from training.evaluation.resampling import compare_macro_f1, compare_micro_f1
from training.evaluation.significance import Comparison, compare, holm
from training.evaluation.verdict import LARGE, verdict

WATCHLIST = Watchlist([Company("ACM", en="Acme")])


def answers(random: np.random.Generator, truth: np.ndarray, right: float) -> np.ndarray:
    """Answers of which about a share of `right` is right."""
    wrong = (truth + random.integers(1, 3, len(truth))) % 3
    return np.where(random.random(len(truth)) < right, truth, wrong)


def test_mcnemar_is_the_binomial_test_on_the_texts_that_one_has_right() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 3, 600)
    old, new = answers(random, truth, 0.85), answers(random, truth, 0.78)
    found = compare(old, new, truth)
    lost, won = ((old == truth) & (new != truth)).sum(), ((new == truth) & (old != truth)).sum()
    assert (found.only_champion, found.only_candidate) == (lost, won)
    assert found.p_worse == pytest.approx(binomtest(lost, lost + won, alternative="greater").pvalue)
    assert found.p_differs == pytest.approx(binomtest(lost, lost + won).pvalue)
    assert found.candidate == pytest.approx((new == truth).mean())


def test_bootstrap_agrees_with_resampling_text_by_text() -> None:
    random = np.random.default_rng(2)
    truth = random.choice(3, 400, p=[0.15, 0.6, 0.25])
    old, new = answers(random, truth, 0.8), answers(random, truth, 0.83)
    gap = compare(old, new, truth).macro_f1
    assert gap is not None
    assert gap.candidate == pytest.approx(f1_score(truth, new, average="macro"))
    drawn = []
    for _ in range(400):
        rows = random.integers(0, 400, 400)
        before, after = (f1_score(truth[rows], said[rows], average="macro") for said in (old, new))
        drawn.append(after - before)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert gap.low == pytest.approx(low, abs=0.015)
    assert gap.high == pytest.approx(high, abs=0.015)
    assert compare(old, new, truth) == compare(old, new, truth)


def test_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    hits = 0
    for _ in range(60):
        truth = random.integers(0, 3, 300)
        gap = compare(answers(random, truth, 0.8), answers(random, truth, 0.8), truth).macro_f1
        assert gap is not None
        hits += gap.low <= 0.0 <= gap.high
    assert hits >= 52


def test_answers_about_one_text_are_flipped_together() -> None:
    # Three texts of ten answers each: there is no more to go by than three coins.
    truth = np.zeros(30, np.int64)
    found = compare(truth, truth + 1, truth, rows=np.repeat([7, 3, 5], 10))
    assert (found.texts, found.only_champion) == (30, 30)
    assert found.p_worse == pytest.approx(1 / 8)
    assert found.p_differs == pytest.approx(1 / 4)
    assert compare(truth, truth + 1, truth).p_worse == pytest.approx(0.5**30)


def test_flips_are_counted_as_if_each_were_tried() -> None:
    random = np.random.default_rng(6)
    rows = np.sort(random.integers(0, 11, 40))
    truth = random.integers(0, 3, 40)
    old, new = answers(random, truth, 0.7), answers(random, truth, 0.55)
    gaps = np.bincount(rows, weights=(new == truth).astype(float) - (old == truth))
    assert np.abs(gaps).max() > 1
    sums = [float(signs @ gaps) for signs in map(np.array, itertools.product((-1, 1), repeat=len(gaps)))]
    found = compare(old, new, truth, rows=rows)
    assert found.p_worse == pytest.approx(np.mean([one <= gaps.sum() for one in sums]))
    better = np.mean([one >= gaps.sum() for one in sums])
    assert found.p_differs == pytest.approx(min(1.0, 2 * min(found.p_worse, better)))


def test_f1_of_answers_about_one_text_is_resampled_by_texts() -> None:
    random = np.random.default_rng(7)
    truth = random.integers(0, 3, 150)
    old, new = answers(random, truth, 0.8), answers(random, truth, 0.75)
    once = compare(old, new, truth).macro_f1
    # Every answer eight times over is no more to go by, as long as it is known to be about one text.
    eight = [np.repeat(part, 8) for part in (old, new, truth)]
    told = compare(*eight, rows=np.repeat(np.arange(150), 8)).macro_f1
    untold = compare(*eight).macro_f1
    assert once is not None and told is not None and untold is not None
    assert (told.low, told.high) == pytest.approx((once.low, once.high), abs=0.01)
    assert untold.high - untold.low < 0.5 * (told.high - told.low)


def test_pairs_of_one_text_are_one_piece_of_evidence_in_a_contest() -> None:
    names = [f"Company{letter}" for letter in "ABCDEFGHIJ"]
    entities = tuple((name, "positive") for name in names)
    files = {"exam.jsonl": [Example(f"gains x{n}: {', '.join(names)}", "en", entities=entities) for n in range(3)]}  # type: ignore[arg-type]

    def never(text: str) -> tuple[object, object]:
        return tone(0.2, 0.6, 0.2)

    held = contest_of_bundles(scripted(by_words), scripted(never), files, load_taxonomy(), WATCHLIST)  # type: ignore[arg-type]
    assert held.answers == {"toward": 30}
    assert held.tasks["toward"].only_champion == 30
    assert held.tasks["toward"].p_worse == pytest.approx(1 / 8)


def test_micro_f1_of_many_topics_is_resampled_by_texts() -> None:
    random = np.random.default_rng(4)
    truth = random.random((500, 20)) < 0.1
    worse = truth ^ (random.random(truth.shape) < 0.05)
    gap = compare_micro_f1(truth, worse, truth)
    assert gap.champion == 1.0
    assert gap.candidate == pytest.approx(f1_score(truth, worse, average="micro"))
    assert gap.low < gap.candidate - gap.champion < gap.high < 0
    assert gap.p_worse < 0.001


def test_macro_f1_of_many_topics_is_the_mean_over_those_that_occur() -> None:
    random = np.random.default_rng(6)
    truth = random.random((500, 20)) < 0.1
    truth[:, 19] = False
    worse = truth ^ (random.random(truth.shape) < 0.05)
    gap = compare_macro_f1(truth, worse, truth)
    assert gap.champion == 1.0
    assert gap.candidate == pytest.approx(f1_score(truth[:, :19], worse[:, :19], average="macro"))
    assert gap.low < gap.candidate - gap.champion < gap.high < 0
    assert gap.p_worse < 0.001


def test_topics_are_compared_as_they_are_served() -> None:
    # Both say dividend and earnings of every text, and rightly. Which of the two is likelier is nobody's concern.
    texts = [f"text {n} on a payout out of profits" for n in range(300)]
    files = {"exam.jsonl": [Example(text, "en", topics=("dividend", "earnings")) for text in texts]}

    def either(text: str) -> tuple[object, object]:
        first = 0.7 + 0.2 * (texts.index(text) % 2)
        return (0.2, 0.6, 0.2), (first, 1.6 - first, 0.1)

    def dividend_first(text: str) -> tuple[object, object]:
        return (0.2, 0.6, 0.2), (0.9, 0.7, 0.1)

    held = contest_of_bundles(scripted(either), scripted(dividend_first), files, load_taxonomy(), WATCHLIST)  # type: ignore[arg-type]
    gap = held.tasks["topics"].macro_f1
    assert gap is not None
    assert (gap.champion, gap.candidate) == (1.0, 1.0)
    assert verdict(held).passes

    def none_of_earnings(text: str) -> tuple[object, object]:
        return (0.2, 0.6, 0.2), (0.9, 0.4, 0.1)

    held = contest_of_bundles(scripted(either), scripted(none_of_earnings), files, load_taxonomy(), WATCHLIST)  # type: ignore[arg-type]
    assert [finding.what for finding in verdict(held).worse] == ["topics, macro-F1", "topics, micro-F1"]


def test_resamples_are_the_same_however_many_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(8)
    truth = random.random((200, 5)) < 0.3
    other = truth ^ (random.random(truth.shape) < 0.1)
    whole = compare_macro_f1(truth, other, truth)
    monkeypatch.setattr(resampling, "_CELLS", 3_000)
    assert compare_macro_f1(truth, other, truth) == whole


def test_ten_thousand_resamples_take_a_moment() -> None:
    random = np.random.default_rng(5)
    truth = random.integers(0, 20, 5000)
    started = time.perf_counter()
    compare(random.integers(0, 20, 5000), truth, truth)
    assert time.perf_counter() - started < 60


def test_no_difference_is_no_difference() -> None:
    truth = np.array([0, 1, 2, 2])
    found = compare(truth, truth, truth)
    assert (found.p_worse, found.p_differs) == (1.0, 1.0)
    assert found.macro_f1 is not None
    assert (found.macro_f1.low, found.macro_f1.high, found.macro_f1.p_worse) == (0.0, 0.0, 1.0)


def test_holm_corrects_for_the_number_of_tests() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def rows(count: int, label: str, *, company: str) -> list[Example]:
    word = {"positive": "gains", "negative": "loses", "neutral": "meets"}[label]
    return [Example(f"{company} {word} x{number}", "en", sentiment=label) for number in range(count)]  # type: ignore[arg-type]


def blind_to_acme(text: str) -> tuple[object, object]:
    return tone(0.2, 0.6, 0.2) if "Acme" in text and "x1" in text else by_words(text)


def test_candidate_that_fails_on_one_large_slice_is_barred() -> None:
    named = [*rows(LARGE // 2, "positive", company="Acme"), *rows(LARGE // 2, "negative", company="Acme")]
    others = [*rows(2000, "positive", company="We"), *rows(2000, "negative", company="They")]
    files = {"exam.jsonl": [*named, *others]}
    good, blind = scripted(by_words), scripted(blind_to_acme, version="2.0.0")  # type: ignore[arg-type]
    barred = verdict(contest_of_bundles(good, blind, files, load_taxonomy(), WATCHLIST))
    assert not barred.passes
    assert any("company named" in finding.what for finding in barred.worse)
    assert "company named" in barred.reason
    # The other way round nothing speaks against it.
    passed = verdict(contest_of_bundles(blind, good, files, load_taxonomy(), WATCHLIST))
    assert passed.passes
    assert passed.tested[1] > 0


def test_small_slice_and_small_loss_bar_nobody() -> None:
    named = rows(LARGE - 100, "positive", company="Acme")
    files = {"exam.jsonl": [*named, *rows(600, "negative", company="They")]}

    def slightly(text: str) -> tuple[object, object]:
        return tone(0.2, 0.6, 0.2) if text in ("Acme gains x1", "Acme gains x7") else by_words(text)

    held = contest_of_bundles(
        scripted(by_words),
        scripted(slightly, version="2.0.0"),  # type: ignore[arg-type]
        files,
        load_taxonomy(),
        WATCHLIST,
    )
    assert held.tasks["sentiment"].only_champion == 2
    assert verdict(held).passes


def test_candidate_that_no_longer_says_negative_is_barred_though_accuracy_hardly_moves() -> None:
    files = {"exam.jsonl": [*rows(2000, "neutral", company="We"), *rows(12, "negative", company="They")]}

    def never(text: str) -> tuple[object, object]:
        return tone(0.2, 0.6, 0.2)

    held = contest_of_bundles(scripted(by_words), scripted(never), files, load_taxonomy(), WATCHLIST)  # type: ignore[arg-type]
    assert held.tasks["sentiment"].candidate > 0.99
    assert any("macro-F1" in finding.what for finding in verdict(held).worse)


def test_comparisons_over_all_texts_are_corrected_for_their_number() -> None:
    def lost(p: float) -> Comparison:
        return Comparison(500, 0.8, 0.75, 60, 35, p, 2 * p)

    even = Comparison(500, 0.8, 0.8, 20, 20, 0.5, 1.0)
    others = dict.fromkeys(("topics", "negative", "toward", "toward_bad"), even)
    by_chance = verdict(Contest("a@1", "a@2", {"sentiment": lost(0.03), **others}))
    assert by_chance.passes
    assert by_chance.tested == (5, 0)
    worse = verdict(Contest("a@1", "a@2", {"sentiment": lost(0.004), **others}))
    assert [(finding.what, finding.p) for finding in worse.worse] == [("sentiment, accuracy", pytest.approx(0.02))]
    assert not worse.passes


def test_exam_without_a_label_promotes_nobody() -> None:
    files = {"exam.jsonl": [Example(f"Acme gains x{n}", "en") for n in range(300)]}
    held = contest_of_bundles(scripted(by_words), scripted(by_words), files, load_taxonomy(), WATCHLIST)
    found = verdict(held)
    assert held.answers == found.answers == {}
    assert not found.passes
    assert found.reason.startswith("not compared: no text has a label")
