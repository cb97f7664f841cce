"""One fine-tuning run on its own: what it takes of the machine, and where it ends when it is cut off."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from monitor.errors import InputError
from monitor.understand.encoders import load_tokenizer
from monitor.understand.network import Network
from tests.integration.test_training import write_labels
from tests.unit.models import make_encoder, small_recipe
from training import processes
from training.arguments import reporters
from training.data.examples import Example
from training.data.reading import read_examples
from training.finetune import Lesson, fine_tune, looked_at
from training.recipe import Recipe
from training.rows import Rows

TOPICS = ("corporate_debt", "energy")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts, and an encoder without dropout of its own."""
    folder = tmp_path_factory.mktemp("labels")
    write_labels(folder / "train.jsonl", count=32, seed=1)
    write_labels(folder / "held.jsonl", count=24, seed=2)
    config = make_encoder(folder / "encoder") / "config.json"
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config.write_text(json.dumps(json.loads(config.read_text(encoding="utf-8")) | still), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def _same_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def recipe(
    data: Path, *, tuning: dict[str, Any] | None = None, loss: dict[str, Any] | None = None, **schedule: Any
) -> Recipe:
    plan = {"epochs": 2, "batch": 8, "rate": 4e-3, "head_rate": 2e-2, "max_tokens": 48, "dropout": 0.0, "threads": 1}
    return small_recipe(
        encoder={"name": str(data / "encoder"), "max_tokens": 64},
        tuning={"method": "full", **(tuning or {})},
        loss=loss or {},
        schedule={**plan, "precision": "fp32", **schedule},
    )


def taught(data: Path, workplace: Path, settings: Recipe, change: Callable[[Example], str] | None = None) -> Network:
    taught, held = (read_examples(data / f"{name}.jsonl") for name in ("train", "held"))
    return fine_tune(settings, Lesson(taught, held, TOPICS, change=change), data / "encoder", workplace)


def seen_of(data: Path, network: Network) -> dict[str, float]:
    held = Rows(read_examples(data / "held.jsonl"), TOPICS, load_tokenizer(data / "encoder"), 48)
    return looked_at(network, held)


def steps_of(workplace: Path) -> list[int]:
    """The steps of the checkpoints."""
    return sorted(int(path.name.split("-")[1]) for path in (workplace / "checkpoints").glob("checkpoint-*"))


def losses_of(workplace: Path) -> list[float]:
    state = workplace / "checkpoints" / f"checkpoint-{steps_of(workplace)[-1]}" / "trainer_state.json"
    rows = json.loads(state.read_text(encoding="utf-8"))["log_history"]
    return [row["eval_loss"] for row in rows if "eval_loss" in row]


@pytest.mark.parametrize(
    ("tuning", "loss"),
    [
        ({"method": "full", "freeze": ["embeddings"]}, {}),
        ({"method": "lora", "rank": 4}, {}),
        ({"method": "prompt", "virtual_tokens": 4}, {}),
        ({"method": "lora", "rank": 4}, {"rdrop": 0.5, "adversarial": 0.05}),
    ],
    ids=["full", "lora", "prompt", "lora with adversary"],
)
def test_activations_computed_twice_teach_the_same(
    data: Path, tmp_path: Path, tuning: dict[str, Any], loss: dict[str, Any]
) -> None:
    kept = taught(data, tmp_path / "kept", recipe(data, tuning=tuning, loss=loss))
    twice = taught(data, tmp_path / "twice", recipe(data, tuning=tuning, loss=loss, checkpointing=True))
    assert any(getattr(part, "gradient_checkpointing", False) for part in twice.modules())
    assert losses_of(tmp_path / "twice") == pytest.approx(losses_of(tmp_path / "kept"), abs=1e-5)
    assert losses_of(tmp_path / "twice")[-1] < losses_of(tmp_path / "twice")[0]
    assert seen_of(data, twice) == pytest.approx(seen_of(data, kept), abs=1e-5)
    weights, others = kept.state_dict(), twice.state_dict()
    assert all(torch.allclose(weights[name], others[name], atol=1e-4) for name in weights)


def test_run_without_gain_ends_at_the_same_step_however_often_it_is_cut_off(data: Path, tmp_path: Path) -> None:
    # So slow that no look is better than the first.
    settings = recipe(data, epochs=9, rate=1e-12, head_rate=1e-12, patience=2)
    whole = taught(data, tmp_path / "whole", settings, unchanged)
    assert steps_of(tmp_path / "whole")[-1] == 12
    broken = tmp_path / "broken"
    for last in (4, 8):
        with pytest.raises(KeyboardInterrupt):
            taught(data, broken, settings, cut_off_after(texts=38))
        assert steps_of(broken)[-1] == last
    again = taught(data, broken, settings, unchanged)
    assert steps_of(broken) == steps_of(tmp_path / "whole")
    assert seen_of(data, again) == seen_of(data, whole)
    # Cut off when all was taught and nothing was written yet: not one step more.
    once_more = taught(data, broken, settings, unchanged)
    assert steps_of(broken) == steps_of(tmp_path / "whole")
    assert all(torch.equal(value, once_more.state_dict()[name]) for name, value in again.state_dict().items())


def test_run_cut_off_after_its_last_step_learns_nothing_more(data: Path, tmp_path: Path) -> None:
    settings = recipe(data, epochs=1.5)
    first = taught(data, tmp_path, settings)
    assert steps_of(tmp_path)[-1] == 6
    again = taught(data, tmp_path, settings)
    assert steps_of(tmp_path)[-1] == 6
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in first.state_dict().items())


