"""Sentiment toward each company of a text that concerns several."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.commands.classify import classify
from monitor.documents import Document, Sentiment, Understanding
from monitor.settings import EngineSettings
from monitor.understand.engine import Engine
from monitor.understand.reader import Reader
from monitor.understand.toward import MARKERS, REACH, aimed, mentions
from tests.unit.models import WORDS, make_bundle, make_encoder, make_toward_bundle

WATCHED = """
[[company]]
symbol = "ACM"
en = "Acme Tools"
zh = "艾克米工具"
[[company]]
symbol = "BLT"
en = "Bolt Freight"
zh = "闪电货运"
[[company]]
symbol = "CRN"
en = "Crane Foods"
zh = "白鹤食品"
"""


@pytest.fixture(scope="module")
def engine_settings(tmp_path_factory: pytest.TempPathFactory) -> EngineSettings:
    root = tmp_path_factory.mktemp("toward")
    (root / "watchlist.toml").write_text(WATCHED, encoding="utf-8")
    bundle = make_toward_bundle(root / "bundle", languages=("en", "zh"))
    return EngineSettings(bundles=[bundle], watchlist=root / "watchlist.toml", device="cpu")


@pytest.fixture(scope="module")
def reader(engine_settings: EngineSettings) -> Reader:
    return Reader(engine_settings)


def document(text: str, *symbols: str, lang: str = "en") -> Document:
    return Document("1", "wire", "news", datetime(2026, 3, 2, tzinfo=UTC), "", text, lang, symbols)


def labels(understanding: Understanding) -> dict[str, str]:
    return {symbol: sentiment.label for symbol, sentiment in understanding.toward}


def test_each_company_gets_what_the_text_says_of_it(reader: Reader) -> None:
    found = reader.read(
        [
            document("Bolt Freight falls while Acme Tools rises on the same news"),
            document("闪电货运下跌，艾克米工具上涨", lang="zh"),
            document("$BLT falls. $ACM is mentioned, CRN.", "CRN"),
        ]
    )
    assert [list(labels(one).items()) for one in found] == [
        [("BLT", "negative"), ("ACM", "positive")],
        [("BLT", "negative"), ("ACM", "positive")],
        [("BLT", "negative"), ("ACM", "neutral"), ("CRN", "neutral")],
    ]
    assert [one.sentiment.label for one in found if one.sentiment] == ["neutral"] * 3
    assert found[0].companies == ("ACM", "BLT")


def test_company_named_by_the_source_alone_comes_last_and_is_marked_in_front(reader: Reader) -> None:
    (asked,) = reader.asked([document("Bolt Freight falls", "CRN", "ACM")])
    assert asked.targets == ("BLT", "ACM", "CRN")
    assert asked.aimed[1] == asked.aimed[2] == "[this company]: [another company] falls"


def test_whole_text_counts_where_there_is_one_company_or_too_many(engine_settings: EngineSettings) -> None:
    three = document("Bolt Freight falls, Acme Tools rises, Crane Foods waits")
    one, none = document("Bolt Freight falls"), document("Nothing falls")
    for most, told in ((0, 0), (2, 0), (3, 3)):
        found = Reader(engine_settings.model_copy(update={"toward": most})).read([three, one, none])
        assert [len(each.toward) for each in found] == [told, 0, 0]
        assert found[1].toward_company("BLT") == found[1].sentiment
        assert found[0].toward_company("XXX") == found[0].sentiment


def test_bundle_not_taught_on_marked_texts_is_not_asked(tmp_path: Path, engine_settings: EngineSettings) -> None:
    untaught = make_toward_bundle(tmp_path / "untaught", toward=False)
    changed = engine_settings.model_copy(update={"bundles": [untaught]})
    text = document("Bolt Freight falls while Acme Tools rises")
    (found,) = Reader(changed).read([text])
    assert found.toward == () and found.companies == ("ACM", "BLT")
    scored = Engine(changed).score([text.body], ["en"], [("[this company] falls",)])
    assert scored[0] is not None and scored[0].toward == ()


def test_language_without_a_model_has_none(reader: Reader) -> None:
    (found,) = reader.read([document("Bolt Freight falls, Acme Tools rises", lang="de")])
    assert found.toward == () and found.sentiment is None and found.toward_company("BLT") is None


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    root = tmp_path_factory.mktemp("tiny_toward")
    (root / "watchlist.toml").write_text(WATCHED, encoding="utf-8")
    bundle = make_bundle(root / "bundle", make_encoder(root / "encoder"), toward=True)
    return Reader(EngineSettings(bundles=[bundle], watchlist=root / "watchlist.toml", device="cpu"))


def test_network_gives_the_same_bits_at_every_batch_size_and_order(tiny: Reader) -> None:
    chance = random.Random(3)
    names = ["Acme Tools", "Bolt Freight", "Crane Foods", "$ACM", ""]
    documents = [
        document(" ".join(chance.choice([*names, *WORDS]) for _ in range(chance.choice([2, 6, 20, 90]))))
        for _ in range(60)
    ]
    whole = tiny.read(documents)
    assert sum(bool(one.toward) for one in whole) > 20
    assert any(len(set(dict(one.toward).values())) > 1 for one in whole), "the marker makes no difference"
    for size in (1, 7):
        assert [one for i in range(0, 60, size) for one in tiny.read(documents[i : i + size])] == whole
    assert tiny.read(documents[::-1]) == whole[::-1]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.sampled_from(["Acme Tools", "$BLT", "Crane Foods", " ", "艾克米工具"]), st.text())))
def test_any_text_is_told_toward_all_of_its_companies_or_none(reader: Reader, parts: list[str]) -> None:
    (found,) = reader.read([document("".join(parts) or ".", "ACM")])
    assert sorted(dict(found.toward)) == (list(found.companies) if len(found.companies) > 1 else [])
    for symbol, sentiment in found.toward:
        assert isinstance(sentiment, Sentiment) and found.toward_company(symbol) == sentiment


def test_classify_tells_the_sentiment_toward_each_company(engine_settings: EngineSettings) -> None:
    lines = [
        {"text": "Bolt Freight falls, Acme Tools rises", "lang": "en"},
        {"text": "Bolt Freight falls", "lang": "en"},
    ]
    given = "\n".join(json.dumps(line) for line in lines)
    found = CliRunner().invoke(
        classify,
        ["--model", str(engine_settings.bundles[0])],
        input=given,
        env={"BELLWETHER_ENGINE_WATCHLIST": str(engine_settings.watchlist)},
    )
    assert found.exit_code == 0, found.output
    first, second = (json.loads(line) for line in found.stdout.splitlines())
    assert {symbol: toward["label"] for symbol, toward in first["companies_sentiment"].items()} == {
        "BLT": "negative",
        "ACM": "positive",
    }
    assert set(first["companies_sentiment"]["BLT"]) == {"label", "negative", "neutral", "positive"}
    assert "companies_sentiment" not in second


def test_of_a_long_text_the_passages_around_the_target_are_shown() -> None:
    filler = "Other things happened elsewhere that day. " * 20
    text = f"{filler}Acme recalled its saws. {filler}Regulators then fined Acme. {filler}"
    spans = [(start, start + 4, "ACM") for start in (text.index("Acme"), text.rindex("Acme"))]
    marked = aimed(text, spans, "ACM", "en")
    assert marked.count("[this company]") == 2
    assert "recalled its saws" in marked
    assert "Regulators then fined" in marked
    assert len(marked) < 4 * (2 * REACH + 20) < len(text)


def test_two_texts_that_differ_far_from_the_target_are_marked_alike() -> None:
    filler = "Markets were quiet. " * 40
    one, other = (f"Acme wins an order. {filler}{end}" for end in ("Bolt soars", "Bolt sinks"))
    assert aimed(one, [(0, 4, "ACM")], "ACM", "en") == aimed(other, [(0, 4, "ACM")], "ACM", "en")


PIECES = st.one_of(
    st.sampled_from(["Acme", "Bolt", "Crane", "Bolt Freight", "艾克米", "闪电"]),
    st.text(alphabet="abcxyz", min_size=1, max_size=9),
    st.text(alphabet="下跌上涨公司", min_size=1, max_size=40),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, min_size=40, max_size=160), st.sampled_from(["en", "zh"]), st.sampled_from([" ", "，", ""]))
def test_no_marker_and_no_word_is_shown_in_part(pieces: list[str], lang: str, between: str) -> None:
    text = between.join(pieces)
    spans = mentions(text, ["Acme", "Bolt Freight", "Bolt", "Crane", "艾克米", "闪电"])
    this, another = MARKERS[lang]
    for target in {symbol for _, _, symbol in spans}:
        shown = aimed(text, spans, target, lang)
        assert this in shown
        rest = shown.replace(this, " ").replace(another, " ")
        assert not set(rest) & set("[]［］"), "a marker is cut"
        if between == " ":
            words = {*text.split(), "…"}
            assert {word for word in rest.split() if word.isascii() or word == "…"} <= words, "a word is cut"


def test_long_text_is_cut_at_blanks_and_beside_markers() -> None:
    far = "x" * 14
    text = f"{far} Bolt {'y' * (REACH - 5)}Acme{'z' * (REACH - 5)} Bolt {far} {far * 30}"
    spans = mentions(text, ["Acme", "Bolt"])
    shown = aimed(text, spans, "Acme", "en")
    assert shown == f"[another company] {'y' * (REACH - 5)}[this company]{'z' * (REACH - 5)} [another company]"
    chinese = "下" * 400 + "艾克米" + "跌" * 400
    shown = aimed(chinese, mentions(chinese, ["艾克米"]), "艾克米", "zh")
    assert shown == "下" * REACH + "［本公司］" + "跌" * REACH
