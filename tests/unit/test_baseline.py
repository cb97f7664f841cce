"""What is normal: shape, level, scatter and share."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pytest

from monitor.detect.baseline import Baseline, fit
from monitor.detect.series import Past
from monitor.detect.shape import Shape, fit_shape
from monitor.detect.significance import count_quantile, count_tail, fdr_threshold, share_tail

HOURS = 28 * 24
FLAT = Shape(np.ones(168))


def noise(rate: float, scatter: float, seed: int, share: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Negatives and other documents per five minutes of four weeks."""
    source = np.random.default_rng(seed)
    wobble = source.gamma(1 / scatter, scatter, HOURS) if scatter else np.ones(HOURS)
    mean = np.repeat((rate * wobble / 12)[:, None], 12, axis=1)
    return source.poisson(mean), source.poisson(mean * (1 - share) / share)


def past(negative: np.ndarray, other: np.ndarray) -> Past:
    quarter = negative.reshape(len(negative), 4, 3).sum(axis=2)
    pairs = tuple((slots * (slots - 1)).sum(axis=1).astype(float) for slots in (negative, quarter))
    count = negative.sum(axis=1).astype(float)
    return Past(0, count, count + other.sum(axis=1), pairs)


def learned(negative: np.ndarray, other: np.ndarray, parent: Baseline | None = None) -> Baseline:
    return fit(past(negative, other), FLAT, (5, 15), parent, totals=True)


@pytest.mark.parametrize("rate", [2.0, 30.0])
@pytest.mark.parametrize("scatter", [0.0, 0.2, 0.5])
def test_level_and_scatter_of_clean_noise_are_found(rate, scatter):
    found = [learned(*noise(rate, scatter, seed)) for seed in range(20)]
    assert np.mean([it.rate for it in found]) == pytest.approx(rate, rel=0.06)
    for window in (5, 15, 60):
        assert np.mean([dict(it.scatter)[window] for it in found]) == pytest.approx(scatter, abs=0.12)
    assert np.mean([it.share for it in found]) == pytest.approx(0.2, abs=0.01)


def test_scatter_is_never_below_poisson():
    steady = np.ones((HOURS, 12), dtype=int)
    found = learned(steady, steady)
    assert all(dispersion >= 0 for _, dispersion in found.scatter)
    assert found.dispersion(60) > 0


def test_clumps_within_the_hour_widen_the_short_windows():
    source = np.random.default_rng(3)
    clumped = 4 * source.poisson(1 / 12, (HOURS, 12))  # copies come four at a time
    scatter = dict(learned(clumped, clumped).scatter)
    # Variance is four times the mean at any length: dispersion (4 - 1) / mean.
    assert scatter[60] == pytest.approx(3 / 4, rel=0.35)
    assert scatter[5] == pytest.approx(3 * 12 / 4, rel=0.35)


@pytest.mark.parametrize("hours", [3, 24])
def test_crisis_of_yesterday_hardly_moves_level_or_scatter(hours):
    negative, other = noise(5, 0.1, seed=7)
    before = learned(negative, other)
    negative[-hours - 6 : -6] *= 8
    after = learned(negative, other)
    assert after.rate == pytest.approx(before.rate, rel=0.12)
    assert dict(after.scatter)[60] <= dict(before.scatter)[60] + 0.1
    assert after.share == pytest.approx(before.share, rel=0.12)
    assert after.correlation[0] < 0.06


def test_lasting_change_becomes_normal_within_ten_days():
    negative, other = noise(5, 0.1, seed=8)
    negative[-10 * 24 :] *= 4
    other[-10 * 24 :] *= 4
    assert learned(negative, other).rate == pytest.approx(20, rel=0.3)


def test_sparse_series_leans_on_its_parents_share():
    parent = learned(*noise(40, 0.1, seed=9, share=0.4))
    silent = np.zeros((HOURS, 12), dtype=int)
    other = silent.copy()
    other[::40, 0] = 1  # 17 documents, none negative
    found = learned(silent, other, parent)
    assert 0 < found.rate < 0.4 * 17 / HOURS
    assert 0.05 < found.share < 0.4
    # Having seen nothing it is unsure, and expects what comes to come in clumps.
    assert count_tail(5, found.expected(0, 60), found.dispersion(60)) > 1e-7


def test_nothing_seen_at_all_still_gives_an_expectation():
    nothing = Past(0, np.zeros(0), np.zeros(0), (np.zeros(0), np.zeros(0)))
    found = fit(nothing, FLAT, (5, 15), None, totals=True)
    assert found.expected(0, 60) > 0
    assert found.span == 0
    child = fit(nothing, FLAT, (5, 15), found, totals=True)
    assert child.expected(0, 1440) > 0
    assert np.isfinite(child.dispersion(1440))


def test_dispersion_runs_evenly_between_measured_lengths():
    found = Baseline(1.0, 0.0, ((5, 0.9), (15, 0.5), (60, 0.3), (1440, 0.1)), FLAT, None, (0, 0), 0.0, 40320)
    assert [found.dispersion(window) for window in (5, 15, 60, 1440)] == pytest.approx([0.9, 0.5, 0.3, 0.1])
    assert 0.3 < found.dispersion(30) < 0.5
    assert 0.1 < found.dispersion(360) < 0.3
    assert found.dispersion(1) == pytest.approx(0.9)
    assert found.dispersion(10_000) == pytest.approx(0.1)


