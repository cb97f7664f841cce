"""How many processors there are for us: of the machine, the affinity, and a container's quota the least."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monitor import cores as module
from monitor.cores import cores, quota


@pytest.mark.parametrize(
    ("text", "expected"), [("200000 100000\n", 2.0), ("max 100000\n", None), ("50000 100000", 0.5), ("nonsense", None)]
)
def test_quota_of_control_groups_two(tmp_path: Path, text: str, expected: float | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert quota(tmp_path) == expected


@pytest.mark.parametrize(("most", "expected"), [("150000", 1.5), ("-1", None)])
def test_quota_of_control_groups_one(tmp_path: Path, most: str, expected: float | None) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(most)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert quota(tmp_path) == expected


def test_no_control_groups_are_no_limit(tmp_path: Path) -> None:
    assert quota(tmp_path) is None


@pytest.mark.parametrize(("allowed", "expected"), [(None, 32), (2.0, 2), (1.5, 2), (0.5, 1), (64.0, 32)])
def test_the_least_counts(monkeypatch: pytest.MonkeyPatch, allowed: float | None, expected: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(32)), raising=False)
    monkeypatch.setattr(module, "quota", lambda: allowed)
    assert cores() == expected
