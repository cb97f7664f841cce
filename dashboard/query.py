"""Reading an address's query: what a person may have typed, so everything in it is checked."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from urllib.parse import parse_qsl

_LONGEST = 300


def parse(search: str) -> dict[str, str]:
    """The values by name; the first of each, cut at a bound, without control characters.

    >>> parse("?topic=macro&q=%E6%B2%A7%E6%BE%9C&q=x")
    {'topic': 'macro', 'q': '沧澜'}
    """
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(search.lstrip("?"), max_num_fields=50, errors="ignore")
    except ValueError:
        return found
    for name, value in pairs:
        found.setdefault(name, clean(value))
    return found


def clean(value: str | None) -> str:
    """A value fit for the database: no control characters (Postgres refuses NUL), of bounded length."""
    return "".join(sign for sign in str(value or "") if sign.isprintable())[:_LONGEST].strip()


def one_of(value: str | None, allowed: Collection[str], default: str = "") -> str:
    """The value if it is one of those allowed."""
    return value if value and value in allowed else default


def instant(value: str | None) -> datetime | None:
    """A date, or a date and time, in UTC unless it says otherwise; None for nothing.

    Raises:
        ValueError: it is none of these.

    >>> instant("2026-03-02 14:30").isoformat()
    '2026-03-02T14:30:00+00:00'
    """
    if not value or not value.strip():
        return None
    found = datetime.fromisoformat(value.strip())
    if found.tzinfo is None:
        return found.replace(tzinfo=UTC)
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise ValueError(value) from None
