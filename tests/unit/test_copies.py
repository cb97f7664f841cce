"""Which texts are copies of each other, and what is kept of their labels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.data.doubles import conflicts, fingerprint, without_doubles
from training.data.examples import Example
from training.data.reading import read_examples
from training.data.splits import held_out


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("🚀🚀", "📉"),
        ("$TSLA 🚀", "$TSLA 📉"),
        ("$TSLA +5%", "$TSLA -5%"),
        ("up 3.5%", "up 35%"),
        ("Gold ↑", "Gold ↓"),
        ("!!!", "???"),
    ],
)
def test_signs_points_and_emoji_make_another_text(one: str, other: str) -> None:
    assert fingerprint(one) != fingerprint(other)
    assert len(without_doubles([Example(one), Example(other)])) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Net loss of $1,204m.", "net loss of $1204m"),
        ("AAPL 10-Q is out", "AAPL 10Q is out!"),
        ("Up 3.5% -- https://t.co/a", "up 3.5%"),
        ("$TSLA −5%", "TSLA −5 %"),
    ],
)
def test_case_marks_and_links_make_none(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other)


def test_what_is_held_out_hangs_on_letters_and_digits_alone() -> None:
    plain = [Example(f"profit up {n}5 in week {n}") for n in range(200)]
    signed = [Example(f"Profit up +{n}.5 in week {n} 🚀") for n in range(200)]
    held = [
        [row.text.split()[-1 if rows is plain else -2] for row in held_out(rows, 0.3)[1]] for rows in (plain, signed)
    ]
    assert 30 < len(held[0]) < 90
    assert held[0] == held[1]


def test_later_copy_adds_what_is_said_of_other_entities() -> None:
    rows = [
        Example("Acme gains on Bolt", entities=(("Acme", "positive"), ("Core", None))),
        Example("Acme gains on Bolt!", entities=(("Bolt", "negative"), ("Core", "neutral"))),
        Example("acme gains on bolt", entities=(("Acme", "negative"),)),
    ]
    (kept,) = without_doubles(rows)
    assert dict(kept.entities) == {"Acme": "positive", "Bolt": "negative", "Core": "neutral"}
    assert [conflict.what for conflict in conflicts(rows)] == ["sentiment toward Acme"]


def test_half_a_character_and_a_nul_are_replaced_where_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "moon soon \ud83d", "sentiment": "positive"}) + '\n{"text": "a\\u0000b"}\n')
    found = [row.text for row in read_examples(path)]
    assert found == ["moon soon ?", "a b"]
