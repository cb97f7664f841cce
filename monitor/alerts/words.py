"""The words that set a window apart from what the series said before.

Log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi and Quinn, "Fightin' Words: Lexical feature
selection and evaluation for identifying the content of political conflict", Political Analysis 16(4), 2008). The
prior is the language of both together, so a rare word needs evidence and a frequent one is no news.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Strength of the prior as a share of all the words counted. With less a word the past never had can hardly stand
# out (the variance of its odds there is unbounded), with more the window's few words are drowned.
PRIOR = 0.2
# A word must stand out by this many standard deviations (p = 0.05, one-sided) and be told by this many stories.
LEAST_Z = 1.64
LEAST_STORIES = 2

_LINK = re.compile(r"https?://\S+|\bwww\.\S+|&#?\w+;", re.IGNORECASE)
_WORD = re.compile(r"[@#$]?[a-z][a-z’'&.-]*[a-z]", re.IGNORECASE)
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
_LONGEST = 4  # Han characters of a word

_COMMON = """
    a about above after again against ago all also am amid among an and another any are around as at away back be
    because been before being below between both but by came can cannot come could day days did do does doing don't
    done down during each even every few first five for four from further get gets getting go goes going gone got had
    has have having he her here hers him his how however i i'm if in into is isn't it it's its itself just last later
    latest least less let like made make makes many may me might more most much must my near new news next no nor not
    now of off on once one only or other others our out over own per put rt said same say saying says see seen set
    several she should since so some still such take taken than that that's the their them then there these they
    thing things this those though three through to today told too two under until up upon us use very via was wasn't
    we week were what when where which while who whose why will with within without won't would year years yes
    yesterday yet you your http https www com amp"""
_STOP_EN = frozenset(_COMMON.split())
# Han characters that mostly serve grammar: a word neither begins nor ends with one.
_STOP_HAN = frozenset(
    "的了是在和与及或对将也就都而被把其为于之以从到这那此该并但又还很更最已所有无不没我你他她它们个一二两三"
    "年月日时分上下中后前来去又让使等吗呢吧啊么着过给向由因如若各每某些则且"
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word, by how many standard deviations it stands out, and how many stories of the window have it."""

    word: str
    z: float
    count: int


def distinctive(window: Sequence[str], before: Sequence[str], most: int = 10) -> list[Word]:
    """The words of `window` that stand out against `before`, strongest first.

    Args:
        window: one text a story. A text counts each word once, so a story that repeats itself has one vote.
        before: texts of the past of the same series. Without any nothing can stand out: the result is empty.
        most: how many words at most.

    >>> past = ["Shares of the maker rise on strong orders", "Orders rise again at the maker"] * 20
    >>> [found.word for found in distinctive(["Maker halts plant after fire", "Fire at plant of maker"] * 2, past)]
    ['plant', 'fire', 'halts']
    """
    if not before:
        return []
    here, there = _counted(window), _counted(before)
    total_here, total_there = sum(here.values()), sum(there.values())
    total = total_here + total_there
    found = []
    for word, count in here.items():
        if count < LEAST_STORIES:
            continue
        prior = PRIOR * (count + there[word])
        z = _z(count, total_here, there[word], total_there, prior, PRIOR * total)
        if z >= LEAST_Z:
            found.append(Word(word, round(z, 2), count))
    found.sort(key=lambda word: (-word.z, -len(word.word), word.word))
    return _without_parts(found, here)[:most]


def _z(here: int, total_here: int, there: int, total_there: int, prior: float, total_prior: float) -> float:
    """The log-odds ratio in units of its standard deviation, both with the prior added to the counts."""
    above, below = here + prior, there + prior
    if min(total_here - here, total_there - there) + total_prior - prior <= 0:
        return 0.0  # the only word there is
    delta = math.log(above / (total_here + total_prior - above)) - math.log(below / (total_there + total_prior - below))
    return delta / math.sqrt(1 / above + 1 / below)


def _counted(texts: Iterable[str]) -> Counter[str]:
    """In how many texts each word stands."""
    return Counter(word for text in texts for word in sorted(words_of(text)))


def words_of(text: str) -> set[str]:
    """The words of a text that may stand out: English words, and runs of two to four Han characters.

    >>> sorted(words_of("The plant's fire: $HLVN halts"))
    ['$hlvn', 'fire', 'halts', 'plant']
    >>> sorted(words_of("被立案调查"))
    ['案调', '案调查', '立案', '立案调', '立案调查', '调查']
    """
    text = _LINK.sub(" ", text)
    found = set()
    for match in _WORD.findall(text):
        word = match.lower().replace("’", "'")
        if word not in _STOP_EN:
            word = word.removesuffix("'s")
            if len(word) > 2 and word not in _STOP_EN:
                found.add(word)
    for run in _HAN.findall(text):
        for begin in range(len(run)):
            if run[begin] in _STOP_HAN:
                continue
            for end in range(begin + 2, min(begin + _LONGEST, len(run)) + 1):
                if run[end - 1] not in _STOP_HAN:
                    found.add(run[begin:end])
    return found


def _without_parts(words: Sequence[Word], counts: Counter[str]) -> list[Word]:
    """Drop pieces of words: of 案调, 立案, 调查 and 立案调查 that always come together only the last is a word."""
    kept: list[Word] = []
    for word in words:
        if _HAN.fullmatch(word.word):
            longer = [other for other in words if word.word in other.word and word.word != other.word]
            if any(counts[other.word] >= 0.7 * word.count for other in longer):
                continue
            if any(_overlap(word.word, other.word) for other in kept):
                continue
        kept.append(word)
    return kept


def _overlap(a: str, b: str) -> bool:
    """Whether one Han word is in the other, or begins where the other ends."""
    if a in b or b in a:
        return True
    return any(a.endswith(b[:size]) or b.endswith(a[:size]) for size in range(1, min(len(a), len(b))))
