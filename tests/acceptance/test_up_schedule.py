"""`bellwether schedule` as a process: one leads, another takes over, one round by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.processes import Process, environment, ok, run, until


@pytest.fixture
def env(postgres_folder: Path, schema: str) -> dict[str, str]:
    found = environment(postgres_folder, database_schema=schema)
    ok(["migrate"], found)
    return found


def test_second_scheduler_takes_over_when_the_first_is_killed(env: dict[str, str]) -> None:
    first = Process(["schedule"], env)
    second = None
    try:
        until(lambda: "this scheduler leads" in first.output, seconds=30, what="the first in the lead")
        second = Process(["schedule"], env)
        until(lambda: "stands by" in second.output, seconds=30, what="the second standing by")
        assert "this scheduler leads" not in second.output
        first.kill()
        until(lambda: "this scheduler leads" in second.output, seconds=15, what="the second in the lead")
        assert second.stop(timeout=15) == 0
    finally:
        for process in (first, second):
            if process is not None:
                process.end()
                print(process.output)


def test_one_round_by_hand_ends_by_itself(env: dict[str, str]) -> None:
    assert ok(["schedule", "--once"], env).strip() == "judged through nothing yet: 0 opened, 0 resolved"
    done = run(["schedule", "--notify"], env)
    assert done.returncode == 1
    assert done.stderr.decode().strip() == (
        "bellwether: --notify belongs to --once; without --once notifications are always delivered"
    )
