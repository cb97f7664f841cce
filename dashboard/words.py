"""The pages' own words, in English and Chinese."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "zh")
Translate = Callable[..., str]


@cache
def _dictionary() -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))


def translator(lang: str) -> Translate:
    """A function from a key of `words.toml` to the words in `lang`, with `{name}` filled from its arguments.

    >>> translator("zh")("alerts")
    '警报'
    """
    index = lang if lang in LANGUAGES else "en"

    def translate(key: str, **values: object) -> str:
        found = _dictionary()[key][index]
        return found.format(**values) if values else found

    return translate
