"""What the detector says about one series at one minute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from monitor.detect.series import Minute
from monitor.documents import Series

Severity = Literal["warning", "critical"]

CRITICAL_P = 1e-9
"""A surge is critical when it is at most this probable …"""

CRITICAL_LIFT = 5.0
"""… and at least this many times the expected count."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One series over one window ending with `minute`; the window is the one that tells most.

    Attributes:
        window: minutes; the window is (minute - window, minute].
        observed: negative documents in it.
        total: documents in it; equal to `observed` when totals are unknown.
        expected: negatives the baseline expects, > 0.
        dispersion: the variance of the count is expected + dispersion · expected².
        p_value: how probable such a surge is if nothing happened, in [0, 1]: twice the smaller of the next two
            (Bonferroni), or the count's when totals are unknown.
        count_p_value: P(count ≥ observed).
        share: observed / total; None without documents or totals. `expected_share`: the baseline's.
        share_p_value: P(negatives ≥ observed | total) if only busyness happened; None when totals are unknown.
        lift: observed / expected.
        surge: improbable, large enough, and no mere busyness.
        calm: every short window is back near its expectation (only ever true of a watched series).
    """

    series: Series
    minute: Minute
    window: int
    observed: int
    total: int
    expected: float
    dispersion: float
    p_value: float
    count_p_value: float
    share: float | None
    expected_share: float | None
    share_p_value: float | None
    lift: float
    surge: bool
    calm: bool

    @property
    def severity(self) -> Severity:
        """How bad it would be as a surge."""
        return "critical" if self.p_value <= CRITICAL_P and self.lift >= CRITICAL_LIFT else "warning"

    @property
    def lower(self) -> int:
        """2.5 % quantile of the count if nothing happened."""
        return _quantile(0.025, self.expected, self.dispersion)

    @property
    def upper(self) -> int:
        """97.5 % quantile of the count if nothing happened."""
        return _quantile(0.975, self.expected, self.dispersion)


@dataclass(frozen=True, slots=True)
class Band:
    """What a curve should have looked like in the minutes (end - step, end]: mean and the middle 95 %."""

    end: Minute
    expected: float
    lower: int
    upper: int


def _quantile(level: float, mean: float, dispersion: float) -> int:
    from monitor.detect.significance import count_quantile

    return count_quantile(level, mean, dispersion)
