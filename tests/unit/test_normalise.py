"""The form models read: what a text says twice is read once, and nothing else of it goes."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import monitor.understand.normalise as module
from monitor.understand.normalise import normalise

TITLE = "小资钱包涉嫌诈骗，出借人期待执法透明"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (f"????{TITLE} ????? ????{TITLE} ?????", f"{TITLE} ?????"),
        (f"{TITLE}。{TITLE}：平台账户已冻结", f"{TITLE}：平台账户已冻结"),
        (
            "京东推出的“先消费，后付款”的全新支付方式？ 京东推出的先消费，后付款的全新支付方式，很好",
            "京东推出的先消费，后付款的全新支付方式，很好",
        ),
        (
            "Bank of Orland cuts dividend to nil | Bank of Orland cuts dividend to nil",
            "Bank of Orland cuts dividend to nil",
        ),
    ],
)
def test_text_that_says_everything_twice_is_read_once(text: str, read: str) -> None:
    assert normalise(text) == read


@pytest.mark.parametrize(
    "text",
    [
        "Loss narrows at Halvern Bank, loss narrows at Orland too",  # a beginning comes again, but not all before it
        "涨涨涨涨涨涨涨涨涨涨",
        "up up up up up up",
        "Profit falls. Profit falls.",  # too short to be sure of
        "Halvern Bank raises guidance while the rest cut. Halvern Bank raises prices",
        "",
        "?????",
    ],
)
def test_other_repetitions_stay(text: str) -> None:
    assert normalise(text) == text


@given(st.text(st.characters(exclude_characters="&", exclude_categories=["Cs"]), max_size=300))
@settings(max_examples=50, deadline=None)
def test_what_is_read_is_the_end_of_what_was_written(text: str) -> None:
    assert " ".join(text.replace("\x00", " ").split()).endswith(normalise(text))


def test_examples_in_the_documentation_hold() -> None:
    found = doctest.testmod(module)
    assert found.attempted >= 2 and not found.failed
