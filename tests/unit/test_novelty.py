"""Fingerprints and stories: copies come together, different news stays apart."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.understand.novelty import distance, fingerprint, normalise, stories

NEWS = (
    "Merlane Airways will cut eleven routes and return six leased jets after a winter of weak bookings, "
    "the carrier said, adding that no jobs are at risk before the summer schedule is fixed"
)


@pytest.mark.parametrize(
    "copy",
    [
        "Halvern Bank slides 11 pct amid talk of funding strain",
        "RT @wire: Halvern Bank slides 11 pct amid talk of funding strain https://example.com/a1b2",
        "HALVERN BANK slides 11 pct, amid talk of “funding strain” http://t.co/xyz…",
        "halvern  bank\nslides 11 pct amid talk of funding strain @desk @other",
        "Ｈａｌｖｅｒｎ Bank slides １１ pct amid talk of funding strain!!!",
    ],
)
def test_copies_that_differ_in_dress_are_one_text(copy: str) -> None:
    assert normalise(copy) == "halvern bank slides 11 pct amid talk of funding strain"
    assert fingerprint(copy) == fingerprint("Halvern Bank slides 11 pct amid talk of funding strain")


def test_a_cashtag_keeps_its_symbol_and_loses_its_sign() -> None:
    assert normalise("$HLVN #earnings") == "hlvn earnings"
    assert fingerprint("$HLVN beats all forecasts this quarter") != fingerprint(
        "$ORRX beats all forecasts this quarter"
    )


def test_a_reposted_chinese_message_is_the_same_text() -> None:
    assert normalise("转发：沧澜电池召回部分电芯。") == normalise("沧澜电池召回部分电芯") == "沧澜电池召回部分电芯"


def test_a_cut_retweet_is_near_and_another_story_far() -> None:
    cut = "RT @carrier: " + NEWS[: NEWS.index(" the summer")] + "…"
    other = "Copperan workers at the Tarn pit voted by a wide margin to accept a three-year pay deal on Friday evening"
    assert distance(fingerprint(NEWS), fingerprint(cut)) <= 6
    assert distance(fingerprint(NEWS), fingerprint(other)) > 12


def test_chinese_copies_with_a_changed_word_are_near() -> None:
    text = (
        "衡岳银行一支行因贷后管理不到位被罚六十万元，两名责任人被警告，"
        "监管部门要求限期整改并追究相关人员责任，该行表示接受处罚"
    )
    changed = text.replace("该行表示接受处罚", "该行表示接受")
    assert 0 < distance(fingerprint(text), fingerprint(changed)) <= 6


@pytest.mark.parametrize(
    ("one", "other"), [("so long", "so wrong"), ("跌停", "涨停"), ("📉", "📈"), ("$HLVN up", "$HLVN down")]
)
def test_short_texts_come_together_only_when_equal(one: str, other: str) -> None:
    assert distance(fingerprint(one), fingerprint(other)) > 6
    assert fingerprint(one) == fingerprint(one + " https://example.com/1")


def test_fingerprints_are_what_they_always_were() -> None:
    # Stored fingerprints must stay comparable: a change of these values needs a migration.
    assert fingerprint(NEWS) == -1427037310904759917
    assert fingerprint("沧澜电池与两家商用车厂签框架协议") == -6218891767299734853
    assert fingerprint("up") == -2501197489043044449
    assert fingerprint("") == -5426141060434712860


def test_another_process_with_another_hash_seed_agrees() -> None:
    code = "import sys; from monitor.understand.novelty import fingerprint; print(fingerprint(sys.argv[1]))"
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    run = subprocess.run(
        [sys.executable, "-c", code, NEWS], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert int(run.stdout) == fingerprint(NEWS)


@given(st.text(max_size=300))
def test_any_text_has_a_signed_64_bit_fingerprint(text: str) -> None:
    mark = fingerprint(text)
    assert -(1 << 63) <= mark < 1 << 63
    assert fingerprint(text) == mark
    assert normalise(normalise(text)) == normalise(text)


def test_lone_surrogates_do_no_harm() -> None:
    assert isinstance(fingerprint("broken \ud800 text with enough words to count"), int)


def test_distance_counts_bits_over_the_sign() -> None:
    assert distance(-1, 0) == 64
    assert distance(5, 6) == distance(6, 5) == 2


def test_an_item_joins_the_first_story_that_is_near_enough() -> None:
    # 0b111 is near both 0 and 0b111111 (3 bits each): the earlier story takes it.
    items = [("a", 0), ("b", 0b111111), ("c", 0b111), ("d", 0), ("e", -1)]
    assert stories(items, within=3) == [["a", "c", "d"], ["b"], ["e"]]
    assert stories(items, within=0) == [["a", "d"], ["b"], ["c"], ["e"]]
    assert stories([]) == []


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=40), st.integers(0, 64))
def test_stories_agree_with_their_definition(marks: list[int], within: int) -> None:
    expected: list[list[int]] = []
    for index, mark in enumerate(marks):
        home = next((story for story in expected if distance(marks[story[0]], mark) <= within), None)
        if home is None:
            expected.append([index])
        else:
            home.append(index)
    assert stories(list(enumerate(marks)), within) == expected
