"""The form models read: what a text says twice is read once, and nothing else of it goes."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import monitor.understand.normalise as module
from monitor.understand.normalise import normalise
from training.data.doubles import fingerprint

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
        (
            "[this company] cuts its outlook. [this company] cuts its outlook for 2026, [another company] gains",
            "[this company] cuts its outlook for 2026, [another company] gains",
        ),
        (
            "［本公司］平台账户已被冻结，警方立案！［本公司］平台账户已被冻结，警方立案",
            "［本公司］平台账户已被冻结，警方立案",
        ),
        ("-5% for Halvern Bank shares today. -5% for Halvern Bank shares today", "-5% for Halvern Bank shares today"),
        ("$HLVN cuts its outlook | $HLVN cuts its outlook | $HLVN cuts its outlook", "$HLVN cuts its outlook"),
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
        "Halvern Bank Q2 margin -3.5%; Halvern Bank Q2 margin +3.5% a year ago",
        "Halvern Bank Q2 margin 3.5%; Halvern Bank Q2 margin 35% a year ago",
        "Halvern Bank results are out 😡 Halvern Bank results are out",
        "",
        "?????",
    ],
)
def test_other_repetitions_stay(text: str) -> None:
    assert normalise(text) == text


@given(st.text(st.characters(exclude_characters="&", exclude_categories=["Cs"]), max_size=300))
@settings(max_examples=50, deadline=None)
def test_what_is_read_is_the_end_of_what_was_written(text: str) -> None:
    read = normalise(text)
    assert " ".join(text.replace("\x00", " ").split()).endswith(read)
    assert normalise(read) == read


def test_hostile_repetitions_take_no_longer_than_their_length() -> None:
    assert len(normalise("涨" * 200_000)) < 40
    assert normalise("Halvern Bank cuts its outlook. " * 5_000) == "Halvern Bank cuts its outlook."


def test_fingerprints_of_taught_texts_are_what_they_were() -> None:
    """Hashes of taught texts lie beside registered models, and held-out slices hang on them."""
    assert fingerprint(f"{TITLE} {TITLE}") == 2 * fingerprint(TITLE)


def test_examples_in_the_documentation_hold() -> None:
    found = doctest.testmod(module)
    assert found.attempted >= 2 and not found.failed
