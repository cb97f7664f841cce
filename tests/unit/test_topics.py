"""The taxonomy: one for all languages, checked when it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import SettingsError
from monitor.understand.normalise import normalise
from monitor.understand.topics import load_taxonomy


def test_shipped_taxonomy_joins_what_both_languages_call_the_same() -> None:
    taxonomy = load_taxonomy()
    assert taxonomy.resolve("company") == taxonomy.resolve("company_product") == "company_product"
    assert taxonomy.resolve("economy") == "macro"
    assert taxonomy.resolve("market_index") == "markets"
    assert taxonomy.resolve("weather") is None
    assert taxonomy["energy"].name("zh") == "能源"
    assert {topic.id for topic in taxonomy.children("region")} == {"china", "foreign", "international"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[a]\nen = "A"', "needs a name 'zh'"),
        ('[a]\nen = "A"\nzh = "甲"\nparent = "b"', "no parent 'b'"),
        ('[a]\nen = "A"\nzh = "甲"\nparent = "a"', "above itself"),
        ('[a]\nen = "A"\nzh = "甲"\ncolour = "red"', "unknown key 'colour'"),
        ('[a]\nen = "A"\nzh = "甲"\naliases = ["b"]\n[b]\nen = "B"\nzh = "乙"', "already belongs"),
        ('["a/b"]\nen = "A"\nzh = "甲"', "ASCII letters"),
        ("a = 3", "section"),
        ("a = ", "not readable"),
        ("", "no topic"),
    ],
)
def test_wrong_taxonomy_is_one_line_with_the_setting(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "topics.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=said) as caught:
        load_taxonomy(path)
    assert "engine.topics" in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_taxonomy_is_one_line_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"engine\.topics"):
        load_taxonomy(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Profit &amp; loss &#39;up&#39;  https://t.co/AbC123\n now", "Profit & loss 'up' http now"),
        ("转发 http://t.cn/A6x公司公告", "转发 http公司公告"),
        ("see WWW.EXAMPLE.COM/x?y=1 ok", "see http ok"),
        ("a\x00b\ud800c", "a b?c"),
        ("", ""),
    ],
)
def test_text_is_brought_into_the_form_models_know(raw: str, clean: str) -> None:
    assert normalise(raw) == clean
    assert normalise(clean) == clean
