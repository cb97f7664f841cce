"""The form a text is brought into before a model reads it, the same in training and at run time."""

from __future__ import annotations

import html
import re
from functools import lru_cache

# Only printable ASCII belongs to a link: Chinese text often follows one without a space.
_LINK = re.compile(r"(?:https?://|www\.)[!-~]*", re.IGNORECASE)
# What two copies of a sentence may differ in: blanks, quotes, and signs that end or part sentences. Where a sign or a
# point of a number, an emoji or a bracket differs, it is another text.
_LOOSE = re.compile(r"""[\s"“”‘’「」『』《》【】。，、;；:：!！?？…|~]|(?<!\d)[.,]|[.,](?!\d)|[-–—](?!\d)""")
_RETWEET = re.compile(r"(?:RT @\w+:? )+(?=\S)")
_SHORT = 1_000  # characters up to which a text's form is remembered
_HEAD, _LEAST = 12, 16
"""Letters a repetition is looked for by, and how many must be repeated at least."""


def normalise(text: str) -> str:
    """Bring a text into the form the models were taught on: cleaned, and read once if it says everything twice.

    A title and a body that begins with it, or a post that was copied behind itself, would count double.

    >>> normalise("Profit &amp; loss  https://t.co/bd0xbFGjkT\\n up")
    'Profit & loss http up'
    >>> normalise("Halvern Bank cuts its outlook... Halvern Bank cuts its outlook for 2026, shares fall")
    'Halvern Bank cuts its outlook for 2026, shares fall'
    """
    return _remembered(text) if len(text) <= _SHORT else _said_once(cleaned(text))


@lru_cache(maxsize=8_192)
def _remembered(text: str) -> str:
    # Several parts of a model and the cache of scores ask for the same text within moments.
    return _said_once(cleaned(text))


def cleaned(text: str) -> str:
    """A text without what its source left in it.

    HTML entities become characters, each link becomes the word `http` (that there is one says something, where
    it leads does not), a lone surrogate becomes `?`, a NUL a blank, and white space is collapsed to single blanks. Of a
    retweet `RT @NAME:` goes: it says who passed the text on, not what it says.
    """
    text = html.unescape(text) if "&" in text else text
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    text = _LINK.sub("http", text.replace("\x00", " "))
    text = " ".join(text.split())
    found = _RETWEET.match(text)
    return text[found.end() :] if found else text


def _said_once(text: str) -> str:
    """The text from the last place on from where it says again all it said before."""
    letters = _LOOSE.sub("", text)
    unit = letters.find(letters[:_HEAD], _LEAST) if len(letters) >= 2 * _LEAST else -1
    if unit < 0 or not letters.startswith(letters[:unit], unit):
        return text
    again = unit
    while letters.startswith(letters[:unit], again + unit):
        again += unit
    # Where that letter stands in the text: as far in as there are letters before it.
    left = again
    for place, _ in enumerate(text):
        if not _LOOSE.match(text, place):
            if not left:
                return text[place:]
            left -= 1
    return text
