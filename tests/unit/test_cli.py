"""The command line as a process: every command answers, and never with a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from monitor.cli import COMMANDS


def bellwether(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "monitor.cli", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "HOME": str(cwd), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_lists_every_command(tmp_path: Path) -> None:
    done = bellwether("--help", cwd=tmp_path)
    assert done.returncode == 0
    for name in COMMANDS:
        assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name: str, tmp_path: Path) -> None:
    done = bellwether(name, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout


def test_mistyped_command_is_answered_with_the_nearest(tmp_path: Path) -> None:
    done = bellwether("statsu", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean `bellwether status`?" in done.stderr


def test_wrong_setting_is_one_line_and_status_1(tmp_path: Path) -> None:
    done = bellwether("status", cwd=tmp_path, BELLWETHER_KAFKA_BOOTSTRP="x")
    assert done.returncode == 1
    assert done.stderr.startswith("bellwether: environment BELLWETHER_KAFKA_BOOTSTRP: there is no setting")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["consume", "schedule", "status", "up", "migrate"])
def test_unreachable_postgres_is_one_line_that_names_the_setting(command: str, tmp_path: Path) -> None:
    url = "postgresql://monitor:hunter2@127.0.0.1:1/record"
    done = bellwether(command, cwd=tmp_path, BELLWETHER_DATABASE_URL=url)
    assert done.returncode == 1
    assert "BELLWETHER_DATABASE_URL" in done.stderr
    assert "hunter2" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
