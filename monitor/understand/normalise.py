"""The form a text is brought into before a model reads it, the same in training and at run time."""

from __future__ import annotations

import html
import re
from itertools import islice

# Only printable ASCII belongs to a link: Chinese text often follows one without a space.
_LINK = re.compile(r"(?:https?://|www\.)[!-~]*", re.IGNORECASE)
_WORD = re.compile(r"\w")
_NOT_WORD = re.compile(r"\W+")
_HEAD, _LEAST = 12, 16
"""Letters a repetition is looked for by, and how many must be repeated at least."""


def normalise(text: str) -> str:
    """Bring a text into the form the models were taught on.

    HTML entities become characters, each link becomes the word `http` (that there is one says something, where
    it leads does not), a lone surrogate becomes `?`, a NUL a blank, and white space is collapsed to single blanks. A
    text that says everything twice, such as a title and a body that begins with it, is read once.

    >>> normalise("Profit &amp; loss  https://t.co/bd0xbFGjkT\\n up")
    'Profit & loss http up'
    """
    text = html.unescape(text) if "&" in text else text
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    text = _LINK.sub("http", text.replace("\x00", " "))
    return _said_once(" ".join(text.split()))


def _said_once(text: str) -> str:
    """The text without its beginning, where what follows says all of that again; punctuation does not count.

    >>> _said_once("Halvern Bank cuts its outlook... Halvern Bank cuts its outlook for 2026, shares fall")
    'Halvern Bank cuts its outlook for 2026, shares fall'
    """
    words = _NOT_WORD.sub("", text)
    again = words.find(words[:_HEAD], _LEAST) if len(words) >= 2 * _LEAST else -1
    if again < 0 or not words.startswith(words[:again], again):
        return text
    return text[next(islice(_WORD.finditer(text), again, None)).start() :]
