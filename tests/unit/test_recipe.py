"""Recipes: a wrong key is refused with the nearest right one, and nothing that is said is ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import InputError
from training.recipe import Recipe, read_recipe

LINEAR = 'name = "own"\nversion = "0.1.0"\nkind = "ngrams"\nlanguages = ["en"]\n'
FILE = '[[train]]\nfile = "a.jsonl"\norigin = "here"\nlicence = "MIT"\n'


def read(folder: Path, body: str, **settings: str) -> Recipe:
    path = folder / "own.toml"
    path.write_text(LINEAR + body + FILE, encoding="utf-8")
    return read_recipe(str(path), settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"schedul.epochs": "2"}, r"no schedul; did you mean schedule\?"),
        ({"tunning.method": "full"}, r"no tunning; did you mean tuning\?"),
        ({"encodr.name": "x"}, r"no encodr; did you mean encoder\?"),
        ({"augment.typo": "1"}, r"no augment\.typo; did you mean augment\.typos\?"),
        ({"qqqq": "1"}, r"no qqqq; docs/recipe\.md lists the keys"),
        ({"train.repeat": "2"}, "train is a list of files; change it in a copy of the recipe"),
        ({"schedule.seed": "-1"}, r"schedule\.seed"),
        ({"linear.low": "9"}, r"linear\.low: 9 is over linear\.high, 5"),
    ],
)
def test_wrong_key_or_value_is_told_with_the_nearest_right_one(settings: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_recipe("en", settings)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('[continual]\nbundle = "en"\n', "continual"),
        ('[distil]\nteachers = ["en"]\n', "distil"),
        ("[loss]\nrdrop = 1.0\n", "loss"),
        ("[augment]\ncompany = 0.5\n", "augment"),
        ("[pretrain]\nepochs = 1\n", "pretrain"),
        ("[ensemble]\nmembers = 2\n", "ensemble"),
        ('[schedule]\nepochs = 2\nsplit = "time"\n', r"schedule\.epochs"),
    ],
)
def test_linear_recipe_is_not_let_say_what_only_an_encoder_can(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(InputError, match=f": {said}: only a recipe of kind"):
        read(tmp_path, body)


def test_linear_recipe_may_choose_its_split(tmp_path: Path) -> None:
    assert read(tmp_path, '[schedule]\nsplit = "time"\n').schedule.split == "time"


@pytest.mark.parametrize(("key", "where"), [("quote", "train"), ("repeat", "test"), ("old", "test")])
def test_key_of_a_taught_file_is_none_of_a_tested_one(tmp_path: Path, key: str, where: str) -> None:
    value = "2" if key == "repeat" else "true"
    more = FILE.replace("train", where, 1) + f"{key} = {value}\n"
    with pytest.raises(InputError, match=rf"there is no {where}\.\d\.{key}"):
        read(tmp_path, more)
