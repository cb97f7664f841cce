"""Perturbations: changes to a text that no reader would take for another meaning.

Each depends on the seed and the text alone, never on the texts beside it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from monitor.understand.companies import Watchlist
from monitor.understand.watchlist import Company

SEED = 13
_WORD = re.compile(r"(?<![\w$@#/.])[A-Za-z]{4,}(?![\w/])")
_HAN_PAIR = re.compile(r"[\u4e00-\u9fff]{2}")
_LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
# Characters that are typed for one another because they sound alike.
_ALIKE = [
    "的地得", "在再", "做作", "帐账", "象像", "他她它", "即既", "已以", "那哪", "份分", "带戴", "像向", "进近", "报暴",
    "至致", "功公", "权全", "期其", "资子", "利力", "势事", "示式", "绩级", "额俄",
]  # fmt: skip
_LIKE = {sign: group.replace(sign, "") for group in _ALIKE for sign in group}
_FULL_WIDTH = str.maketrans(",.!?:;()%", "，。！？：；（）％")
_HALF_WIDTH = str.maketrans("，。！？：；（）％“”‘’【】", ",.!?:;()%\"\"''[]")
# The mark in 8.18, 2,100, 0.5% or 21:30 belongs to the number.
_OUTSIDE_NUMBERS = re.compile(r"(?<!\d)[^\w\s]|[^\w\s](?!\d)(?<!\d%)")
_CURLY = str.maketrans({"'": "’", '"': "”"})


def typos(text: str, chance: random.Random) -> str:
    """A typing error in every eighth word, at least in one; in Chinese in every twentieth character.

    English: two letters swapped, one dropped or one doubled, never the first; tickers, names of accounts and links
    stay. Chinese: a character that sounds alike, else two neighbours swapped.
    """
    words = _outside_links(_WORD, text)
    if words:
        chosen = chance.sample(words, max(1, len(words) // 8))
        return _replaced(text, [(start, end, _mistyped(text[start:end], chance)) for start, end in chosen])
    alike = [place for place, sign in enumerate(text) if sign in _LIKE]
    if alike:
        chosen_signs = chance.sample(alike, min(len(alike), max(1, len(text) // 20)))
        return _replaced(text, [(at, at + 1, chance.choice(_LIKE[text[at]])) for at in chosen_signs])
    neighbours = [found.span() for found in _HAN_PAIR.finditer(text)]
    if not neighbours:
        return text
    start, end = chance.choice(neighbours)
    return text[:start] + text[end - 1] + text[start] + text[end:]


def casing(text: str, chance: random.Random) -> str:
    """All small letters, all capitals or each word with a capital; links stay."""
    change: Callable[[str], str] = chance.choice([str.lower, str.upper, str.title])
    parts, at = [], 0
    for link in _LINK.finditer(text):
        parts += [change(text[at : link.start()]), link.group()]
        at = link.end()
    return "".join(parts) + change(text[at:])


def punctuation(text: str, chance: random.Random) -> str:
    """Curly quotes, full-width marks for half-width ones or the other way round, a full stop added or dropped at the
    end, doubled spaces."""
    if re.search(r"[\u4e00-\u9fff]", text):
        table = chance.choice([_FULL_WIDTH, _HALF_WIDTH])
        changed = _OUTSIDE_NUMBERS.sub(lambda mark: mark[0].translate(table), text)
        changed = changed if _LINK.search(text) is None else text  # a link's marks are its own
        return changed[:-1] if changed[-1:] in ("。", ".") else changed + "。"
    changed = text.translate(_CURLY).replace(" ", "  " if chance.random() < 0.5 else " ")
    if _LINK.search(text):
        return changed
    return changed[:-1] if changed.endswith(".") and not changed.endswith("..") else changed + "."


class CompanySwap:
    """Every company of the watch list that a text names becomes another of the list, named in the same way."""

    def __init__(self, watchlist: Watchlist) -> None:
        self._watchlist = watchlist
        listed = sorted(watchlist, key=lambda company: company.symbol)
        self._by_language = {
            "en": [company for company in listed if company.en and _ticker(company)],
            "zh": [company for company in listed if company.zh],
        }

    def __call__(self, text: str, chance: random.Random) -> str:
        """The text with its companies swapped; as it is when it names none."""
        spans = self._watchlist.spans(text)
        here = {symbol for _, _, symbol in spans}
        chinese = re.search(r"[\u4e00-\u9fff]", text) is not None
        pool = [c for c in self._by_language["zh" if chinese else "en"] if c.symbol not in here]
        if not spans or len(pool) < len(here):
            return text
        instead = dict(zip(sorted(here), chance.sample(pool, len(here)), strict=True))
        return _replaced(
            text, [(start, end, self._named(text[start:end], instead[symbol])) for start, end, symbol in spans]
        )

    def _named(self, written: str, company: Company) -> str:
        if written.startswith("$"):
            return f"${_ticker(company) or company.symbol}"
        if written.isascii() and written.isupper() and len(written) <= 5 and _ticker(company):
            return _ticker(company)
        if re.search(r"[\u4e00-\u9fff]", written):
            return company.name("zh")
        if re.search(r"\d{4,}", written):
            return company.symbol
        name = company.name("en")
        return name.lower() if written.islower() else name.upper() if written.isupper() else name


def _ticker(company: Company) -> str:
    return company.symbol if company.symbol.isalpha() else ""


Perturbation = Callable[[str, random.Random], str]


def perturbations(watchlist: Watchlist) -> dict[str, Perturbation]:
    """Name → perturbation."""
    return {"typos": typos, "casing": casing, "company": CompanySwap(watchlist), "punctuation": punctuation}


def perturbed(name: str, change: Perturbation, text: str, seed: int = SEED) -> str:
    """The text as `change` makes it; the same for the same seed, name and text."""
    return change(text, random.Random(f"{seed}:{name}:{text}"))


def _mistyped(word: str, chance: random.Random) -> str:
    at = chance.randrange(1, len(word) - 1)
    how = chance.choice(["swap", "drop", "double"])
    if how == "swap" and word[at] != word[at + 1]:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at + 1 :] if how == "drop" else word[:at] + word[at] + word[at:]


def _outside_links(pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    links = [link.span() for link in _LINK.finditer(text)]
    return [found.span() for found in pattern.finditer(text) if not any(a <= found.start() < b for a, b in links)]


def _replaced(text: str, changes: Sequence[tuple[int, int, str]]) -> str:
    parts, at = [], 0
    for start, end, new in sorted(changes):
        parts += [text[at:start], new]
        at = end
    return "".join(parts) + text[at:]