def weekly_volume(weeks: int, rate: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    hour = np.arange(weeks * 168)
    truth = np.where(hour // 24 % 7 < 5, 1.0, 0.3) * np.where((hour % 24 >= 8) & (hour % 24 < 20), 1.6, 0.4)
    truth = truth / truth.mean()
    return np.random.default_rng(seed).poisson(rate * truth).astype(float), truth[:168]


def test_shape_of_four_weeks_is_found():
    volume, truth = weekly_volume(4, 50, seed=1)
    shape = fit_shape(volume, start=0)
    assert shape.weights.mean() == pytest.approx(1)
    assert np.abs(shape.weights - truth).mean() < 0.1


def test_short_record_gives_hour_of_day_and_a_shorter_one_flat():
    volume, _ = weekly_volume(1, 50, seed=2)
    two_days = fit_shape(volume[:48], start=0).weights
    assert two_days[8:20].mean() > 2 * two_days[20:32].mean()
    assert two_days[3 * 24 + 12] > 1.2 * two_days[3 * 24 + 4]  # a day not seen yet follows the hours seen
    few = fit_shape(np.array([1.0, 0, 0, 2, 0, 0]), start=0).weights
    assert few.min() > 0.5 and few.max() < 2
    assert fit_shape(np.zeros(30), start=0).weights.tolist() == [1.0] * 168


def test_one_crisis_does_not_become_every_tuesday():
    volume, _ = weekly_volume(4, 50, seed=3)
    usual = fit_shape(volume, start=0).weights
    volume[2 * 168 + 34 : 2 * 168 + 38] *= 20
    struck = fit_shape(volume, start=0).weights
    assert struck[34:38].mean() < 1.6 * usual[34:38].mean()


def test_exposure_of_any_stretch_is_the_sum_of_its_minutes():
    weights = np.random.default_rng(4).gamma(2, 0.5, 168)
    shape = Shape(weights / weights.mean())
    for after, end in ((-1, 59), (30, 47), (10_000, 10_300), (10_075, 20_200), (24_000_000, 24_001_440)):
        minutes = np.arange(after + 1, end + 1)
        assert shape.exposure(after, end) == pytest.approx(shape.weights[minutes // 60 % 168].sum() / 60)


def test_tails_agree_with_sampling():
    source = np.random.default_rng(5)
    mean, dispersion = 6.0, 0.4
    drawn = source.poisson(mean * source.gamma(1 / dispersion, dispersion, 400_000))
    for k in (3, 9, 18):
        assert count_tail(k, mean, dispersion) == pytest.approx((drawn >= k).mean(), abs=0.003)
    share, correlation, total = 0.25, 0.1, 20
    size = 1 / correlation - 1
    drawn = source.binomial(total, source.beta(share * size, (1 - share) * size, 400_000))
    for k in (3, 6, 12):
        assert share_tail(k, total, share, correlation) == pytest.approx((drawn >= k).mean(), abs=0.003)


def test_tails_reach_far_and_stay_probabilities():
    assert 0 < count_tail(200, 3.0, 0.1) < 1e-30
    assert count_tail(0, 3.0, 0.1) == share_tail(0, 10, 0.2, 0.1) == 1.0
    assert count_tail(4, 2.0, 1e-12) == pytest.approx(count_tail(4, 2.0, 1e-6), rel=1e-4)
    exact = share_tail(1300, 5000, 0.25, 0.0005)
    assert share_tail(1301, 5004, 0.25, 0.0005) == pytest.approx(exact, rel=0.1)  # the beta stands in


def test_quantile_is_the_least_count_that_reaches_the_level():
    for mean, dispersion in ((0.01, 0.0), (0.7, 2.0), (12.0, 0.3), (4000.0, 0.02)):
        for level in (0.025, 0.5, 0.975):
            k = count_quantile(level, mean, dispersion)
            assert 1 - count_tail(k + 1, mean, dispersion) >= level
            assert k == 0 or 1 - count_tail(k, mean, dispersion) < level


def test_false_discovery_rate_is_kept():
    source = np.random.default_rng(6)
    shares = []
    for _ in range(800):
        null, real = source.random(90), source.random(10) * 1e-4
        threshold = fdr_threshold([*null, *real], 100, 0.1)
        false, true = (null <= threshold).sum(), (real <= threshold).sum()
        shares.append(false / max(false + true, 1))
        assert true == 10
    assert 0.05 < np.mean(shares) < 0.11
    assert fdr_threshold([], 100, 0.1) == 0.0


@pytest.mark.parametrize("name", ["series", "shape", "significance", "surge", "walk"])
def test_examples_in_the_docstrings_are_true(name):
    module = importlib.import_module(f"monitor.detect.{name}")
    result = doctest.testmod(module)
    assert result.attempted and not result.failed
