"""Augmented texts: what may change does, what the label hangs on never."""

from __future__ import annotations

import random
import re

import pytest

from monitor.understand.companies import Watchlist
from training.augmentation import Changer
from training.data.examples import Example
from training.recipe import Augment

WATCHLIST = Watchlist.load()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(7)


def test_company_is_swapped_for_another_of_the_list_everywhere() -> None:
    change = Changer(Augment(company=1.0), WATCHLIST)
    for text in ("Apple shares fall as Apple cuts outlook", "贵州茅台净利润下滑，贵州茅台股价大跌"):
        changed = change(Example(text))
        assert "Apple" not in changed
        assert "贵州茅台" not in changed
        rest = re.split("Apple|贵州茅台", text)
        assert all(part in changed for part in rest)
        assert len(set(WATCHLIST.match(changed))) == 1


def test_cashtag_stays_a_cashtag() -> None:
    change = Changer(Augment(company=1.0), WATCHLIST)
    assert re.fullmatch(r"\$[A-Z]+ slips 3%", change(Example("$AAPL slips 3%")))


def test_text_marked_for_an_entity_keeps_its_markers() -> None:
    change = Changer(Augment(company=1.0), WATCHLIST)
    text = "[another company] gains on [this company]'s recall, Apple says"
    assert change(Example(text, target="x")) == text


def test_numbers_keep_their_form_and_years_stay() -> None:
    change = Changer(Augment(numbers=1.0), WATCHLIST)
    text = "Net loss narrowed 12.5% to $1,204 million in 2025, 3 plants shut"
    seen = {change(Example(text)) for _ in range(20)}
    assert len(seen) > 10
    for changed in seen:
        assert re.fullmatch(
            r"Net loss narrowed [1-9]\d\.\d% to \$[1-9],\d{3} million in 2025, 3 plants shut", changed
        ), changed


def test_larger_number_stays_the_larger_and_names_keep_theirs() -> None:
    change = Changer(Augment(numbers=1.0), WATCHLIST)
    text = "Profit was EUR 5.9 mn in 2024, compared to EUR 6.7 mn, says its 10-Q; 6.7 is a low. S&P 500 up 12 on 3,000"
    seen = {change(Example(text)) for _ in range(300)} - {text}
    assert len(seen) > 5
    for changed in seen:
        found = re.fullmatch(
            r"Profit was EUR (\d\.\d) mn in 2024, compared to EUR (\d\.\d) mn, says its 10-Q; (\d\.\d) is a low. "
            r"S&P 500 up \d\d on \d,\d{3}",
            changed,
        )
        assert found, changed
        assert float(found[1]) < float(found[2]) == float(found[3])
    # 6 is no number that changes, so what it is compared with stays on its side of it.
    assert all(float(change(Example(f"5.9 against 6, and 1{n}"))[:3]) < 6 for n in range(50))


def test_words_of_direction_are_never_misspelt() -> None:
    change = Changer(Augment(typos=1.0), WATCHLIST)
    told = "Losses widen, profit tumbles: shares slipped despite growth, lowered, upgraded; Weakness. Winning RISES"
    seen = {change(Example(f"{told} at the meeting")) for _ in range(300)}
    assert len(seen) > 5
    # "shares" says nothing of the direction; every other word does.
    assert {changed[: changed.index("shares")] for changed in seen if "shares" in changed} == {
        told[: told.index("shares")]
    }
    assert all(
        re.search(r"slipped despite growth, lowered, upgraded; Weakness. Winning RISES at", text) for text in seen
    )


def test_typos_and_casing_leave_short_words_tickers_and_order() -> None:
    change = Changer(Augment(typos=1.0), WATCHLIST)
    text = "$GOOG shares tumbled after regulators opened another investigation into #adtech dealings"
    seen = {change(Example(text)) for _ in range(40)}
    assert len(seen) > 5
    for changed in seen:
        assert len(changed.split()) == len(text.split())
        assert changed.startswith("$GOOG ")
        assert "into #adtech" in changed
    cased = {Changer(Augment(casing=1.0), WATCHLIST)(Example("Oil falls")) for _ in range(30)}
    assert cased == {"OIL FALLS", "oil falls"}


def test_nothing_asked_nothing_changed() -> None:
    change = Changer(Augment(), WATCHLIST)
    assert change(Example("Apple falls 12%")) == "Apple falls 12%"


def test_country_becomes_the_same_form_of_another_wherever_it_stands() -> None:
    random.seed(3)
    change = Changer(Augment(country=1.0), WATCHLIST)
    text = "Chinese exports fall as China and India argue; $CHINA steady"
    for _ in range(30):
        adjective, _, rest = change(Example(text)).partition(" exports fall as ")
        first, _, rest = rest.partition(" and ")
        second = rest.partition(" argue")[0]
        forms = {"Chinese": "China", "Greek": "Greece", "Thai": "Thailand"}
        assert first not in ("", second) or first == second  # two countries may become one by chance
        assert forms.get(adjective, first) == first
        assert rest.endswith("$CHINA steady")
    assert len({change(Example("出口到日本的订单下降")) for _ in range(30)}) > 5


def test_person_becomes_another_of_the_other_sex() -> None:
    random.seed(3)
    change = Changer(Augment(person=1.0), WATCHLIST)
    assert change(Example("Mr Falk said he sold his shares")) == "Ms Falk said she sold her shares"
    assert change(Example("她辞去董事长，女高管接任")) == "他辞去董事长，男高管接任"
    assert change(Example("The hero held on")) == "The hero held on"
    assert change(Example("Susan Falk buys", lang="en")).endswith(" Falk buys")
    assert change(Example("Mr. Falk said he sold. It was his.")) == "Ms. Falk said she sold. It was her."
    assert change(Example("其他股东和子女均未减持")) == "其他股东和子女均未减持"


def test_country_is_found_at_the_end_of_a_sentence_and_not_within_another_word() -> None:
    random.seed(3)
    change = Changer(Augment(country=1.0), WATCHLIST)
    for _ in range(20):
        first, _, second = change(Example("Exports to China fall. Miners depend on China.")).partition(" fall. Miners")
        assert second == f" depend on {first.removeprefix('Exports to ')}."
    assert change(Example("欧美国家与南美国家签约")) == "欧美国家与南美国家签约"


@pytest.mark.parametrize(
    "text",
    [
        "[this company] overtakes [another company] in its market after trading well",
        "［其他公司］下跌，［本公司］上涨",
    ],
)
def test_markers_of_companies_are_never_touched(text: str) -> None:
    change = Changer(Augment(company=1, country=1, person=1, numbers=1, typos=1, casing=1), WATCHLIST)
    for _ in range(40):
        changed = change(Example(text, target="A"))
        for marker in ("[this company]", "[another company]", "［本公司］", "［其他公司］"):
            assert (marker in changed) == (marker in text)
