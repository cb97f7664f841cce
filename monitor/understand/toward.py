"""Sentiment toward one of several companies: the text as the model is shown it, marked for that company.

The target's mentions become one marker and those of the others another, so that the model reads who is meant from the
text alone and cannot know any company by its name. Marked and unmarked texts go through the same network; it was
taught on both.
"""

from __future__ import annotations

from collections.abc import Sequence

MARKERS = {"en": ("[this company]", "[another company]"), "zh": ("［本公司］", "［其他公司］")}
"""Language → what stands for the target, and for every other company. Languages not here take English."""


def aimed(text: str, spans: Sequence[tuple[int, int, str]], target: str, lang: str | None) -> str:
    """The text marked for one company.

    Args:
        text: as it came.
        spans: (start, end, symbol) of every mention, ascending, not overlapping, as `Watchlist.spans` gives them.
        target: the symbol meant. One without a mention (a source's tag) is put in front of the text.
        lang: ISO 639-1 code of the text.

    >>> aimed("Acme gains on Bolt's recall", [(0, 4, "ACM"), (14, 18, "BLT")], "BLT", "en")
    "[another company] gains on [this company]'s recall"
    """
    this, another = MARKERS.get(lang or "", MARKERS["en"])
    parts, at, found = [], 0, False
    for start, end, symbol in spans:
        parts += [text[at:start], this if symbol == target else another]
        at, found = end, found or symbol == target
    marked = "".join(parts) + text[at:]
    return marked if found else f"{this}: {marked}"


def mentions(text: str, names: Sequence[str]) -> list[tuple[int, int, str]]:
    """Where the text holds the names as they are written, the longest first; for labelled files that list them.

    >>> mentions("Tata Motors and Tata", ["Tata", "Tata Motors"])
    [(0, 11, 'Tata Motors'), (16, 20, 'Tata')]
    """
    taken: list[tuple[int, int, str]] = []
    for name in sorted(filter(None, names), key=len, reverse=True):
        at = text.find(name)
        while at >= 0:
            end = at + len(name)
            if all(end <= start or at >= stop for start, stop, _ in taken):
                taken.append((at, end, name))
            at = text.find(name, end)
    return sorted(taken)