def unchanged(example: Example) -> str:
    return example.text


def cut_off_after(texts: int) -> Callable[[Example], str]:
    """Gives so many texts and then ends the process, as Ctrl-C does."""
    left = texts

    def change(example: Example) -> str:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return example.text

    return change


@pytest.mark.parametrize(("tokens", "attention"), [(48, "eager"), (128, "eager"), (129, "sdpa")])
def test_attention_is_written_out_for_short_texts_alone(
    data: Path, tmp_path: Path, tokens: int, attention: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.cuda.is_available():
        pytest.skip("of a CPU")
    folder = tmp_path / "encoder"
    make_encoder(folder)
    from transformers import BertConfig, BertModel

    BertModel(BertConfig.from_pretrained(folder, max_position_embeddings=160)).save_pretrained(folder)
    write_labels(tmp_path / "train.jsonl", count=16, seed=1)
    write_labels(tmp_path / "held.jsonl", count=8, seed=2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    network = taught(tmp_path, tmp_path / "run", recipe(tmp_path, epochs=1, max_tokens=tokens, threads=0))
    assert network.encoder.config._attn_implementation == attention  # type: ignore[union-attr]
    assert torch.get_num_threads() == processes.threads()


def test_texts_longer_than_the_encoder_are_refused_at_once(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"schedule\.max_tokens: 129 tokens are over the 128 positions"):
        taught(data, tmp_path, recipe(data, max_tokens=129))
    settings = recipe(data)
    assert settings.encoder is not None
    longer = settings.model_copy(update={"encoder": settings.encoder.model_copy(update={"max_tokens": 200})})
    with pytest.raises(InputError, match=r"encoder\.max_tokens: 200 tokens are over the 128 positions"):
        taught(data, tmp_path, longer)
    assert not list(tmp_path.iterdir())


def test_every_run_reports_to_weights_and_biases_where_there_is_an_account(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.arguments import arguments

    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    assert reporters() == ["tensorboard"]
    monkeypatch.setenv("WANDB_MODE", "offline")
    told = arguments(recipe(data).schedule, tmp_path / "record", output_dir=str(tmp_path / "run"))
    assert told.report_to == ["tensorboard", "wandb"]
