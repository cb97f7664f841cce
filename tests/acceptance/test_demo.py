"""The demo, as a newcomer runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.processes import environment, ok, run


@pytest.mark.timeout(300)
def test_demo_finds_both_crises_and_says_why(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    env = environment(tmp_path / "data")
    shown = ok(["demo", "--no-serve"], env)
    halvern = [line for line in shown.splitlines() if "/HLVN/en" in line]
    canglan = [line for line in shown.splitlines() if "/990101.SH/zh" in line]
    assert any(line.startswith("2026-03-19 1") for line in halvern), shown
    assert any(line.startswith("2026-03-25 0") for line in canglan), shown
    assert "negative" in shown and "expected" in shown
    # Nothing but the two crises is cried out over four weeks: what they touch (topics, everything) aside.
    days = {line[:10] for line in shown.splitlines() if line.startswith("2026-")}
    assert days <= {"2026-03-19", "2026-03-20", "2026-03-25", "2026-03-26"}, shown


def test_demo_ignores_the_live_record(tmp_path: Path) -> None:
    env = environment(
        tmp_path / "data", database_url="postgresql://nobody@127.0.0.1:1/none", kafka_bootstrap="127.0.0.1:1"
    )
    done = run(["status"], env)
    assert done.returncode == 1
    assert b"database.url" in done.stderr and b"Traceback" not in done.stderr
