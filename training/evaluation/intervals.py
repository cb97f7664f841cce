"""How far a share may be off, given how few answers it is made of."""

from __future__ import annotations

from math import sqrt

Z = 1.959964  # 95 %


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `right` in `count`.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    >>> low, high = wilson(8, 10)
    >>> round(low, 3), round(high, 3)
    (0.49, 0.943)
    """
    if count == 0:
        return 0.0, 1.0
    share = right / count
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    reach = Z / (1 + Z**2 / count) * sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return max(0.0, middle - reach), min(1.0, middle + reach)
