"""How improbable a count or a share is, and how many improbable ones a tick may hold."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.special import betainc, betaincc, betaln, gammainc, gammaln

# Up to this many documents the beta-binomial is summed exactly; beyond, a beta with the same mean and
# variance stands for it: by then the two differ by less than one document.
EXACT_SHARE = 5_000


def count_tail(observed: int, mean: float, dispersion: float) -> float:
    """P(X ≥ observed) for a negative binomial X with variance mean + dispersion · mean².

    With size r = 1 / dispersion, P(X ≥ k) = I_{mean / (mean + r)}(k, r), the regularised incomplete beta
    function (NIST Digital Library of Mathematical Functions, §8.17(i)); at dispersion 0 the Poisson tail,
    a regularised incomplete gamma function.

    >>> f"{count_tail(3, 1.0, 0.0):.4f} {count_tail(3, 1.0, 1.0):.4f}"
    '0.0803 0.1250'
    """
    if observed <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    if dispersion * mean < 1e-9:
        return float(gammainc(observed, mean))
    size = 1.0 / dispersion
    return float(betainc(observed, size, mean / (mean + size)))


def count_quantile(level: float, mean: float, dispersion: float) -> int:
    """The least k with P(X ≤ k) ≥ level, for the X of `count_tail`.

    >>> count_quantile(0.975, 10.0, 0.0), count_quantile(0.025, 10.0, 0.0)
    (17, 4)
    """
    low, high = -1, max(8, int(2 * mean))  # P(X ≤ low) < level ≤ P(X ≤ high) is sought
    while 1.0 - count_tail(high + 1, mean, dispersion) < level:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if 1.0 - count_tail(middle + 1, mean, dispersion) >= level:
            high = middle
        else:
            low = middle
    return high


def share_tail(negative: int, total: int, share: float, correlation: float) -> float:
    """P(K ≥ negative) for a beta-binomial K of `total` documents with mean `share`.

    `correlation` is that of two documents of one window, in [0, 1): with M = 1 / correlation - 1 the share
    itself follows Beta(share · M, (1 - share) · M) (Skellam 1948).

    >>> f"{share_tail(3, 3, 0.2, 0.0):.4f} {share_tail(3, 3, 0.2, 0.1):.4f}"
    '0.0080 0.0193'
    """
    if negative <= 0:
        return 1.0
    if total <= 0 or share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    if correlation < 1e-9:
        return float(betainc(negative, total - negative + 1, share))
    alpha, beta = share * (1 / correlation - 1), (1 - share) * (1 / correlation - 1)
    if total > EXACT_SHARE:
        # Var(K / n) = share (1 - share) (1 + (n - 1) correlation) / n
        size = total / (1 + (total - 1) * correlation) - 1
        return float(betaincc(share * size, (1 - share) * size, (negative - 0.5) / total))
    k = np.arange(negative, total + 1, dtype=float)
    logs = (
        gammaln(total + 1.0)
        - gammaln(k + 1)
        - gammaln(total - k + 1)
        + betaln(k + alpha, total - k + beta)
        - betaln(alpha, beta)
    )
    return min(1.0, float(np.exp(logs).sum()))


def fdr_threshold(p_values: Iterable[float], hypotheses: int, rate: float) -> float:
    """The largest p-value that Benjamini and Hochberg's procedure accepts; 0 when it accepts none.

    With the p-values in ascending order it is the last p₍ₖ₎ ≤ rate · k / hypotheses; hypotheses that were
    not tested count as p = 1 (Benjamini and Hochberg 1995, Journal of the Royal Statistical Society B 57).

    >>> fdr_threshold([0.001, 0.2, 0.004], 30, 0.05)
    0.001
    >>> fdr_threshold([0.001, 0.2, 0.004], 10, 0.05)
    0.004
    """
    accepted = 0.0
    for k, p in enumerate(sorted(p_values), start=1):
        if p <= rate * k / hypotheses:
            accepted = p
    return accepted
