"""Texts changed such that their labels stay true: other companies, other numbers, other spelling.

Words of direction (rises, cuts, 扭亏) are never touched, nor are a number's sign and which of a text's numbers is the
larger: they are what the label hangs on.
"""

from __future__ import annotations

import math
import random
import re
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

from monitor.understand.companies import Watchlist
from monitor.understand.toward import MARKERS
from training.data.examples import Example
from training.recipe import Augment

_NAMED = r"(?:S&P|FTSE|CAC|DAX|Nikkei|Russell|Stoxx|STOXX|CSI|沪深|中证|标普)\s?\d+"
# A number, unless it is a name's: the 500 of an index, the 10 of a 10-Q, the 30 of a 30-year bond.
_NUMBER = re.compile(rf"{_NAMED}|(?<![\w.])(?P<number>\d+(?:[,.]\d+)*)(?![\d,.]*-[A-Za-z])")
_YEAR = re.compile(r"(19|20)\d\d")
TRIES = 20
"""Draws of other numbers for a text, until one keeps their order; after them the numbers stay."""
_WORD = re.compile(r"(?<![$@#\w])[A-Za-z]{5,}(?!\w)")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_MARKERS = [marker for pair in MARKERS.values() for marker in pair]
_MARKED = re.compile(f"({'|'.join(map(re.escape, _MARKERS))})")
_SUBSTITUTES = Path(__file__).with_name("substitutes.toml")


class Changer:
    """Changes a text at random, anew at each call; draws from `random`, whose state a checkpoint keeps."""

    def __init__(self, augment: Augment, watchlist: Watchlist) -> None:
        self._augment = augment
        self._watchlist = watchlist
        self._codes = [company.symbol for company in watchlist if company.symbol.isalpha()]
        self._others = Substitutes()
        self._names = {
            "en": [company.en for company in watchlist if company.en],
            "zh": [company.zh for company in watchlist if company.zh],
        }

    def __call__(self, example: Example) -> str:
        """Another text with the same labels; often the same text. Markers of companies stay as they are."""
        if example.target is None:
            text = self._swapped(example.text) if _befalls(self._augment.company) else example.text
            return self._changed(text)
        return "".join(part if part in _MARKERS else self._changed(part) for part in _MARKED.split(example.text))

    def _changed(self, text: str) -> str:
        share = self._augment
        if _befalls(share.country):
            text = self._others.country(text)
        if _befalls(share.person):
            text = self._others.person(text)
        if _befalls(share.numbers):
            text = _other_numbers(text)
        if _befalls(share.typos):
            text = _WORD.sub(lambda found: self._misspelt(found[0]) if random.random() < 0.15 else found[0], text)
        if _befalls(share.casing):
            text = text.upper() if random.random() < 0.5 else text.lower()
        return text

    def _misspelt(self, word: str) -> str:
        return word if self._others.tells_direction(word) else _misspelt(word)

    def _swapped(self, text: str) -> str:
        others: dict[str, str] = {}
        parts, at = [], 0
        for start, end, symbol in self._watchlist.spans(text):
            written = text[start:end]
            if symbol not in others:
                kind = "zh" if _HAN.search(written) else "en"
                others[symbol] = random.choice(self._codes if written.startswith("$") else self._names[kind])
            other = f"${others[symbol]}" if written.startswith("$") else others[symbol]
            parts += [text[at:start], other]
            at = end
        return "".join(parts) + text[at:]


class Substitutes:
    """Countries, people and words of gender, and what may stand in their place (`substitutes.toml`)."""

    def __init__(self) -> None:
        tree = tomllib.loads(_SUBSTITUTES.read_text(encoding="utf-8"))
        self._countries: dict[str, tuple[int, int, int]] = {}
        self._forms = [group["forms"] for group in tree["country"]]
        for place, group in enumerate(self._forms):
            for row, forms in enumerate(group):
                self._countries |= {form: (place, row, column) for column, form in enumerate(forms)}
        self._gender: dict[str, str] = {}
        for group in tree["gender"]:
            for man, woman in reversed(group["pairs"]):
                self._gender |= {man: woman, woman: man, man.capitalize(): woman.capitalize()}
                self._gender |= {woman.capitalize(): man.capitalize()}
        self._gender["him"] = "her"
        self._first_names = [name for group in tree["name"] for name in group["names"]]
        self._find_country = _any_of(self._countries)
        self._find_person = _any_of([*self._gender, *self._first_names])
        self._directions = tuple(tree["direction"])

    def tells_direction(self, word: str) -> bool:
        """Whether a label may hang on the English word: it begins as a word of direction does."""
        return word.casefold().startswith(self._directions)

    def country(self, text: str) -> str:
        """Each country of the text made another one, the same wherever it stands."""
        others: dict[tuple[int, int], int] = {}

        def other(found: re.Match[str]) -> str:
            place, row, column = self._countries[found[0]]
            group = self._forms[place]
            return str(group[others.setdefault((place, row), random.randrange(len(group)))][column])

        return self._find_country.sub(other, text)

    def person(self, text: str) -> str:
        """Men made women and women men throughout the text, and first names others."""
        names: dict[str, str] = {}

        def other(found: re.Match[str]) -> str:
            word = found[0]
            if word in self._gender:
                return self._gender[word]
            return names.setdefault(word, random.choice(self._first_names))

        return self._find_person.sub(other, text)


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    """Any of the words as a whole one. Chinese ones are not set apart by blanks; 其他 is no 他 and 欧美国家 no 美国."""
    longest = sorted(words, key=len, reverse=True)
    plain = "|".join(re.escape(word) for word in longest if not _HAN.search(word))
    han = "|".join(re.escape(word) for word in longest if _HAN.search(word))
    return re.compile(rf"(?<![\w$@#.])(?:{plain})(?!\w|\.\w)|(?<![其子欧南北])(?:{han})")


def _befalls(share: float) -> bool:
    return share > 0 and random.random() < share


def _other_numbers(text: str) -> str:
    """Other numbers in the place of a text's, equal ones the same, and the larger of two still the larger."""
    written = list(dict.fromkeys(found["number"] for found in _NUMBER.finditer(text) if found["number"]))
    for _ in range(TRIES):
        others = [_other_number(number) for number in written]
        if _ranks(others) == _ranks(written):
            other = dict(zip(written, others, strict=True))
            return _NUMBER.sub(lambda found, other=other: other.get(found["number"], found[0]), text)  # type: ignore[misc]
    return text


def _ranks(numbers: Sequence[str]) -> list[int]:
    """Place of each number in their order; years, which no amount is compared with, come last."""
    values = [math.inf if _YEAR.fullmatch(number) else _value(number) for number in numbers]
    order = sorted(set(values))
    return [order.index(value) for value in values]


def _value(written: str) -> float:
    whole, *decimals = written.replace(",", "").split(".")
    return float(f"{whole}.{''.join(decimals)}")


def _other_number(written: str) -> str:
    """Other digits of the same count; years and single digits stay."""
    if len(written) < 2 or _YEAR.fullmatch(written):
        return written
    first, rest = written[0], written[1:]
    digits = [str(random.randint(1, 9)) if first.isdigit() and first != "0" else first]
    digits += [str(random.randint(0, 9)) if sign.isdigit() else sign for sign in rest]
    return "".join(digits)


def _misspelt(word: str) -> str:
    """Two inner letters swapped, or one dropped or doubled."""
    at = random.randint(1, len(word) - 3)
    kind = random.randint(0, 2)
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at + 1 :] if kind == 1 else word[:at] + word[at] + word[at:]
