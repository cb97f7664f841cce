"""The model card: what it counts, and what it must not keep quiet about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.understand.bundle import Bundle
from monitor.understand.companies import Watchlist
from monitor.understand.topics import load_taxonomy
from tests.unit.scripted import by_words, scripted, tone
from training.card import CARD, HELD_OUT, update_card, write_card
from training.corpus import Corpus, gather
from training.evaluation.examination import Scope, examine
from training.recipe import Recipe, read_recipe

SWAPS = """
[[swap]]
group = "company"
lang = "en"
templates = ["{} gains"]
words = ["Acme", "Bolt"]

[[swap]]
group = "country"
lang = "en"
templates = ["{} gains"]
words = ["Chile", "Peru"]
"""
OUT = "- Bias out of bounds, company (en): another word moves the score by 1.4000 on average (bound 0.05) and changes "
OUT += "the answer in 100.00% of 1 swaps (bound 2%)."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Data of a recipe, and pairs in which Bolt is thought ill of by `unfair`."""
    rows = [
        {"text": f"Acme {word} on Bolt in year {n}", "lang": "en", "sentiment": label}
        for n in range(40)
        for word, label in (("gains", "positive"), ("loses", "negative"))
    ]
    for row in rows[:30]:
        row["entity_sentiment"] = {"Acme": row["sentiment"], "Bolt": "neutral"}  # type: ignore[assignment]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / "swaps.toml").write_text(SWAPS, encoding="utf-8")
    return tmp_path


def unfair(text: str) -> tuple[Sequence[float], Sequence[float]]:
    return tone(0.8, 0.1, 0.1) if text == "Bolt gains" else by_words(text)


def recipe_of(folder: Path, limits: str = "[]") -> tuple[Recipe, Corpus]:
    path = folder / "small.toml"
    path.write_text(
        f'name = "small"\nversion = "0.0.1"\nkind = "ngrams"\nlanguages = ["en"]\ntoward = true\nlimits = {limits}\n'
        '[[train]]\nfile = "train.jsonl"\norigin = "made"\nlicence = "none"\nrepeat = 3\n',
        encoding="utf-8",
    )
    recipe = read_recipe(str(path))
    return recipe, gather(recipe, folder, load_taxonomy())


def written(folder: Path, bundle: Bundle, limits: str = "[]") -> str:
    recipe, corpus = recipe_of(folder, limits)
    examination = examine(
        bundle, {HELD_OUT: corpus.held}, load_taxonomy(), Watchlist([]), scope=Scope(folder / "pairs", speed=False)
    )
    write_card(folder, recipe, bundle.manifest, corpus, examination, load_taxonomy())
    return (folder / CARD).read_text(encoding="utf-8")


def test_card_counts_each_taught_text_once_and_marked_ones_apart(folder: Path) -> None:
    _, corpus = recipe_of(folder)
    card = written(folder, scripted(by_words))
    held = {row.text for row in corpus.held if row.target is None}
    taught = {row.text for row in corpus.taught if row.target is None}
    assert len(taught) + len(held) == 80 < len(corpus.taught)
    marked = {row.text for row in corpus.taught if row.target is not None}
    assert len(marked) == sum(2 for row in {row.text: row for row in corpus.taught}.values() if row.entities)
    assert (
        f"Without doubles {len(taught)} texts were taught, and {len(marked)} made of them, each marked for one of its "
        f"companies; {len(held)} were held out" in card
    )
    told = {
        label: sum(word in text for text in taught) for label, word in (("negative", "loses"), ("positive", "gains"))
    }
    assert f"Taught sentiment: negative {told['negative']}, positive {told['positive']}." in card
    assert f"| held-out slice | sentiment | {len(held)} |" in card


def test_card_names_every_bias_out_of_bounds(folder: Path) -> None:
    assert written(folder, scripted(unfair), '["Knows 9 words."]').endswith(
        f"## Where it is weak\n\n- Knows 9 words.\n{OUT}\n"
    )
    assert written(folder, scripted(unfair)).endswith(f"## Where it is weak\n\n{OUT}\n")


def test_card_without_limits_says_that_nobody_wrote_any(folder: Path) -> None:
    none = "## Where it is weak\n\nNobody has written its limits yet.\n"
    assert written(folder, scripted(by_words)).endswith(none)
    assert written(folder, scripted(by_words), '["Knows 9 words."]').endswith("weak\n\n- Knows 9 words.\n")


def test_new_numbers_bring_what_is_out_of_bounds_up_to_date(folder: Path) -> None:
    fair, out = (replace(scripted(says), folder=folder) for says in (by_words, unfair))

    def updated(bundle: Bundle, pairs: Path | None = folder / "pairs") -> str:
        found = examine(bundle, {}, load_taxonomy(), Watchlist([]), scope=Scope(pairs, speed=False))
        update_card(bundle, found, load_taxonomy())
        return (folder / CARD).read_text(encoding="utf-8").partition("## Where it is weak\n\n")[2]

    written(folder, fair)
    path = folder / CARD
    path.write_text(path.read_text(encoding="utf-8") + "\n## Thanks\n\nTo all.\n", encoding="utf-8")
    thanks = "\n## Thanks\n\nTo all.\n"
    assert updated(out) == updated(out) == f"{OUT}\n{thanks}"
    assert updated(out, None) == f"{OUT}\n{thanks}"  # not measured is not mended
    assert updated(fair) == f"Nobody has written its limits yet.\n{thanks}"
