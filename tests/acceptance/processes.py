"""Runs the real command as a process, the way its users do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "monitor.cli"]


def environment(data: Path, **values: str) -> dict[str, str]:
    """The process's environment without BELLWETHER_ variables, plus these (`section_key="value"`)."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BELLWETHER_")}
    given = {f"BELLWETHER_{name.upper()}": value for name, value in values.items()}
    return kept | {"BELLWETHER_DATA_DIR": str(data), "OMP_NUM_THREADS": "1"} | given


def run(
    arguments: Sequence[str], env: dict[str, str], *, stdin: bytes | None = None, timeout: float = 240
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end."""
    return subprocess.run([*COMMAND, *arguments], env=env, input=stdin, capture_output=True, timeout=timeout)


def ok(arguments: Sequence[str], env: dict[str, str], **more: Any) -> str:
    """Run a command that must succeed; its standard output."""
    done = run(arguments, env, **more)
    assert done.returncode == 0, f"{arguments}: {done.stderr.decode()[-2000:]}"
    return done.stdout.decode()


class Process:
    """A command in the background; what it writes is kept."""

    def __init__(self, arguments: Sequence[str], env: dict[str, str]) -> None:
        self._child = subprocess.Popen(
            [*COMMAND, *arguments],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A test run started in the background of a script ignores SIGINT, and its children would, too.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._keep, daemon=True)
        self._reader.start()

    def _keep(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self.lines.append(line.rstrip())

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def kill(self) -> None:
        """SIGKILL."""
        self._child.kill()
        self._child.wait()

    def wait(self, timeout: float) -> int:
        """Wait for its end; the exit status."""
        status = self._child.wait(timeout)
        self._reader.join(5)
        return status

    def stop(self, timeout: float = 30) -> int:
        """SIGTERM; the exit status."""
        if self.running:
            self._child.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._child.send_signal(signal.SIGINT)

    def end(self) -> None:
        """Whatever its state, it is gone afterwards."""
        if self.running:
            self.kill()


def until(condition: Callable[[], Any], *, seconds: float, what: str, every: float = 0.3) -> Any:
    """Wait until something is true; what it gave."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(every)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


def write_feed(path: Path, messages: Sequence[dict[str, Any] | bytes]) -> Path:
    """A feed as JSON lines; bytes are written as they are."""
    with path.open("wb") as file:
        for message in messages:
            raw = message if isinstance(message, bytes) else json.dumps(message, ensure_ascii=False).encode()
            file.write(raw + b"\n")
    return path
