"""The form a text is brought into before a model reads it, the same in training and at run time."""

from __future__ import annotations

import html
import re

# Only printable ASCII belongs to a link: Chinese text often follows one without a space.
_LINK = re.compile(r"(?:https?://|www\.)[!-~]*", re.IGNORECASE)


def normalise(text: str) -> str:
    """Bring a text into the form the models were taught on.

    HTML entities become characters, each link becomes the word `http` (that there is one says something, where
    it leads does not), a lone surrogate becomes `?`, a NUL a blank, and white space is collapsed to single blanks.

    >>> normalise("Profit &amp; loss  https://t.co/bd0xbFGjkT\\n up")
    'Profit & loss http up'
    """
    text = html.unescape(text) if "&" in text else text
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    text = _LINK.sub("http", text.replace("\x00", " "))
    return " ".join(text.split())
