"""The texts an engine is measured on: short ones of the lengths of tweets, and articles of 300 tokens."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.documents import Document
from monitor.errors import InputError
from monitor.settings import SourcesSettings
from monitor.sources.archive import read_feeds
from monitor.understand.language import detect
from monitor.understand.normalise import normalise

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LENGTHS = (10, 14, 16, 18, 19, 20, 21, 22, 23, 24, 26, 28, 30, 32, 34, 37, 40, 44, 47, 55)
"""Tokens of the tweets of StockNet 2014 (Xu and Cohen 2018), as all-MiniLM-L6-v2 cuts them: quantiles from 2.5 to 97.5
percent, measured on 4,000 of them."""
ARTICLE = 300
RAW, CLEAN, ARTICLES = "as they come", "cleaned", "articles"
"""The sets: short texts as they stand in a feed, the same in the form the engine reads them, so that everybody reads
the same tokens, and long ones in that form."""


def sample() -> Path:
    """The feed that ships."""
    return Path(str(resources.files("monitor.sample") / "feed.jsonl.gz"))


def texts_of(feed: Path | None, language: str, tokenizer: Tokenizer, count: int, articles: int) -> dict[str, list[str]]:
    """The sets, every text of one another.

    Args:
        feed: short texts as they stand in it; None: the sample feed's, joined and cut to the lengths of tweets.

    Raises:
        InputError: the feed holds too little text of the language.
    """
    with read_feeds((feed or sample(),), SourcesSettings()) as records:
        bodies = [record.content.body for record in records if isinstance(record.content, Document)]
    plain = {normalise(body): body for body in bodies if detect(body, None) == language}
    read = list(plain)
    if not read:
        raise InputError(f"{feed or sample()} holds no text in {language}; name another with --feed")
    chance = random.Random(7)
    chance.shuffle(read)
    found: dict[str, list[str]] = {}
    if feed is None:
        found[CLEAN] = list(islice(_cut(read, tokenizer, chance, LENGTHS), count))
    elif len(read) < count:
        raise InputError(f"{feed} holds {len(read)} different texts in {language}; {count} are needed (--texts)")
    else:
        found[RAW] = [plain[text] for text in read[:count]]
        found[CLEAN] = read[:count]
    if articles:
        found[ARTICLES] = list(islice(_cut(read, tokenizer, chance, (ARTICLE,)), articles))
    return found


def _cut(read: Sequence[str], tokenizer: Tokenizer, chance: random.Random, lengths: Sequence[int]) -> Iterator[str]:
    """Endlessly texts of so many tokens, made of some that were read, no two alike."""
    seen: set[str] = set()
    while True:
        tokens = chance.choice(lengths)
        joined = " ".join(chance.choices(read, k=1 + tokens // 8))
        offsets = tokenizer.encode(joined, add_special_tokens=False).offsets
        text = joined[: offsets[min(tokens, len(offsets)) - 1][1]]
        if text not in seen:
            seen.add(text)
            yield text
