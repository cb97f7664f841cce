"""`bellwether up`: one command, several processes, each kept alive, all stopped together."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from monitor.understand.bundle import SHIPPED
from tests.acceptance.processes import Process, environment, ok, run, until
from tests.broker import free_port


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def env(tmp_path: Path, port: int) -> dict[str, str]:
    """A data folder of its own, and a Kafka that is not there."""
    tmp_path.chmod(0o755)
    return environment(
        tmp_path / "data",
        kafka_bootstrap=f"127.0.0.1:{free_port()}",
        kafka_timeout="0.5",
        dashboard_port=str(port),
    )


@pytest.fixture
def up(env: dict[str, str], tmp_path: Path) -> Iterator[Process]:
    process = Process(["up"], env)
    yield process
    print(process.output[-4000:])
    process.end()
    # After a kill the server may be left to itself.
    left = tmp_path / "data" / "postgres" / "postmaster.pid"
    if left.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(left.read_text().split()[0]), signal.SIGQUIT)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def child(process: Process, command: str) -> psutil.Process | None:
    for found in psutil.Process(process._child.pid).children():
        if found.cmdline()[-1:] == [command]:
            return found
    return None


def test_without_kafka_the_rest_runs_and_all_stop_together(
    up: Process, env: dict[str, str], port: int, tmp_path: Path
) -> None:
    until(lambda: answers(port), seconds=60, what="the dashboard")

    def reasons() -> list[str]:
        return [line for line in up.lines if line.startswith("consume ") and "BELLWETHER_KAFKA_BOOTSTRAP" in line]

    until(lambda: len(reasons()) >= 2, seconds=60, what="the consumer's reason, again")
    # One line each time, no traceback, and the pauses grow.
    assert [line for line in up.lines if line.startswith("consume ")] == reasons()
    for pause in ("1 s", "2 s"):
        until(
            lambda pause=pause: any(  # type: ignore[misc]
                "consume ended with status 1" in line and line.endswith(f"again in {pause}") for line in up.lines
            ),
            seconds=10,
            what=f"a pause of {pause}",
        )

    dashboard = child(up, "dashboard")
    assert dashboard is not None
    dashboard.kill()
    until(lambda: any("dashboard was killed by SIGKILL" in line for line in up.lines), seconds=10, what="a word on it")
    until(lambda: answers(port), seconds=30, what="the dashboard again")

    until(
        lambda: json.loads(ok(["status", "--json"], env))["scheduler"]["leader"],
        seconds=30,
        what="a scheduler that leads",
    )
    children = psutil.Process(up._child.pid).children(recursive=True)
    assert up.stop(timeout=30) == 0
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not [p for p in alive if "python" in p.name()]
    until(
        lambda: not (tmp_path / "data" / "postgres" / "postmaster.pid").exists(),
        seconds=10,
        what="the end of the embedded Postgres",
    )


def test_killed_parent_takes_its_children_along(up: Process, port: int) -> None:
    until(lambda: answers(port), seconds=60, what="the dashboard")
    children = [found for found in psutil.Process(up._child.pid).children() if "monitor.cli" in found.cmdline()]
    assert len(children) >= 2
    up.kill()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []


def test_command_that_cannot_start_at_all_says_why_in_one_line(env: dict[str, str]) -> None:
    done = run(["up"], env | {"BELLWETHER_DATABASE_URL": f"postgresql://127.0.0.1:{free_port()}/x"})
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1 and "BELLWETHER_DATABASE_URL" in lines[0]


def test_consumer_without_kafka_is_one_line_that_names_the_setting(env: dict[str, str]) -> None:
    ok(["migrate"], env)
    done = run(["consume"], env)
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1 and "BELLWETHER_KAFKA_BOOTSTRAP" in lines[0]


def test_consumer_with_a_damaged_model_folder_is_one_line_that_names_it(env: dict[str, str], tmp_path: Path) -> None:
    ok(["migrate"], env)
    folder = tmp_path / "bundle"
    shutil.copytree(SHIPPED[0], folder)
    with (folder / "weights.safetensors").open("r+b") as weights:
        weights.seek(100)
        weights.write(b"damaged")
    done = run(["consume"], env | {"BELLWETHER_ENGINE_BUNDLES": str(folder)})
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1 and str(folder) in lines[0] and "engine.bundles" in lines[0]
