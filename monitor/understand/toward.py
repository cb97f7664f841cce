"""Sentiment toward one of several companies: the text as the model is shown it, marked for that company.

The target's mentions become one marker and those of the others another, so that the model reads who is meant from the
text alone and cannot know any company by its name. Marked and unmarked texts go through the same network; it was
taught on both.
"""

from __future__ import annotations

from collections.abc import Sequence

MARKERS = {"en": ("[this company]", "[another company]"), "zh": ("［本公司］", "［其他公司］")}
"""Language → what stands for the target, and for every other company. Languages not here take English."""


REACH = 120
"""Characters before and after a mention that are shown of a long text, and on to the end of the word there."""
_SLACK = 16  # characters that end may be away


def aimed(text: str, spans: Sequence[tuple[int, int, str]], target: str, lang: str | None) -> str:
    """The text marked for one company.

    Args:
        text: as it came.
        spans: (start, end, symbol) of every mention, ascending, not overlapping, as `Watchlist.spans` gives them.
        target: the symbol meant. One without a mention (a source's tag) is put in front of the text.
        lang: ISO 639-1 code of the text.

    Of a long text only the passages around the target's mentions are shown: what is said elsewhere is rarely about it.
    Others that stand in a row (a list of tickers) share one marker.

    >>> aimed("Acme gains on Bolt's recall", [(0, 4, "ACM"), (14, 18, "BLT")], "BLT", "en")
    "[another company] gains on [this company]'s recall"
    >>> aimed("$A $B $C fall", [(0, 2, "A"), (3, 5, "B"), (6, 8, "C")], "C", "en")
    '[another company] [this company] fall'
    """
    this, another = MARKERS.get(lang or "", MARKERS["en"])
    parts: list[str] = []
    at, found = 0, False
    for start, end, symbol in spans:
        marker = this if symbol == target else another
        if not (parts and parts[-1] == marker and not text[at:start].strip(" ,;/、，")):
            parts += [text[at:start], marker]
        at, found = end, found or symbol == target
    marked = "".join(parts) + text[at:]
    return _around(marked, this) if found else f"{this}: {marked}"


def is_marked(text: str) -> bool:
    """Whether a text holds the marker of the company meant, as those that `aimed` makes do."""
    return any(this in text for this, _ in MARKERS.values())


def _around(text: str, marker: str) -> str:
    """The passages of about `REACH` characters around each marker; all of a text that is hardly longer."""
    if len(text) <= 3 * REACH:
        return text
    passages: list[list[int]] = []
    at = text.find(marker)
    while at >= 0:
        begin, end = _outward(text, at - REACH, -1), _outward(text, at + len(marker) + REACH, 1)
        if passages and begin <= passages[-1][1]:
            passages[-1][1] = max(passages[-1][1], end)
        else:
            passages.append([begin, end])
        at = text.find(marker, at + len(marker))
    return " … ".join(text[begin:end].strip() for begin, end in passages)


def _outward(text: str, at: int, step: int) -> int:
    """The nearest place from `at` on, backwards for a step of -1, where no word is cut, and never one in a marker.

    Where no blank is near, as in Chinese, a word may be.
    """
    at = min(max(at, 0), len(text))
    for place in range(at, at + step * (_SLACK + 1), step):
        if not 0 < place < len(text) or text[place if step > 0 else place - 1].isspace():
            at = min(max(place, 0), len(text))
            break
    for marker in (marker for pair in MARKERS.values() for marker in pair):
        start = text.find(marker, max(0, at - len(marker) + 1), at + len(marker) - 1)
        if start >= 0:
            return start if step < 0 else start + len(marker)
    return at


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
