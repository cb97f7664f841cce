"""Slices, perturbations, bias and pairs: what an evaluation asks beside the labelled texts."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import InputError
from monitor.understand.companies import Watchlist
from monitor.understand.topics import load_taxonomy
from monitor.understand.watchlist import Company
from tests.unit.scripted import by_words, scripted, tone
from training.data.examples import Example
from training.data.reading import read_examples
from training.evaluation.answers import Answers
from training.evaluation.bias import bias_report, read_swaps, swaps_for
from training.evaluation.intervals import wilson
from training.evaluation.judged import judge
from training.evaluation.mistakes import mistakes, shortened
from training.evaluation.pairs import (
    MinimalPair,
    Paraphrase,
    pairs_for,
    pairs_report,
    paraphrases_report,
    read_minimal_pairs,
    texts_of,
)
from training.evaluation.perturb import CompanySwap, casing, perturbations, perturbed, punctuation, typos
from training.evaluation.robustness import changes, robustness_report
from training.evaluation.slices import denies, members, slice_reports, slices_of

WATCHLIST = Watchlist(
    [
        Company("ACME", en="Acme", zh="顶点"),
        Company("BOLT", en="Bolt Motors", zh="闪电汽车"),
        Company("600519.SH", en="Moutai", zh="贵州茅台"),
    ]
)


def test_slices_of_a_text() -> None:
    found = slices_of(Example("Acme didn't pay, see https://t.co/123", "en"), WATCHLIST)
    assert found == {
        "length": "short",
        "language": "en",
        "company": "named",
        "negation": "with a negation",
        "numbers": "without numbers",  # those of a link are none
    }
    assert slices_of(Example("利润增长5%" * 5, "zh"), WATCHLIST)["length"] == "medium"
    assert slices_of(Example("Bank up", "en", entities=(("Bank", None),)), WATCHLIST)["company"] == "named"
    assert slices_of(Example("up 3", "en", kind="comment"), WATCHLIST)["kind"] == "comment"


def test_kind_comes_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "kinds.jsonl"
    path.write_text('{"text": "a", "kind": "comment"}\n{"text": "b", "kind": "results"}\n', encoding="utf-8")
    assert [example.kind for example in read_examples(path)] == ["comment", None]


@pytest.mark.parametrize("text", ["does not pay", "never", "isn’t", "fails to pay", "尚未盈利", "否认传闻"])
def test_negation_is_seen(text: str) -> None:
    assert denies(text)


@pytest.mark.parametrize("text", ["nothing", "note", "know", "不断增长", "未来可期", "非常好", "是否收购"])
def test_words_that_only_look_like_negation(text: str) -> None:
    assert not denies(text)


def test_slice_reports_name_the_weak_one() -> None:
    def says(text: str) -> tuple[object, object]:
        return tone(0.1, 0.1, 0.8) if "Acme" in text else by_words(text)

    rows = [Example(f"Acme loses x{n}", "en", sentiment="negative") for n in range(60)]
    rows += [Example(f"We lost, loses y{n}", "en", sentiment="negative") for n in range(300)]
    answers = Answers(scripted(says), [row.text for row in rows])  # type: ignore[arg-type]
    found = slice_reports(judge(answers, rows, load_taxonomy()), members({"f": rows}, WATCHLIST))
    by_name = {(row["by"], row["slice"]): row for row in found}
    weak = by_name["company", "named"]
    assert (weak["answers"], weak["accuracy"], weak["weak"]) == (60, 0.0, True)
    assert weak["low"] == 0.0 < weak["high"] < 0.1
    assert not by_name["company", "none named"]["weak"]
    assert ("language", "en") not in by_name  # that is all of them


def test_wilson_interval_at_the_ends() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(10, 10)[1] == pytest.approx(1.0)
    assert wilson(500, 1000) == pytest.approx((0.469, 0.531), abs=1e-3)


@given(st.text(max_size=200), st.integers(0, 5))
def test_any_text_can_be_perturbed_and_comes_out_the_same_for_the_same_seed(text: str, seed: int) -> None:
    for name, change in perturbations(WATCHLIST).items():
        assert perturbed(name, change, text, seed) == perturbed(name, change, text, seed)


def test_typos_leave_tickers_numbers_and_links() -> None:
    text = "$ACME shares tumble 25% after weak quarterly earnings, see https://example.com/quarter @trader"
    for seed in range(50):
        changed = typos(text, random.Random(seed))
        assert changed != text
        assert all(kept in changed for kept in ("$ACME", "25%", "https://example.com/quarter", "@trader"))
        assert sum(a != b for a, b in zip(text.split(), changed.split(), strict=True)) == 1


def test_chinese_typos_change_a_sign_or_two() -> None:
    text = "公司报告显示业绩大幅增长"
    for seed in range(20):
        changed = typos(text, random.Random(seed))
        assert changed != text
        assert len(changed) == len(text)


def test_case_and_punctuation_keep_words_and_links() -> None:
    text = "Acme's profit rises - https://T.co/Ab"
    for seed in range(20):
        assert casing(text, random.Random(seed)).casefold() == text.casefold()
        assert "https://T.co/Ab" in casing(text, random.Random(seed))
        assert "https://T.co/Ab" in punctuation(text, random.Random(seed))
    assert punctuation("利润增长。", random.Random(1)) != "利润增长。"
    changed = {punctuation("8.18附近,涨2,100点（0.5%）", random.Random(seed)) for seed in range(9)}
    assert changed == {"8.18附近，涨2,100点（0.5%）。", "8.18附近,涨2,100点(0.5%)。"}


def test_company_becomes_another_everywhere_and_in_the_same_form() -> None:
    swap = CompanySwap(WATCHLIST)
    swapped = swap("Acme up, $ACME leads", random.Random(1))
    assert swapped == "Bolt Motors up, $BOLT leads"
    assert swap("闪电汽车上涨", random.Random(1)) in ("顶点上涨", "贵州茅台上涨")
    assert swap("Nobody is named", random.Random(1)) == "Nobody is named"


def test_flips_are_counted_on_the_texts_that_changed() -> None:
    rows = [Example(f"Acme gains x{n}", "en", sentiment="positive") for n in range(20)]
    rows += [Example(f"rising y{n}", "en") for n in range(20)]

    def says(text: str) -> tuple[object, object]:
        return tone(0.8, 0.1, 0.1) if "Bolt" in text else by_words(text)

    made = changes(rows, WATCHLIST, sample=15)
    assert all(len(found) <= 15 for found in made.values())
    bundle = scripted(says)  # type: ignore[arg-type]
    answers = Answers(bundle, [text for found in made.values() for row in found for text in (row.before, row.after)])
    report = robustness_report(answers, made)
    assert report["company"]["texts"] == 15
    assert report["company"]["flipped"] == 1.0
    assert (report["company"]["accuracy_before"], report["company"]["accuracy_after"]) == (1.0, 0.0)
    assert report["casing"]["flipped"] == 0.0
    assert len(report["company"]["examples"]) == 5


SWAPS = """
[[swap]]
group = "company"
lang = "en"
templates = ["{} gains", "{} meets"]
words = ["Acme", "Bolt", "Cog"]

