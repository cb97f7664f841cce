"""The supervisor on real processes: small Python programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from monitor import supervise
from monitor.supervise import Supervisor, Task

Said = list[tuple[str, str]]


def python(name: str, program: str) -> Task:
    return Task(name, [sys.executable, "-u", "-c", program])


def run(tasks: list[Task], until: Callable[[Said], bool], *, grace: float = 5.0, seconds: float = 20.0) -> Said:
    """Run in this (the main) thread; another one sends SIGTERM when `until` is true of what was said."""
    said: Said = []
    over = threading.Event()

    def watch() -> None:
        deadline = time.monotonic() + seconds
        while not until(said) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        over.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        Supervisor(tasks, lambda name, line: said.append((name, line)), grace=grace).run()
    finally:
        watcher.join()
    assert over.is_set()
    return said


def lines(said: Said, name: str) -> list[str]:
    return [line for who, line in said if who == name]


@pytest.fixture(autouse=True)
def _swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "FIRST_PAUSE", 0.05)


ENDLESS = "import time\nprint('here', flush=True)\ntime.sleep(60)"


def test_output_comes_whole_and_under_its_own_name() -> None:
    talk = (
        "import sys,time\nfor i in range(200): print('{}', i)\n"
        "sys.stderr.write('no line end')\nsys.stderr.flush()\ntime.sleep(60)"
    )
    said = run(
        [python("a", talk.format("a")), python("b", talk.format("b"))],
        lambda said: len(lines(said, "a")) >= 200 and len(lines(said, "b")) >= 200,
    )
    for name in "ab":
        assert [line for line in lines(said, name) if line != "no line end"] == [f"{name} {i}" for i in range(200)]
        assert lines(said, name)[-1] == "no line end"


def test_child_that_ends_is_started_again_later_each_time() -> None:
    task = python("weak", "import time\nprint(time.monotonic())\nraise SystemExit(3)")
    said = run([task], lambda said: len(lines(said, "weak")) >= 5)
    starts = [float(line) for line in lines(said, "weak")]
    waits = [later - earlier for earlier, later in pairwise(starts)]
    assert all(wait >= 0.05 * 2**i for i, wait in enumerate(waits))
    ours = lines(said, "")
    assert ours[0].startswith("weak ended with status 3 after 0 s; it is started again in")


def test_pause_starts_over_after_a_steady_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "STEADY", 0.0)
    monkeypatch.setattr(supervise, "FIRST_PAUSE", 0.01)
    said = run([python("steady", "print(1)")], lambda said: len(lines(said, "steady")) >= 4)
    assert len({line.rpartition("in ")[2] for line in lines(said, "") if "again" in line}) == 1


def test_killed_child_comes_back(tmp_path: Path) -> None:
    task = python("victim", "import os,time\nprint(os.getpid(), flush=True)\ntime.sleep(60)")

    def kill_first(said: Said) -> bool:
        found = lines(said, "victim")
        if len(found) == 1 and not marker.exists():
            marker.touch()
            os.kill(int(found[0]), signal.SIGKILL)
        return len(found) >= 2

    marker = tmp_path / "killed"
    said = run([task], kill_first)
    assert any("was killed by SIGKILL" in line for line in lines(said, ""))
    assert len(set(lines(said, "victim"))) == 2


def test_program_that_is_not_there_is_tried_again() -> None:
    said = run([Task("gone", ["/no/such/program"])], lambda said: len(lines(said, "")) >= 2)
    assert "did not start" in lines(said, "")[0]


def test_children_are_stopped_the_last_started_first() -> None:
    program = (
        "import signal,sys,time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('bye', time.monotonic(), flush=True), sys.exit()))\n"
        "print('here', flush=True)\ntime.sleep(60)"
    )
    said = run([python("first", program), python("second", program)], lambda said: len(said) >= 2)
    byes = [who for who, line in said if line.startswith("bye")]
    assert byes == ["second", "first"]


def test_child_that_does_not_listen_is_killed_in_time() -> None:
    deaf = (
        "import signal,time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('here', flush=True)\ntime.sleep(60)"
    )
    began = time.monotonic()
    said = run([python("deaf", deaf)], lambda said: ("deaf", "here") in said, grace=0.5)
    assert time.monotonic() - began < 10
    assert "deaf did not end in time; it is killed" in lines(said, "")


def test_line_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "LONGEST_LINE", 1000)
    said = run(
        [python("long", "print('x' * 100_000, flush=True)\nimport time\ntime.sleep(60)")],
        lambda said: sum(map(len, lines(said, "long"))) >= 100_000,
    )
    assert "".join(lines(said, "long")) == "x" * 100_000


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_children_end_with_a_killed_parent() -> None:
    program = (
        "import sys\nfrom monitor.supervise import Supervisor, Task\n"
        "child = Task('child', [sys.executable, '-u', '-c', 'import os,time; print(os.getpid()); time.sleep(60)'])\n"
        "Supervisor([child], lambda name, line: print(line, flush=True)).run()"
    )
    parent = subprocess.Popen([sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
