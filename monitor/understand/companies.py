"""Which companies of the watch list a text mentions.

All names and all ways of writing each code are searched for in one pass (Aho and Corasick 1975, by pyahocorasick).
What is found must stand between word boundaries (Chinese has none), be written as the entry demands, and overlap
no longer find: in "中国平安" nothing finds "平安", and "平安夜" shields the name it holds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import ahocorasick

from monitor.understand.codes import Rule, forms, key
from monitor.understand.watchlist import SHIPPED_WATCHLIST, Company, read_companies, refused

__all__ = ["Company", "Watchlist"]


class _Pattern(NamedTuple):
    length: int
    symbol: str
    rule: Rule
    written: str  # as the list has it


class _Found(NamedTuple):
    length: int
    start: int
    pattern: _Pattern


class Watchlist:
    """The companies to watch, and the machine that finds them."""

    def __init__(self, companies: Sequence[Company], path: Path = SHIPPED_WATCHLIST) -> None:
        self.companies: Mapping[str, Company] = {company.symbol: company for company in companies}
        self._codes: dict[str, str] = {}
        self._patterns: dict[str, _Pattern] = {}
        for company in companies:
            self._enter(company, path)
        self._automaton = ahocorasick.Automaton()
        for folded, pattern in self._patterns.items():
            self._automaton.add_word(folded, pattern)
        if self._patterns:
            self._automaton.make_automaton()

    @classmethod
    def load(cls, path: Path | None = None) -> Watchlist:
        """Read a watch list (see `watchlist.py` for the format); the one that ships when no path is given.

        Raises:
            SettingsError: the file of `engine.watchlist` cannot be read, or an entry is not what it should be.
        """
        path = path or SHIPPED_WATCHLIST
        return cls(read_companies(path), path)

    def __len__(self) -> int:
        return len(self.companies)

    def __iter__(self) -> Iterator[Company]:
        return iter(self.companies.values())

    def __contains__(self, symbol: object) -> bool:
        return symbol in self.companies

    def resolve(self, symbol: str) -> str | None:
        """The listed symbol that a source means by `symbol` (`GOOG`, `$fb`, `HK00700`); None if none is listed."""
        return symbol if symbol in self.companies else self._codes.get(key(symbol))

    def match(self, text: str, symbols: Sequence[str] = ()) -> tuple[str, ...]:
        """The symbols of the companies that `text` mentions or its source declared, sorted, each once.

        Args:
            text: the text as it came.
            symbols: what the source declared; those that are not on the list are left out.
        """
        declared = self._declared(symbols)
        return tuple(sorted(declared.union(found.pattern.symbol for found in self._find(text, declared))))

    def spans(self, text: str, symbols: Sequence[str] = ()) -> list[tuple[int, int, str]]:
        """Where `text` mentions a company: (start, end, symbol) in order, not overlapping; arguments as `match`."""
        found = self._find(text, self._declared(symbols))
        return sorted((start, start + length, pattern.symbol) for length, start, pattern in found)

    def _declared(self, symbols: Sequence[str]) -> set[str]:
        return {found for symbol in symbols if (found := self.resolve(symbol))}

    def _enter(self, company: Company, path: Path) -> None:
        cased, ambiguous = set(company.cased), set(company.ambiguous)
        for name in company.names():
            rule = Rule.AMBIGUOUS if name in ambiguous else Rule.CASED if name in cased else Rule.ANY
            if rule is Rule.CASED and not _LATIN.search(name):
                rule = Rule.AMBIGUOUS  # where there are no capitals only the context can tell
            self._add(name, company.symbol, rule, path)
        for code in (company.symbol, *company.codes):
            for form, rule in forms(code):
                self._add(form, company.symbol, rule, path)
                self._codes.setdefault(key(form), company.symbol)
            self._codes.setdefault(key(code), company.symbol)
        for phrase in company.exceptions:
            folded = phrase.translate(_FOLD)
            if folded not in self._patterns:
                self._patterns[folded] = _Pattern(len(folded), "", Rule.EXCEPT, phrase)

    def _add(self, written: str, symbol: str, rule: Rule, path: Path) -> None:
        folded = written.translate(_FOLD)
        known = self._patterns.get(folded)
        if known and known.symbol not in (symbol, ""):
            raise refused(path, symbol, f"the name or code {written!r} already belongs to {known.symbol}")
        if known is None or not known.symbol or rule < known.rule:
            self._patterns[folded] = _Pattern(len(folded), symbol, rule, written)

    def _find(self, text: str, declared: set[str]) -> list[_Found]:
        """The mentions, the longest first."""
        if not self._patterns:
            return []
        folded = text.translate(_FOLD)
        candidates = [
            _Found(pattern.length, last - pattern.length + 1, pattern)
            for last, pattern in self._automaton.iter(folded)
            if _stands_alone(folded, last - pattern.length + 1, last + 1)
            and _written(text, folded, last - pattern.length + 1, pattern)
        ]
        if any(c.pattern.rule is Rule.DIGITS for c in candidates) and not _HAN.search(text):
            candidates = [c for c in candidates if c.pattern.rule is not Rule.DIGITS]
        if not candidates:
            return candidates
        if len(candidates) > 1:
            candidates = _longest(candidates)
        if "://" in folded or "www." in folded:
            candidates = _outside_links(candidates, folded)
        sure = declared.union(c.pattern.symbol for c in candidates if c.pattern.rule < Rule.AMBIGUOUS)
        return [
            c
            for c in candidates
            if c.pattern.rule < Rule.AMBIGUOUS
            or c.pattern.rule is Rule.DIGITS
            or (c.pattern.rule is Rule.AMBIGUOUS and (c.pattern.symbol in sure or _in_context(text, c)))
        ]


class _Fold(dict[int, int]):
    """One character for one, so that offsets stay true: lower case, half width, plain spaces and marks."""

    def __missing__(self, code: int) -> int:
        character = unicodedata.normalize("NFKC", chr(code)).lower()
        folded = ord(character) if len(character) == 1 else code
        self[code] = folded
        return folded


_FOLD = _Fold()
_FOLD.update(str.maketrans("\n\r\t\u00a0\u3000‘’`´‐‑‒–—―－", "     ''''-------"))

_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_LINK = re.compile(r"(?:\w+://|www\.)\S+")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")

# Words that, right after a name, say that a company is meant.
_COMPANY_WORDS = (
    "shares?|stocks?|stores?|earnings|revenues?|profits?|sales|results|guidance|dividends?|bonds|investors|"
    "shareholders|management|execs?|executives?|ceo|cfo|chairman|employees|inc|corp|corporation|co|company|plc|ltd|"
    "group|holdings|bulls?|bears?|calls|puts|options|longs|shorts|said|says|reports?|reported|posts|posted|beats?|"
    "misses|missed|announces?|announced|unveils?|unveiled|plans|launches|sues|sued|acquires|buys|q[1-4]|fiscal"
)
_FOLLOWED = re.compile(rf"(?:'s)?[ ,]+(?:{_COMPANY_WORDS})\b")
_POSSESSIVE = re.compile(r"'s ")
_MID_SENTENCE = re.compile(r"(?:^|[\s(\"'“‘])[a-z][a-z']*,? $")
_COMPANY_WORDS_ZH = re.compile(
    r"[（(\s]*(?:公司|集团|股份|股价|股票|财报|业绩|年报|季报|中报|市值|控股|董事|总裁|高管|营收|净利|转债|的股|"
    r"涨|跌|大涨|大跌|暴跌|回购|增持|减持|发布|宣布|回应|否认|被罚|收购|盘中|早盘|午后|收盘|高开|低开|[ah]股)"
)
_NUMBER_BEFORE = re.compile(r"\d ?$")
_AMOUNT_AFTER = re.compile(r"[\d.,%元万亿股手人份张个吨美港块]")


def _wordish(character: str) -> bool:
    """Whether a word of a spaced script goes on through this character."""
    return (character.isalnum() and character < "\u2e80") or character == "_"


def _stands_alone(folded: str, start: int, end: int) -> bool:
    first, last = folded[start], folded[end - 1]
    if start and (_wordish(first) or first in "$#"):
        before = folded[start - 1]
        if _wordish(before) or before == "$" or (before == "." and start > 1 and _wordish(folded[start - 2])):
            return False
    return not (end < len(folded) and _wordish(last) and _wordish(folded[end]))


def _written(text: str, folded: str, start: int, pattern: _Pattern) -> bool:
    """Whether the find is written as its rule demands, as far as that can be seen without the rest of the text."""
    rule, end = pattern.rule, start + pattern.length
    if rule is Rule.ANY or rule is Rule.EXCEPT:
        return not (folded[start] == "$" and _SHARE_CLASS.match(text, end))
    original = text[start:end]
    if rule is Rule.CAPITALS:
        if start and text[start - 1] == "@":
            return False
        return original.isupper() and not (_SHARE_CLASS.match(text, end))
    if rule is Rule.DIGITS:
        return _is_code(folded, start, end)
    as_listed = original == pattern.written or original.isupper() or not _LATIN.search(pattern.written)
    if rule is Rule.CASED and pattern.length == 2 and _NUMBER_BEFORE.search(folded, max(0, start - 2), start):
        return False  # 25 BP is a measure
    if rule is Rule.CASED:
        # "apple shares" is Apple's, but "ups sales" is not what UPS sells.
        return as_listed or (not pattern.written.isupper() and _FOLLOWED.match(folded, end) is not None)
    return True


# After a ticker: it was only the first part of another one, such as RDS.A.
_SHARE_CLASS = re.compile(r"[.\-/][A-Z]{1,2}(?![A-Za-z])")


def _is_code(folded: str, start: int, end: int) -> bool:
    if folded[start:end].endswith("000"):
        return False
    before = folded[start - 1] if start else " "
    return before not in ".,-+$¥" and not _AMOUNT_AFTER.match(folded, end)


def _in_context(text: str, found: _Found) -> bool:
    """Whether the words around an ambiguous name show that the company is meant."""
    start, end = found.start, found.start + found.length
    if not _LATIN.search(found.pattern.written):
        return _COMPANY_WORDS_ZH.match(text, end) is not None
    original = text[start:end]
    if not (original == found.pattern.written or original.isupper()) or (start and text[start - 1] == "@"):
        return False
    after = text[end : end + 24].translate(_FOLD)
    if _FOLLOWED.match(after) or _POSSESSIVE.match(after):
        return True
    # A capital within a sentence otherwise in small letters; a digit or an all-capitals spelling shows nothing.
    return (
        original[0].isalpha()
        and original == found.pattern.written
        and _MID_SENTENCE.search(text[max(0, start - 24) : start]) is not None
    )


def _longest(candidates: list[_Found]) -> list[_Found]:
    """Those that overlap no longer one, the longest first; in time that goes with what was found, not its square."""
    candidates.sort(key=lambda found: (-found.length, found.start, found.pattern.symbol))
    taken = bytearray(max(found.start + found.length for found in candidates))
    kept: list[_Found] = []
    for found in candidates:
        end = found.start + found.length
        if not any(taken[found.start : end]):
            taken[found.start : end] = b"\x01" * found.length
            kept.append(found)
    return kept


def _outside_links(candidates: list[_Found], folded: str) -> list[_Found]:
    links = bytearray(len(folded))
    for link in _LINK.finditer(folded):
        links[link.start() : link.end()] = b"\x01" * (link.end() - link.start())
    return [found for found in candidates if not links[found.start]]
