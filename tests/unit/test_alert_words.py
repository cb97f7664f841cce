"""Stories, voices and the words of a window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from monitor.alerts.rules import fold, independent
from monitor.alerts.words import distinctive
from monitor.documents import Kind
from monitor.store.queries.drivers import Driver
from monitor.understand.novelty import fingerprint

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PAST = [
    "Halvern Bank opens branch in the north",
    "Halvern Bank names head of trading",
    "Halvern Bank lends to wind parks",
    "Analysts expect steady margins at Halvern Bank",
] * 25


def driver(number: int, text: str, *, kind: Kind = "news", author: str | None = None, source: str = "wire") -> Driver:
    return Driver(
        NOON + timedelta(seconds=number),
        UUID(int=number),
        source,
        kind,
        "",
        text,
        "en",
        ("HLVN",),
        (),
        author,
        None,
        fingerprint(text),
        0.9,
    )


LINES = [
    "Halvern Bank hit by a run on deposits in its home market",
    "Depositors queue outside branches of the lender on Monday",
    "Regulator says it watches liquidity at the northern lender",
    "Bonds of the lender tumble as funding worries spread further",
]


def test_copies_are_one_story() -> None:
    copies = [driver(i, f"RT @user{i}: {LINES[0]} https://t.example/{i}", source=f"s{i}") for i in range(30)]
    (story,) = fold(copies)
    assert len(story.documents) == 30 and story.first.key == UUID(int=0)
    assert independent([story]) == 1


def test_different_news_are_different_stories() -> None:
    stories = fold([driver(i, line) for i, line in enumerate(LINES)])
    assert len(stories) == independent(stories) == 4


def test_account_that_posts_many_times_is_one_voice() -> None:
    shouting = fold([driver(i, line, kind="comment", author="bear99") for i, line in enumerate(LINES)])
    assert len(shouting) == 4 and independent(shouting) == 1
    crowd = fold([driver(i, line, kind="comment", author=f"u{i}") for i, line in enumerate(LINES)])
    assert independent(crowd) == 4


def test_copies_by_many_and_many_stories_of_one_do_not_add_up() -> None:
    copies = [driver(i, LINES[0], kind="comment", author=f"u{i}") for i in range(30)]
    shouting = [
        driver(100 + i, f"{line} {i * 7919} is doomed", kind="comment", author="bear99")
        for i, line in enumerate(LINES * 5)
    ]
    assert independent(fold([*copies, *shouting])) == 2


def test_words_that_stand_out_are_found() -> None:
    words = [found.word for found in distinctive([*LINES, "Run on deposits spreads; queue at the lender"], PAST)]
    assert {"lender", "deposits", "run", "queue"} <= set(words)
    assert not {"halvern", "bank", "the", "of"} & set(words)


def test_chinese_words_are_found_whole() -> None:
    past = ["公司发布年度报告，营业收入同比增长", "股价上涨，机构看好后市", "公司签订重大合同"] * 40
    window = [
        "公司因涉嫌信息披露违法违规被证监会立案调查",
        "证监会对公司立案调查，股价跌停",
        "立案调查引发投资者恐慌，股票跌停",
        "证监会：立案调查仍在进行",
    ]
    assert [found.word for found in distinctive(window, past)] == ["立案调查", "证监会", "跌停"]


def test_without_a_past_nothing_stands_out() -> None:
    assert distinctive(LINES, []) == []


def test_order_of_texts_does_not_matter() -> None:
    assert distinctive(LINES, PAST) == distinctive(LINES[::-1], PAST[::-1])