[[swap]]
group = "gender"
lang = "en"
templates = ["{He} said {his} firm gains"]
words = [{He = "He", his = "his"}, {He = "She", his = "her"}]
"""


def test_bias_is_how_far_a_swap_moves_the_score(tmp_path: Path) -> None:
    (tmp_path / "swaps.toml").write_text(SWAPS, encoding="utf-8")
    swaps = swaps_for(["en"], tmp_path)

    def says(text: str) -> tuple[object, object]:
        return tone(0.8, 0.1, 0.1) if text == "Cog gains" else by_words(text)

    texts = [text for swap in swaps for text in swap.texts()]
    assert "She said her firm gains" in texts
    company, gender = bias_report(Answers(scripted(says), texts), swaps)  # type: ignore[arg-type]
    # Of six swaps two turn +0.7 into -0.7.
    assert company["swaps"] == 6
    assert company["mean_movement"] == pytest.approx(2 * 1.4 / 6)
    assert (company["largest_movement"], company["flips"]) == (pytest.approx(1.4), pytest.approx(2 / 6))
    assert not company["passes"]
    assert next(iter(company["lifts"])) == "Cog"
    assert company["examples"][0]["low"] == "Cog gains"
    assert (gender["mean_movement"], gender["flips"], gender["passes"]) == (0.0, 0.0, True)
    assert swaps_for(["zh"], tmp_path) == []
    assert len(swaps_for(["en"], tmp_path, most_words=2)[0].words) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (('lang = "en"', "lang = 3"), "swap 1: lang"),
        (('"{} gains"', '"gains"'), "has no slot"),
        (('his = "her"}', 'hers = "her"}'), "does not fill every slot"),
        (('["Acme", "Bolt", "Cog"]', "[1]"), "neither a text nor a table"),
        (("[[swap]]", "[[swap"), "not readable as TOML"),
    ],
)
def test_wrong_swaps_are_refused_in_one_line(tmp_path: Path, change: tuple[str, str], reason: str) -> None:
    path = tmp_path / "swaps.toml"
    path.write_text(SWAPS.replace(*change), encoding="utf-8")
    with pytest.raises(InputError, match=reason) as caught:
        read_swaps(path)
    assert "\n" not in str(caught.value)


def test_pairs_come_out_right_or_wrong() -> None:
    pairs = [
        MinimalPair("1", "en", "Acme loses", "Acme gains", "verb", "Acme meets"),
        MinimalPair("2", "en", "Acme gains but not much", "Acme loses less", "turn"),
        MinimalPair("3", "en", "Acme meets", "Acme meets", "same"),
    ]
    answers = Answers(scripted(by_words), texts_of(pairs, []))
    report = pairs_report(answers, pairs)
    assert report is not None
    assert (report["ordered"], report["both_right"]) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert (report["good_negative"], report["bad_positive"]) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert report["neutral_between"] == 1.0
    assert report["kinds"]["en: turn"]["ordered"] == 0.0
    assert [row["id"] for row in report["failing"]] == ["2", "3"]
    assert pairs_report(answers, []) is None


def test_paraphrases_that_disagree() -> None:
    pairs = [Paraphrase("en", "Acme gains", "Acme gains more"), Paraphrase("en", "Acme gains", "Acme is up")]
    report = paraphrases_report(Answers(scripted(by_words), texts_of([], pairs)), pairs)
    assert report is not None
    assert report["disagree"] == 0.5
    assert report["failing"] == [{"a": "Acme gains", "b": "Acme is up", "a_said": "positive", "b_said": "neutral"}]


def test_wrong_pair_names_file_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "en.exam.jsonl"
    path.write_text('{"lang": "en", "bad": "a", "good": "b"}\n{"lang": "en", "bad": "a"}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"en\.exam\.jsonl: line 2: good"):
        read_minimal_pairs(path)
    assert pairs_for(["zh"], tmp_path) == []


def test_pairs_that_ship_can_be_read() -> None:
    for language in ("en", "zh"):
        pairs = pairs_for([language])
        assert len(pairs) >= 100
        assert all(pair.good != pair.bad for pair in pairs)
        assert {swap.group for swap in swaps_for([language])} >= {"company", "country", "gender"}


def test_mistakes_are_told_the_surest_first() -> None:
    rows = [
        Example("Acme gains", "en", sentiment="negative"),
        Example("Acme meets", "en", sentiment="positive"),
        Example("Acme loses", "en", sentiment="negative"),
        Example("profit of Acme", "en", topics=("macro",)),
    ]
    found = mistakes(Answers(scripted(by_words), [row.text for row in rows]), rows, load_taxonomy())
    assert [(row["task"], row["text"], row["said"]) for row in found] == [
        ("topics", "profit of Acme", "earnings"),
        ("sentiment", "Acme gains", "positive"),
        ("sentiment", "Acme meets", "neutral"),
    ]
    assert shortened("a  b\nc" * 100, 20) == "a b ca b ca b ca b…"
