"""Fixtures of the tests that teach."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.test_training import write_labels
from tests.unit.models import make_encoder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder: labels to teach and to test, and a small encoder."""
    folder = tmp_path_factory.mktemp("labels")
    write_labels(folder / "train.jsonl", count=320, seed=1)
    write_labels(folder / "test.jsonl", count=100, seed=2)
    make_encoder(folder / "encoder")
    return folder
