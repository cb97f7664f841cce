"""Labelled files and recipes: clear errors, no doubles, no leaks, a slice that never changes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from monitor.errors import InputError
from monitor.understand.topics import load_taxonomy
from training.corpus import in_taxonomy
from training.data.doubles import fingerprint, without_doubles
from training.data.examples import Example
from training.data.leaks import refuse_leaks
from training.data.reading import read_examples
from training.data.splits import held_out
from training.recipe import RECIPES, read_recipe


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: not a JSON object"),
        ('{"lang": "en"}', "line 2: text"),
        ('{"text": "  "}', "line 2: text"),
        ('{"text": "a", "sentiment": "good"}', "line 2: sentiment: 'good' is none of negative, neutral, positive"),
        ('{"text": "a", "topics": "macro"}', "line 2: topics"),
        ('{"text": "a", "negative": 1}', "line 2: negative"),
        ('{"text": "a", "lang": 1}', "line 2: lang"),
    ],
)
def test_wrong_line_is_named_with_file_line_and_field(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(f'{{"text": "fine"}}\n{line}\n')
    with pytest.raises(InputError, match=said) as caught:
        read_examples(path)
    assert str(path) in str(caught.value)


def test_compressed_files_read_like_plain_ones(tmp_path: Path) -> None:
    import zstandard

    raw = json.dumps({"text": "亏损", "sentiment": "negative", "topics": ["company"]}).encode()
    (tmp_path / "a.jsonl").write_bytes(raw)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(raw))
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.compress(raw))
    found = [read_examples(tmp_path / name) for name in ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst")]
    assert found[0] == [Example("亏损", None, "negative", ("company",))]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("raw", [b"\x1f\x8bbroken", b""])
def test_unreadable_or_empty_file_is_one_line(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(raw)
    with pytest.raises(InputError, match=r"a\.jsonl\.gz"):
        read_examples(tmp_path / "a.jsonl.gz")


def test_copies_that_differ_in_link_case_and_marks_are_one() -> None:
    rows = [
        Example("$AAPL falls 3%! https://t.co/a", sentiment="negative"),
        Example("AAPL falls 3%", topics=("stock_movement",)),
        Example("AAPL rises 3%"),
    ]
    kept = without_doubles(rows)
    assert [row.text for row in kept] == [rows[0].text, rows[2].text]
    assert kept[0].sentiment == "negative"
    assert kept[0].topics == ("stock_movement",)


def test_text_that_is_taught_and_tested_is_refused() -> None:
    with pytest.raises(InputError, match="1 of its texts"):
        refuse_leaks([Example("Oil UP")], [Example("oil up."), Example("gold")], train_name="train", test_name="test")


def test_held_out_slice_depends_on_each_text_alone() -> None:
    rows = [Example(f"text number {n}") for n in range(2000)]
    taught, held = held_out(rows, 0.1)
    assert 140 < len(held) < 260
    assert len(taught) + len(held) == 2000
    assert held_out(rows[::-1], 0.1)[1] == held[::-1]
    assert held_out([Example(row.text.upper() + "!") for row in held], 0.1)[0] == []


def test_labels_are_brought_to_the_taxonomy(tmp_path: Path) -> None:
    rows = [Example("a", topics=("company", "china")), Example("b")]
    found = in_taxonomy(rows, load_taxonomy(), ["china"], tmp_path)
    assert found[0].topics == ("company_product",)
    assert found[1].topics is None
    with pytest.raises(InputError, match="'weather' is neither a topic"):
        in_taxonomy([Example("c", topics=("weather",))], load_taxonomy(), [], tmp_path)


def test_chinese_text_keeps_its_fingerprint_apart() -> None:
    assert fingerprint("涨停！") == fingerprint("涨停") != fingerprint("跌停")


@pytest.mark.parametrize("name", sorted(file.stem for file in RECIPES.glob("*.toml")))
def test_shipped_recipe_reads_and_changes(name: str) -> None:
    recipe = read_recipe(name, {"version": "9.9.9", "schedule.epochs": "2", "linear.buckets": "1024"})
    assert recipe.version == "9.9.9"
    assert recipe.schedule.epochs == 2
    assert recipe.linear.buckets == 1024


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"schedule.epoch": "2"}, r"no schedule\.epoch; did you mean schedule\.epochs\?"),
        ({"schedule.epochs": "many"}, r"schedule\.epochs"),
        ({"name.x": "1"}, "no section"),
        ({"kind": "magic"}, "kind"),
        ({"kind": "ngrams"}, "wide: there is no encoder"),
        ({"toward": "false", "toward_share": "0.5"}, "toward_share: no text is marked"),
    ],
)
def test_wrong_setting_of_a_recipe_is_named(settings: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_recipe("en", settings)


def test_unknown_recipe_lists_those_that_ship() -> None:
    with pytest.raises(InputError, match="one of both, en, en-fast, en-first, fpb, sentfin, zh, zh-first"):
        read_recipe("fr")
