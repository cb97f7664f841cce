"""A message made to be slow: what is done to each text must take time that grows with its length, not its square."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from monitor.alerts.words import distinctive, words_of
from monitor.understand.companies import Watchlist
from monitor.understand.language import detect
from monitor.understand.normalise import normalise
from monitor.understand.novelty import fingerprint

WATCHLIST = Watchlist.load()
STEPS: dict[str, Callable[[str], object]] = {
    "companies": WATCHLIST.match,
    "language": lambda text: detect(text, None),
    "fingerprint": fingerprint,
    "normalise": normalise,
    "words": words_of,
}
REPEATED = {
    "one word": "a",
    "cashtags": "$AAPL ",
    "codes": "600519 ",
    "Chinese codes": "贵州茅台600519 ",
    "ambiguous names": "Target 's ",
    "shielded names": "中国平安夜",
    "links": "http://a.b/AAPL ",
    "retweets": "RT @a: ",
    "entities": "&#x",
    "dots": "a.",
    "blanks": " ",
    "brackets": "(",
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("repeated", REPEATED)
def test_long_repetitions_take_time_in_proportion_to_their_length(step: str, repeated: str) -> None:
    def seconds(characters: int) -> float:
        text = REPEATED[repeated] * (characters // len(REPEATED[repeated]))
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            STEPS[step](text)
            best = min(best, time.process_time() - began)
        return best

    seconds(1_000)  # what is loaded at the first use
    # Ten times the text takes ten times as long; a square would be a hundred times.
    assert seconds(30_000) < 40 * max(seconds(3_000), 0.0005)


def test_the_only_word_there_is_stands_out_against_nothing() -> None:
    assert distinctive(["fraud", "the fraud"], ["fraud"]) == []
