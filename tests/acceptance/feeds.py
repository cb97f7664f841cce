"""Feeds that the acceptance tests make for themselves."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 3, 2, tzinfo=UTC)

_GOOD_NEWS = (
    "{c} raises full-year outlook after a strong quarter",
    "{c} beats estimates, shares climb",
    "{c} wins a large contract in Asia",
    "Analysts upgrade {c} to buy",
)
_PLAIN_NEWS = (
    "{c} to report results on Thursday",
    "{c} names a new head of communications",
    "{c} holds its annual meeting in the capital",
    "What to know about {c} this week",
)
_BAD_NEWS = (
    "{c} shares plunge after profit warning number {n}",
    "{c} misses estimates and cuts its guidance, case {n}",
    "Regulator opens fraud investigation into {c}, file {n}",
    "{c} defaults on bond payment {n}, downgrade follows",
    "Customers sue {c} over losses, lawsuit {n} filed",
)
COMPANIES = ("Apple", "Microsoft", "Amazon", "Chevron", "Pfizer", "Boeing", "Walmart", "Intel")
SYMBOLS = ("AAPL", "MSFT", "AMZN", "CVX", "PFE", "BA", "WMT", "INTC")


def steady(count: int, *, days: float, seed: int = 1) -> list[dict[str, Any]]:
    """`count` messages spread evenly over `days`, a fifth of them bad news, in time order."""
    chance = random.Random(seed)
    step = timedelta(days=days) / count
    return [_message(chance, i, START + i * step, chance.random()) for i in range(count)]


def with_rivals(feed: list[dict[str, Any]], *, every: int) -> list[dict[str, Any]]:
    """The feed, in which one of so many messages names two companies, one of which loses what the other wins."""

    def rivals(number: int) -> dict[str, Any]:
        loser, winner = number % len(COMPANIES), (number + 3) % len(COMPANIES)
        return {
            "text": f"{COMPANIES[loser]} loses its largest contract, number {number}, to {COMPANIES[winner]}",
            "symbols": [SYMBOLS[loser], SYMBOLS[winner]],
        }

    return [message if i % every else message | rivals(i // every) for i, message in enumerate(feed)]


def with_crisis(count: int, *, days: float, crisis: int, seed: int = 1) -> list[dict[str, Any]]:
    """A steady feed with `crisis` bad messages on Boeing within an hour, after four fifths of the time."""
    chance = random.Random(seed + 1)
    begin = START + timedelta(days=days) * 0.8
    bad = [_message(chance, count + i, begin + timedelta(hours=1) * i / crisis, 0.0, company=5) for i in range(crisis)]
    return sorted(steady(count, days=days, seed=seed) + bad, key=lambda message: str(message["published_at"]))


def _message(
    chance: random.Random, number: int, at: datetime, mood: float, company: int | None = None
) -> dict[str, Any]:
    which = chance.randrange(len(COMPANIES)) if company is None else company
    texts = _BAD_NEWS if mood < 0.2 else _GOOD_NEWS if mood < 0.6 else _PLAIN_NEWS
    return {
        "id": f"m{number}",
        "source": "wire" if number % 3 else "forum",
        "kind": "news" if number % 3 else "comment",
        "published_at": at.isoformat(),
        "text": chance.choice(texts).format(c=COMPANIES[which], n=number),
        "lang": "en",
        "symbols": [SYMBOLS[which]],
        "author": f"author{chance.randrange(200)}",
    }
