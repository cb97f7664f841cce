"""Which checkpoint a run goes on from: the latest whole one, whatever a kill left behind."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import TrainerState

from training.checkpoints import Complete, last_complete


def saved(folder: Path, step: int) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    (checkpoint / "inner").mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(bytes(100 + step))
    (checkpoint / "inner" / "part.bin").write_bytes(bytes(step))
    Complete().on_save(
        SimpleNamespace(output_dir=str(folder)), TrainerState(global_step=step, is_world_process_zero=True), None
    )
    return checkpoint


def test_latest_whole_checkpoint_is_found(tmp_path: Path) -> None:
    assert last_complete(tmp_path / "nothing") is None
    saved(tmp_path, 9)
    latest = saved(tmp_path, 10)
    assert last_complete(tmp_path) == latest
    assert last_complete(tmp_path) == latest


@pytest.mark.parametrize("lost", ["model.safetensors", "inner/part.bin"])
def test_checkpoint_half_deleted_or_cut_off_is_not_gone_on_from(tmp_path: Path, lost: str) -> None:
    whole, deleted, cut = (saved(tmp_path, step) for step in (4, 5, 6))
    (deleted / lost).unlink()
    (cut / lost).write_bytes(b"")
    assert last_complete(tmp_path) == whole
    assert not deleted.exists() and not cut.exists()


def test_checkpoint_of_which_nobody_knows_the_end_is_not_gone_on_from(tmp_path: Path) -> None:
    for step, mark in ((1, None), (2, b'{"model.safet'), (3, b"\xff"), (4, b"")):
        checkpoint = saved(tmp_path, step)
        (checkpoint / "complete").unlink()
        if mark is not None:
            (checkpoint / "complete").write_bytes(mark)
    assert last_complete(tmp_path) is None
