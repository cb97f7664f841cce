"""What is normal for a series: its level, its scatter and its share, learned from its own past."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from monitor.detect.series import DAY, Minute, Past
from monitor.detect.shape import Shape

HALF_LIFE_DAYS = 7.0
"""An hour a week old weighs half: a lasting change becomes the new normal within about a week."""

OUTLIER = 2.58
"""Anscombe residual from which an hour or a day loses weight (Noufaily et al. 2013)."""

OUTLIER_COUNT = 3
"""… if it holds this many negatives: in a sparse series one document is no outlier."""

SHARE_OUTLIER = 3.2
"""Standardised share from which an hour is left out of the correlation: binomial shares are skewed to the right."""

TRIMMED = 1.1
"""What leaving the outliers out of the scatter makes it too small by, in negative binomial noise (measured)."""

ROUNDS = 5
"""Rounds of reweighting; more change nothing."""

PRIOR_NEGATIVES = 2.0
"""How many negatives the parent's guess of the level weighs."""

PRIOR_DOCUMENTS = 20.0
"""How many documents the parent's share weighs."""

CLUMPING = 1.0
"""Negatives that each negative is expected to bring along, before the series has shown its own scatter …"""

CLUMPING_NEGATIVES = 5.0
"""… weighing this many negatives."""

DAY_SCATTER = 0.03
"""Squared relative scatter of whole days beyond that of independent hours, before seen, weighing five days."""

SHARE_CORRELATION = 0.02
"""Correlation of two documents' sentiment within an hour before the series has shown its own …"""

SHARE_BUCKETS = 5.0
"""… weighing this many hours of very many documents."""

TYPICAL_CORRELATION = 0.05
"""Where the search for it begins, and what weighs hours of many against hours of few documents."""

LEAST_CORRELATION = 0.003
"""No feed's documents are quite independent of each other."""

LEAST_SCATTER = 0.003
"""Squared relative error of the shape that no amount of data takes away (5 % of the expected count)."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a series is expected to do. Build it with `fit`.

    Attributes:
        rate: negatives per bucket of mean volume.
        uncertainty: squared relative error of `rate`.
        scatter: (minutes, dispersion) of the count of a slot, the bucket and the day, ascending.
        share: negatives per document, in (0, 1); None when totals are unknown.
        correlation: of two documents' sentiment, within a bucket and within a day.
        span: minutes of record it was learned from.
    """

    rate: float
    uncertainty: float
    scatter: tuple[tuple[int, float], ...]
    shape: Shape
    share: float | None
    correlation: tuple[float, float]
    share_uncertainty: float
    span: Minute

    def expected(self, after: Minute, end: Minute) -> float:
        """Expected negatives in the minutes (after, end]."""
        return self.rate * self.shape.exposure(after, end)

    def dispersion(self, window: int) -> float:
        """Squared relative scatter of the rate over `window` minutes, the level's own uncertainty included.

        The variance of the count is expected + dispersion · expected². Between two measured lengths the
        dispersion runs linearly in 1 / length, as it does for the mean of independent parts.
        """
        between = self.scatter[-1][1]
        for (short, near), (long, far) in pairwise(((0, self.scatter[0][1]), *self.scatter)):
            if window <= long:
                part = (1 / short - 1 / window) / (1 / short - 1 / long) if short else 1.0
                between = near + (far - near) * part
                break
        between = max(between, LEAST_SCATTER)
        return between + self.uncertainty * (1 + between)

    def share_correlation(self, window: int) -> float:
        """Correlation of two documents of one window, the share's own uncertainty included."""
        within = self.correlation[1] if window >= DAY else self.correlation[0]
        return within + (1 - within) * self.share_uncertainty


