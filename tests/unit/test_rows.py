"""Texts as a network takes them: changed anew each epoch, and given twice to a loss that wants one answer."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from monitor.understand.encoders import load_encoder, load_tokenizer
from monitor.understand.network import Network
from tests.unit.models import TOPICS, make_encoder
from training import precision
from training.data.examples import Example
from training.objective import Objective
from training.recipe import Loss
from training.rows import Collator, Rows, within

TEXTS = [
    Example("profit rises", "en", sentiment="positive", topics=("earnings",)),
    Example("the bank of the market falls", "en", sentiment="negative"),
]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


def another(example: Example) -> str:
    return f"{example.text} {random.choice(['oil', 'bond', 'deal', 'quarter', 'record'])}"


def batch_of(encoder: Path, **given: Any) -> dict[str, torch.Tensor]:
    rows = Rows(TEXTS, TOPICS, load_tokenizer(encoder), 32, seed=5, **given)
    return Collator(0)([rows[0], rows[1]])


def test_text_stands_beside_its_changed_form(encoder: Path) -> None:
    plain, both = batch_of(encoder), batch_of(encoder, change=another, twice=True)
    assert torch.equal(both["input_ids"], plain["input_ids"])
    assert both["other_ids"].shape[1] == plain["input_ids"].shape[1] + 1
    assert both["other_mask"].sum(1).tolist() == [count + 1 for count in plain["attention_mask"].sum(1).tolist()]
    alone = batch_of(encoder, change=another)
    assert "other_ids" not in alone and torch.equal(alone["input_ids"], both["other_ids"])


def test_change_hangs_on_seed_epoch_and_row_alone(encoder: Path) -> None:
    rows = Rows(TEXTS, TOPICS, load_tokenizer(encoder), 32, change=another, twice=True, seed=5)
    random.seed(1)
    first = [rows[0]["other_ids"].tolist(), rows[1]["other_ids"].tolist()]
    random.seed(2)
    assert [rows[place]["other_ids"].tolist() for place in (1, 0)] == first[::-1]
    found = []
    for rows.epoch in range(12):
        found.append(tuple(rows[0]["other_ids"]))
    assert len(set(found)) > 1


def test_rdrop_asks_for_one_answer_to_both_forms(encoder: Path) -> None:
    """Without dropout two passes over one text agree, so what R-Drop adds comes from the changed text alone."""
    torch.manual_seed(0)
    network = Network(load_encoder(encoder), pooling="mean", topics=len(TOPICS))
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    found = {}
    for weight in (1e-9, 5.0):
        objective = Objective(network, Loss(rdrop=weight)).train()
        for name, batch in (("same", batch_of(encoder)), ("changed", batch_of(encoder, change=another, twice=True))):
            found[name, weight] = float(objective(**batch)["loss"])
    assert found["same", 5.0] == pytest.approx(found["same", 1e-9], abs=1e-5)
    assert found["changed", 5.0] > found["changed", 1e-9] + 1e-4


@pytest.mark.parametrize(("flags", "own"), [("fpu avx2 fma", False), ("avx2 avx512_bf16", True), ("asimd bf16", True)])
def test_products_are_in_bfloat16_only_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str, own: bool
) -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU decides here")
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n", encoding="utf-8")
    monkeypatch.setattr(precision, "_CPU_INFO", tmp_path / "cpuinfo")
    assert precision.products("auto") == {"bf16": own, "fp16": False}
    assert precision.products("bf16") == {"bf16": True, "fp16": False}
    assert precision.products("fp32") == {"bf16": False, "fp16": False}


def test_cut_texts_are_counted_and_one_that_loses_its_company_is_left_out(encoder: Path) -> None:
    filler = " ".join(f"oil n{number}" for number in range(20))
    rows = [
        Example("bank profit"),
        Example(filler),
        Example(f"[this company] {filler}", target="A"),
        Example(f"{filler} [this company]", target="A"),
        Example("［本公司］ oil", target="A"),
    ]
    kept, longer = within(rows, load_tokenizer(encoder), 32)
    assert kept == [*rows[:3], rows[4]]
    assert longer == 2
    assert within(rows, load_tokenizer(encoder), 128) == (rows, 0)
