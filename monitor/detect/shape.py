"""When in the week documents come: the hour-of-week shape of a language's feed."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from monitor.detect.series import Minute

PSEUDO_DOCUMENTS = 5.0
"""How many documents each coarser guess weighs; a slot with fewer leans on its guess."""

PSEUDO_WEEKS = 2.0
"""How many weeks of a slot the guess for it weighs at least: four observed weeks are scatter, too."""

LEAST = 0.02
"""No slot is expected to be quieter than this share of the mean: a silent hour is not proven to stay so."""


class Shape:
    """Relative volume of each bucket of the week; mean 1.

    Args:
        weights: one number a bucket of the week, the first beginning at the epoch's weekday (a Thursday), UTC.
        bucket: minutes of one bucket.

    >>> flat = Shape(np.ones(168), bucket=60)
    >>> flat.exposure(29, 89), flat.exposure(0, 1440)
    (1.0, 24.0)
    """

    def __init__(self, weights: np.ndarray, bucket: int = 60) -> None:
        self.weights = weights
        self.bucket = bucket
        self._list = weights.tolist()
        self._sums = [0.0, *accumulate(self._list)]
        self._week = len(self._list) * bucket

    def exposure(self, after: Minute, end: Minute) -> float:
        """The shape integrated over the minutes (after, end], in buckets: 1 for a bucket of mean volume."""
        origin = (after + 1) // self._week * self._week
        return self._until(end + 1 - origin) - self._until(after + 1 - origin)

    def over(self, start: int, stop: int) -> np.ndarray:
        """The weights of the buckets `start … stop - 1` (buckets since the epoch)."""
        return self.weights[np.arange(start, stop) % len(self.weights)]

    def _until(self, minutes: int) -> float:
        weeks, rest = divmod(minutes, self._week)
        slot, inside = divmod(rest, self.bucket)
        part = self._list[slot] * inside / self.bucket if inside else 0.0
        return weeks * self._sums[-1] + self._sums[slot] + part


def fit_shape(volume: np.ndarray, start: int, bucket: int = 60) -> Shape:
    """Estimate the shape from a volume per bucket, oldest first, beginning with bucket `start` since the epoch.

    Each of the 168 hours of the week is the mean of its observed hours, shrunk toward hour of the day × day of
    the week, these toward flat; each step adds pseudo-observations of its guess (the posterior mean of a gamma
    prior), so a short record gives a flat shape, a longer one the day's, four weeks the week's. So that a crisis
    on one Tuesday does not become every Tuesday's shape, hours are cut at four times the median of their hour of
    the day, then again at 3 standard deviations (relative scatter one half) above a first estimate.
    """
    per_day = 1440 // bucket
    if not len(volume) or volume.sum() <= 0:
        return Shape(np.ones(7 * per_day), bucket)
    at = np.arange(start, start + len(volume))
    usual = np.maximum(_median_by_hour(volume, at % per_day, per_day), volume.mean() / 4)[at % per_day]
    volume = np.minimum(volume, 4 * usual + 3 * np.sqrt(usual) + 1)
    weights = _one_pass(volume, at, per_day)
    expected = weights[at % len(weights)]
    cut = np.minimum(volume, expected + 3 * np.sqrt(expected + 0.25 * expected**2) + 1)
    weights = _one_pass(cut, at, per_day)
    weights = np.maximum(weights / weights.mean(), LEAST)
    return Shape(weights / weights.mean(), bucket)


def _median_by_hour(volume: np.ndarray, hour: np.ndarray, per_day: int) -> np.ndarray:
    """Median volume of each hour of the day; 0 for one not seen."""
    median = np.zeros(per_day)
    for at in np.unique(hour).tolist():
        median[at] = np.median(volume[hour == at])
    return median


def _one_pass(volume: np.ndarray, at: np.ndarray, per_day: int) -> np.ndarray:
    """Mean volume of each bucket of the week."""
    week = 7 * per_day
    flat = float(volume.mean())
    hour = at % per_day
    day = at // per_day % 7
    by_hour = _shrunk(volume, hour, np.full(per_day, flat), 1.0 + PSEUDO_DOCUMENTS / flat)
    # A day's factor weighs its guess (1) as half a day.
    usual = by_hour[hour]
    prior = 0.5 * flat * per_day + PSEUDO_DOCUMENTS
    factor = (np.bincount(day, volume, 7) + prior) / (np.bincount(day, usual, 7) + prior)
    slots = np.arange(week)
    guess = by_hour[slots % per_day] * factor[slots // per_day]
    return _shrunk(volume, at % week, guess, PSEUDO_WEEKS + PSEUDO_DOCUMENTS / guess)


def _shrunk(volume: np.ndarray, group: np.ndarray, guess: np.ndarray, strength: np.ndarray | float) -> np.ndarray:
    """Mean of each group, with `strength` pseudo-observations of its guess."""
    seen = np.bincount(group, minlength=len(guess))
    result: np.ndarray = (np.bincount(group, volume, len(guess)) + strength * guess) / (seen + strength)
    return result