def fit(past: Past, shape: Shape, slots: tuple[int, ...], parent: Baseline | None, totals: bool) -> Baseline:
    """Learn a series' baseline.

    Level: negatives over exposure (the shape), each hour weighted by age (half-life one week) and robustly: an
    hour, or a day as a whole, whose Anscombe residual s exceeds 2.58 counts s⁻² as much (Noufaily, Enki,
    Farrington, Garthwaite, Andrews and Charlett 2013, Statistics in Medicine 32, after Farrington, Andrews,
    Beale and Catchpole 1996, JRSS A 159), beginning from the weighted median day, so that neither an hour's nor
    a day's crisis lifts the level or widens the scatter. The result is the posterior mean of a gamma prior
    whose mean is the parent's share of negatives times the series' own volume, and which weighs two negatives;
    without parent or totals, Jeffreys' prior.

    Scatter: by factorial moments, E[n (n - 1)] = (1 + φ) μ² for a negative binomial of dispersion φ, which
    holds at any window length and needs no bias correction for the Poisson part; never below zero. Outliers are
    left out of it altogether, and what that takes from quiet noise is given back (TRIMMED). A sparse
    series leans on a clumping prior: each negative brings another along (variance 2 μ), whatever the length.

    Share: negatives per document with the same weights, as beta posterior around the parent's share; the
    correlation of two documents of one hour by moments (`_correlation`).

    Args:
        past: the buckets to learn from, none of them in the window to judge.
        shape: of the series' language.
        slots: lengths of `past.pairs`, in minutes.
        parent: baseline of the language's whole feed; None for that itself.
        totals: whether `past.total` means anything.
    """
    bucket = shape.bucket
    length = len(past.negative)
    exposure = shape.over(past.start, past.start + length)
    age = np.arange(length - 1, -1, -1, dtype=float)
    decay = np.exp2(-age * bucket / (HALF_LIFE_DAYS * DAY))
    blocks = _days_back(length, DAY // bucket)
    prior_negatives, prior_exposure = _prior(past, exposure, decay, parent if totals else None)

    level = _Level(past.negative, exposure, decay, blocks, prior_negatives, prior_exposure)
    weights = level.weights()
    kept = level.kept
    rate, scatter = level.rate, level.scatter
    mean = rate * exposure
    moments = _Moments(kept, mean, rate)
    points = [(slot, moments.scatter(pairs, slot / bucket)) for slot, pairs in zip(slots, past.pairs, strict=True)]
    points.append((bucket, scatter))
    if bucket < DAY:
        points.append((DAY, level.day_scatter))

    total_weight = float((weights * exposure).sum())
    squares = float(((weights * exposure) ** 2).sum())
    negatives = float((weights * past.negative).sum())
    uncertainty = 1 / (prior_negatives + negatives)
    if total_weight > 0:
        own = negatives / (prior_negatives + negatives)  # as far as the level is the series' own
        uncertainty += scatter * squares / total_weight**2 * own**2

    share, correlation, share_uncertainty = None, (0.0, 0.0), 0.0
    if totals:
        share, correlation, share_uncertainty = _share(past, weights, decay, blocks, parent)
    return Baseline(rate, uncertainty, tuple(points), shape, share, correlation, share_uncertainty, length * bucket)


def _days_back(length: int, per_day: int) -> np.ndarray:
    """Which day each bucket belongs to, counted back from the end in whole days."""
    return np.arange(length - 1, -1, -1) // per_day


def _prior(past: Past, exposure: np.ndarray, decay: np.ndarray, parent: Baseline | None) -> tuple[float, float]:
    """Gamma prior of the level, as negatives and the exposure they stand for."""
    observed = float((decay * exposure).sum())
    if parent is None or parent.share is None:
        # Jeffreys: half a negative and no exposure; a record without any exposure gets one bucket.
        return 0.5, 0.0 if observed else 1.0
    volume = (float((decay * past.total).sum()) + 0.5) / max(observed, 1.0)
    return PRIOR_NEGATIVES, PRIOR_NEGATIVES / (parent.share * volume)


class _Level:
    """The iteration for level, scatter and weights."""

    def __init__(
        self,
        negative: np.ndarray,
        exposure: np.ndarray,
        decay: np.ndarray,
        blocks: np.ndarray,
        prior_negatives: float,
        prior_exposure: float,
    ) -> None:
        self._negative, self._exposure, self._decay, self._blocks = negative, exposure, decay, blocks
        self._prior = prior_negatives, prior_exposure
        self._root = np.cbrt(negative) ** 2
        self._day_negative = np.bincount(blocks, negative)
        self._day_exposure = np.bincount(blocks, exposure)
        self._day_root = np.cbrt(self._day_negative) ** 2
        self._whole = len(negative) > len(self._day_negative)  # days are not the buckets themselves
        self.scatter, self.day_scatter = 1.0, 0.1
        self.kept = decay
        self.rate = self._median_day()

    def weights(self) -> np.ndarray:
        """Iterate; sets rate, scatter, day_scatter and `kept`, the weights of what is no outlier at all."""
        for _ in range(ROUNDS):
            trust = self._trust()
            weights = self._decay * trust
            self.kept = np.where(trust < 1, 0.0, self._decay)
            self._estimate(weights)
        return weights

    def _median_day(self) -> float:
        """Age-weighted median of the days' rates; the plain mean when that is zero."""
        if not len(self._negative):
            return self._prior[0] / (self._prior[1] or 1.0)
        rates = self._day_negative / np.maximum(self._day_exposure, 1e-9)
        order = np.argsort(rates, kind="stable")
        # A day weighs by its recency and by how much of it there is.
        weight = np.bincount(self._blocks, self._decay * self._exposure)[order]
        running = np.cumsum(weight)
        median = float(rates[order][np.searchsorted(running, running[-1] / 2)])
        # Not far below the mean: of a sparse series the median day is empty.
        return max(median, self._posterior(self._decay) / 4)

    def _posterior(self, weights: np.ndarray) -> float:
        negatives = self._prior[0] + float((weights * self._negative).sum())
        return negatives / (self._prior[1] + float((weights * self._exposure).sum()) or 1.0)

    def _estimate(self, weights: np.ndarray) -> None:
        self.rate = self._posterior(weights)
        mean = self.rate * self._exposure
        moments = _Moments(self.kept, mean, self.rate)
        self.scatter = moments.scatter(self._negative * (self._negative - 1), 1.0)
        if not self._whole:
            self.day_scatter = self.scatter
            return
        # Days: independent hours would leave scatter · Σe² / (Σe)²; what is seen is weighed against that.
        used = self.kept > 0
        weight = np.bincount(self._blocks, self.kept) / np.bincount(self._blocks)
        day_negative = np.bincount(self._blocks, self._negative * used)
        day_mean = np.bincount(self._blocks, mean * used)
        typical = float((weight * day_mean**2).sum() / max(float(weight.sum()), 1e-300))
        parts = float((mean**2).sum() / max(float((day_mean**2).sum()), 1e-300))
        guess = self.scatter * parts + DAY_SCATTER
        excess = float((weight * (day_negative * (day_negative - 1) - day_mean**2)).sum())
        self.day_scatter = max(0.0, (excess + 5 * typical * guess) / max(typical * (float(weight.sum()) + 5), 1e-300))

    def _trust(self) -> np.ndarray:
        """Each bucket's weight for not being an outlier, nor of an outlying day."""
        trust = _downweighted(self._negative, self._root, self.rate * self._exposure, self.scatter)
        if self._whole:
            days = _downweighted(self._day_negative, self._day_root, self.rate * self._day_exposure, self.day_scatter)
            trust = np.minimum(trust, days[self._blocks])
        return trust


def _downweighted(count: np.ndarray, root: np.ndarray, mean: np.ndarray, scatter: float) -> np.ndarray:
    """1, or s⁻² for counts whose Anscombe residual s = 1.5 (n^⅔ - μ^⅔) / (μ^⅙ √(1 + φ μ)) exceeds OUTLIER."""
    third = np.cbrt(mean)
    residual = 1.5 * (root - third**2) / np.maximum(np.sqrt(third) * np.sqrt(1 + scatter * mean), 1e-12)
    outlier = (residual > OUTLIER) & (count >= OUTLIER_COUNT)
    return np.where(outlier, 1 / np.maximum(residual, 1.0) ** 2, 1.0)


class _Moments:
    """Dispersion by factorial moments, with the clumping prior."""

    def __init__(self, weights: np.ndarray, mean: np.ndarray, rate: float) -> None:
        self._weights = weights
        self._squares = float((weights * mean**2).sum())
        first = float((weights * mean).sum())
        self._typical = self._squares / first if first > 0 else rate

    def scatter(self, pairs: np.ndarray, part: float) -> float:
        """Dispersion of slots that are `part` of a bucket; `pairs` are Σ n (n - 1) over a bucket's slots."""
        squares = self._squares * part
        excess = float((self._weights * pairs).sum()) - squares
        prior = CLUMPING_NEGATIVES
        return max(0.0, (TRIMMED * excess + prior * CLUMPING) / max(squares + prior * self._typical * part, 1e-300))


def _share(
    past: Past, weights: np.ndarray, decay: np.ndarray, blocks: np.ndarray, parent: Baseline | None
) -> tuple[float, tuple[float, float], float]:
    """Mean share, its correlations within a bucket and a day, and 1 / (weight of the posterior + 1)."""
    documents = float((weights * past.total).sum())
    negatives = float((weights * past.negative).sum())
    if parent is None or parent.share is None:
        prior, strength = 0.5, 1.0  # Jeffreys
    else:
        prior, strength = parent.share, PRIOR_DOCUMENTS
    share = (negatives + prior * strength) / (documents + strength)
    hour = _correlation(past.negative, past.total, decay, share, SHARE_CORRELATION)
    parts = np.bincount(blocks)
    day = _correlation(
        np.bincount(blocks, past.negative),
        np.bincount(blocks, past.total),
        np.bincount(blocks, decay) / np.maximum(parts, 1),
        share,
        SHARE_CORRELATION / 2,
    )
    return share, (max(hour, day), day), 1 / (documents + strength + 1)


def _correlation(negative: np.ndarray, total: np.ndarray, weight: np.ndarray, share: float, guess: float) -> float:
    """Correlation of two documents' sentiment within a bucket.

    Each bucket estimates it by ((k - n p)² / (p (1 - p)) - n) / (n (n - 1)), whose standard error goes with
    1 / (n - 1) + correlation; buckets of outlying share are left out, as with the counts.
    """
    some = total > 1
    k, n, weight = negative[some], total[some], weight[some]
    variance = share * (1 - share)
    information = weight * ((n - 1) / (1 + (n - 1) * TYPICAL_CORRELATION)) ** 2
    square = (k - n * share) ** 2 / variance
    estimate = (square - n) / (n * (n - 1))
    prior = SHARE_BUCKETS / TYPICAL_CORRELATION**2
    found = TYPICAL_CORRELATION
    for _ in range(3):
        outlier = (k > n * share) & (k >= OUTLIER_COUNT) & (square > SHARE_OUTLIER**2 * n * (1 + (n - 1) * found))
        kept = np.where(outlier, 0.0, information)
        seen = TRIMMED * float((kept * estimate).sum()) + prior * guess
        found = min(0.9, max(LEAST_CORRELATION, seen / (float(kept.sum()) + prior)))
    return found
