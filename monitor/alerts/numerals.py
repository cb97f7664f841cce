"""Numbers as an analyst reads them, rounded so that the text is stable."""

from __future__ import annotations

import math
from datetime import datetime

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def count(value: float) -> str:
    """An expected count: whole from 10 on, one decimal below, two below 0.1.

    >>> count(41.3), count(2.13), count(0.04), count(0.001), count(0), count(12345)
    ('41', '2.1', '0.04', 'under 0.01', '0', '12,345')
    """
    if value == 0:
        return "0"
    if value < 0.01:
        return "under 0.01"
    if value < 0.095:
        return f"{value:.2f}"
    if value < 9.95:
        return f"{value:.1f}"
    return f"{value:,.0f}"


def lift(value: float) -> str:
    """Observed over expected, to two digits.

    >>> lift(19.7), lift(3.42), lift(104.0), lift(5000), lift(float("inf"))
    ('×20', '×3.4', '×100', 'over ×1000', 'over ×1000')
    """
    if value > 1000:
        return "over ×1000"
    if value < 9.95:
        return f"×{value:.1f}"
    digits = len(str(round(value))) - 2
    return f"×{round(value, -digits):.0f}"


def probability(value: float) -> str:
    """A probability to one digit.

    >>> probability(3.4e-22), probability(1e-5), probability(0.004), probability(0.04), probability(0)
    ('3·10⁻²²', '10⁻⁵', '0.004', '0.04', 'under 10⁻³⁰⁰')
    """
    if value < 1e-300:
        return f"under 10{str(-300).translate(_RAISED)}"
    if value >= 0.001:
        return f"{value:.1g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    power = f"10{str(int(exponent)).translate(_RAISED)}"
    return power if mantissa == "1" else f"{mantissa}·{power}"


def percent(value: float) -> str:
    """A share in per cent.

    >>> percent(0.6508), percent(0.004), percent(0)
    ('65 %', '0.4 %', '0 %')
    """
    if 0 < value < 0.0095:
        return f"{100 * value:.1f} %"
    return f"{100 * value:.0f} %"


def significant(value: float, digits: int = 6) -> float:
    """A number cut to some significant digits, for files that are compared byte by byte.

    >>> significant(3.14159265e-22), significant(0.0), significant(41.0)
    (3.14159e-22, 0.0, 41.0)
    """
    return float(f"{value:.{digits - 1}e}") if math.isfinite(value) else value


def window(minutes: int) -> str:
    """A span of minutes in words.

    >>> window(5), window(60), window(180), window(1440), window(2880)
    ('5 minutes', 'hour', '3 hours', 'day', '2 days')
    """
    for size, name in ((1440, "day"), (60, "hour")):
        if minutes % size == 0:
            return name if minutes == size else f"{minutes // size} {name}s"
    return f"{minutes} minutes"


def instant(value: datetime) -> str:
    """A UTC time as in ISO 8601, with Z.

    >>> from datetime import UTC
    >>> instant(datetime(2026, 3, 2, 14, 20, tzinfo=UTC))
    '2026-03-02T14:20:00Z'
    """
    return f"{value:%Y-%m-%dT%H:%M:%S}Z"
