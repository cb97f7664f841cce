"""Which texts tell the same story: SimHash fingerprints and the folding of near-duplicates.

A retweet, a syndicated copy or a repost with another link must count once. Each text is normalised, cut into
shingles and hashed to 64 bits such that similar texts differ in few bits (Charikar, "Similarity estimation
techniques from rounding algorithms", STOC 2002; used for near-duplicates by Manku et al., WWW 2007).

Fingerprints are stored, so they must never change: no `hash()`, no dependence on byte order or version.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

_LINK = re.compile(r"(?:https?://|www\.|\bt\.co/|pic\.twitter\.com/)\S*", re.IGNORECASE)
# Retweets by hand and by machine, and 转: / 转发: / //@name: of Chinese services.
_RETWEET = re.compile(r"^\W*(?:(?:rt|mt|via)\s+@\w+\s*:?\s*|转发?(?:微博)?\s*:\s*|/?/?@\w+\s*:\s*)+", re.IGNORECASE)
_MENTION = re.compile(r"@\w+")
_ENTITY = re.compile(r"&#?\w+;")
# A run of Chinese, Japanese or Korean characters, or a word or number of any other script.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
_IS_CJK = re.compile(rf"[{_CJK}]")

# Texts with fewer tokens (words, or Han characters) than this have too few shingles for a graded likeness: their
# fingerprint is a plain hash, so that only equal normalised texts come together.
SHORTEST = 5
# Bits two fingerprints of one story may differ in, see `stories`.
WITHIN = 6


def normalise(text: str) -> str:
    """The text without what copies of a story differ in.

    Gone are links, the retweet prefix, @mentions, the signs of cash- and hashtags, case, punctuation, character
    width and white space. A text that consists of nothing else gives "".

    >>> normalise("RT @desk: $HLVN  beats forecasts! https://example.com/a1")
    'hlvn beats forecasts'
    """
    return " ".join(_tokens(text))


def fingerprint(text: str) -> int:
    """A signed 64-bit SimHash of the normalised text.

    Features are shingles of one to three words, and two and three characters within runs of Chinese, each with
    weight 1. Texts under five words (or Han characters) are hashed whole.
    """
    tokens = _tokens(text)
    size = sum(len(token) if _IS_CJK.match(token) else 1 for token in tokens)
    if size < SHORTEST:
        # Where no word is left, the signs tell emoji from emoji, and then the links one link from another.
        signs = "".join(_MENTION.sub("", _LINK.sub("", text)).split())
        return _signed(_word(" ".join(tokens) or signs or text))
    hashes = _shingles(tokens)
    bits = np.unpackbits(hashes.astype("<u8").view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
    votes = bits.sum(axis=0, dtype=np.int64)
    packed = np.packbits(votes * 2 > len(hashes), bitorder="little")
    return _signed(int.from_bytes(packed.tobytes(), "little"))


def distance(a: int, b: int) -> int:
    """In how many of the 64 bits two fingerprints differ."""
    return ((a ^ b) & 0xFFFF_FFFF_FFFF_FFFF).bit_count()


def stories(items: Sequence[tuple[Hashable, int]], within: int = WITHIN) -> list[list[Hashable]]:
    """Fold near-duplicates: each item joins the first earlier story whose first member is near enough.

    The default bound: of tweets whose retweet was cut at 140 characters 85 % are folded, while distinct messages
    of one template ("X just reported earnings") mostly stay apart; from 7 bits on, such pairs outnumber copies.

    Args:
        items: (key, fingerprint) in the order in which stories should be named, normally by time.
        within: bits by which an item may differ from the first member of its story, 0 to 64.

    Returns: the keys of each story, in order of first appearance; every key of `items` stands in exactly one.
    """
    found: list[list[Hashable]] = []
    place: dict[int, int] = {}  # a fingerprint seen before → its story
    heads = np.empty(len(items), dtype=np.uint64)
    for key, mark in items:
        story = place.get(mark)
        if story is None:
            known = heads[: len(found)]
            value = np.uint64(mark & 0xFFFF_FFFF_FFFF_FFFF)
            near = np.flatnonzero(np.bitwise_count(known ^ value) <= within)
            if near.size:
                story = int(near[0])
            else:
                story = len(found)
                heads[story] = value
                found.append([])
            place[mark] = story
        found[story].append(key)
    return found


def _tokens(text: str) -> list[str]:
    text = _ENTITY.sub(" ", _LINK.sub(" ", text))
    text = unicodedata.normalize("NFKC", text).casefold()
    text = _MENTION.sub(" ", _RETWEET.sub("", text))
    # An apostrophe belongs to its word, however it is drawn.
    return _TOKEN.findall(text.replace("’", "").replace("'", ""))


def _shingles(tokens: list[str]) -> Words:
    """Hashes of all features, shape (features,)."""
    parts: list[Words] = []
    words: list[int] = []
    for token in tokens:
        if _IS_CJK.match(token):
            characters = np.frombuffer(token.encode("utf-32-le"), dtype="<u4").astype(np.uint64)
            parts += _grams(_mixed(characters), (2, 3) if len(token) > 1 else (1,))
        else:
            words.append(_word(token))
    if words:
        parts += _grams(np.array(words, dtype=np.uint64), (1, 2, 3))
    return np.concatenate(parts)


def _grams(units: Words, lengths: tuple[int, ...]) -> list[Words]:
    """Hashes of the runs of each length: a polynomial in the units' hashes, then mixed."""
    found = []
    for length in lengths:
        if len(units) < length:
            continue
        total = np.full(len(units) - length + 1, length, dtype=np.uint64)
        for offset in range(length):
            total = total * _FACTOR + units[offset : offset + len(total)]
        found.append(_mixed(total))
    return found


_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def _mixed(values: Words) -> Words:
    """The finaliser of SplitMix64 (Steele et al., 2014): every input bit reaches every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@lru_cache(maxsize=1 << 16)
def _word(token: str) -> int:
    return int.from_bytes(hashlib.blake2b(token.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
