"""What is mixed: old texts into new ones, and the weights of several runs into one network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from monitor.understand.manifest import Encoder
from tests.unit.models import small_recipe
from training import ensemble
from training.continual import forgetting_lines, mixed
from training.corpus import Corpus
from training.data.examples import Example
from training.ensemble import Member


def test_new_file_unteaches_no_topic_that_only_old_ones_name(tmp_path: Path) -> None:
    old = [Example(f"old {n}", topics=(["earnings", "macro"][n % 2],), origin=f"old.jsonl:{n}") for n in range(8)]
    new = [Example(f"new {n}", topics=(["ipo", "macro"][n % 2],), origin=f"new.jsonl:{n}") for n in range(8)]
    held = [replace(new[0], text="held new"), replace(old[0], text="held old")]
    recipe = small_recipe(
        train=[
            {"file": "old.jsonl", "origin": "x", "licence": "x", "old": True},
            {"file": "new.jsonl", "origin": "x", "licence": "x"},
        ],
        continual={"bundle": "any", "replay": 0.3},
    )
    corpus = mixed(recipe, Corpus([*old, *new], held, ("earnings", "ipo", "macro")), ("earnings", "m_and_a"), tmp_path)
    among = {row.text.split()[0]: row.among for row in corpus.taught}
    assert among == {"new": ("ipo", "macro"), "old": ("earnings", "macro")}
    assert [row.among for row in corpus.held] == [("ipo", "macro"), ("earnings", "macro")]
    # 0.3 of what is taught: 3 of 11.
    assert sum(row.text.startswith("old") for row in corpus.taught) == 3
    assert corpus.topics == ("earnings", "ipo", "m_and_a", "macro")


def test_forgetting_that_was_not_measured_is_not_called_none() -> None:
    assert forgetting_lines({}, "a@1") == [
        "Taught on from a@1. The recipe has no test file that is there: what it forgot was not measured."
    ]


def test_greedy_soup_leaves_out_a_member_that_makes_it_worse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    encoder = Encoder(name="x", revision=None, sha256={}, pooling="mean", max_tokens=16, form="delta")
    value = {13: 0.8, 14: 0.7, 15: 0.6}
    members = [Member(seed, {"w": np.full(2, float(seed))}, encoder, value[seed]) for seed in (15, 13, 14)]
    # 13 alone .8; with 14 it would be worse; with 15 better.
    scored = {13.5: 0.75, 14.0: 0.9}
    monkeypatch.setattr(ensemble, "score", lambda _r, _l, tensors, *_rest: scored[float(tensors["w"][0])])
    best, chosen = ensemble.soup(small_recipe(), cast("Any", None), members, tmp_path)
    assert chosen == [13, 15]
    assert (float(best.tensors["w"][0]), best.score) == (14.0, 0.9)
