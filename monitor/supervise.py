"""Keeping child processes running: start, prefix their output, restart with back-off, stop in order.

One thread does all of it: it waits on the children's output and on signals, and looks at the clock. Nothing is
shared, and forking is safe because there is no other thread to be caught in the middle of something.

A child dies with us, however we die: on Linux the kernel sends it SIGTERM (PR_SET_PDEATHSIG); elsewhere it sees
its output pipe break.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType

FIRST_PAUSE = 1.0  # seconds before the first restart; doubled each time
LONGEST_PAUSE = 60.0
STEADY = 30.0  # a child that ran this long was well: the next pause is the first again
LONGEST_LINE = 64 * 1024  # bytes; a child that writes more without a line end gets it cut
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Task:
    """What to keep running: a short name for the log, and the command."""

    name: str
    command: Sequence[str]


@dataclass(slots=True)
class _Child:
    task: Task
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 0.0  # before the next start; 0: the first one
    due: float = 0.0  # when to start (again)
    rest: bytes = b""  # output since the last line end


@dataclass
class Supervisor:
    """Runs tasks until told to stop.

    Args:
        tasks: started in this order, stopped in the reverse.
        say: gets every line for the log: the task's name (empty: our own words) and the line.
        grace: seconds all children together have to end in order before they are killed.
    """

    tasks: Sequence[Task]
    say: Callable[[str, str], None]
    grace: float = 25.0
    _children: list[_Child] = field(init=False, default_factory=list)
    _stops: int = field(init=False, default=0)

    def run(self) -> None:
        """Run until SIGINT or SIGTERM. A second signal kills what has not ended yet.

        Must be called from the main thread.
        """
        self._children = [_Child(task) for task in self.tasks]
        with selectors.DefaultSelector() as selector, self._signals(selector):
            try:
                while not self._stops:
                    self._start_due(selector)
                    self._pump(selector, self._until_next())
                    self._reap(selector)
                self._shut_down(selector)
            finally:
                for child in self._children:
                    if child.process is not None and child.process.poll() is None:
                        child.process.kill()
                        child.process.wait()

    @contextlib.contextmanager
    def _signals(self, selector: selectors.BaseSelector) -> Iterator[None]:
        """Count the signals that ask to stop, and wake the selector on each and on the end of a child."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        selector.register(reader, selectors.EVENT_READ)
        awake = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stops += 1

        handlers = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(awake)
            os.close(reader)
            os.close(writer)

    def _start_due(self, selector: selectors.BaseSelector) -> None:
        for child in self._children:
            if child.process is None and time.monotonic() >= child.due:
                self._start(child, selector)

    def _start(self, child: _Child, selector: selectors.BaseSelector) -> None:
        child.started = time.monotonic()
        child.rest = b""
        parent = os.getpid()
        try:
            child.process = subprocess.Popen(  # noqa: S603
                list(child.task.command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for us; we pass it on in order
                preexec_fn=lambda: _die_with(parent),
            )
        except OSError as error:
            self._again(child, f"did not start: {error}")
            return
        output = child.process.stdout
        if output is not None:
            os.set_blocking(output.fileno(), False)
            selector.register(output.fileno(), selectors.EVENT_READ, child)

    def _until_next(self) -> float | None:
        due = [child.due for child in self._children if child.process is None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _pump(self, selector: selectors.BaseSelector, timeout: float | None) -> None:
        """Pass on what the children write, waiting for something to happen at most `timeout` seconds."""
        for key, _ in selector.select(timeout):
            if isinstance(key.data, _Child):
                self._read(key.data, selector)
            else:
                with contextlib.suppress(BlockingIOError):
                    os.read(key.fd, 4096)

    def _read(self, child: _Child, selector: selectors.BaseSelector) -> None:
        """Read once what is there; close the pipe at its end."""
        if child.process is None or child.process.stdout is None or child.process.stdout.closed:
            return
        handle = child.process.stdout.fileno()
        try:
            data = os.read(handle, 64 * 1024)
        except BlockingIOError:
            return
        lines = (child.rest + data).split(b"\n")
        child.rest = lines.pop()
        if child.rest and (not data or len(child.rest) > LONGEST_LINE):
            lines.append(child.rest)
            child.rest = b""
        for line in lines:
            self.say(child.task.name, line.decode("utf-8", "replace").rstrip("\r"))
        if not data:
            selector.unregister(handle)
            child.process.stdout.close()

    def _reap(self, selector: selectors.BaseSelector) -> None:
        """Note which children ended, and when they are to be started again."""
        for child in self._children:
            if child.process is not None and (status := child.process.poll()) is not None:
                ran = time.monotonic() - child.started
                self._drain(child, selector)
                child.process = None
                if ran >= STEADY:
                    child.pause = 0.0
                if not self._stops:
                    self._again(child, f"{_ended(status)} after {ran:.0f} s")

    def _drain(self, child: _Child, selector: selectors.BaseSelector) -> None:
        """Read the last words of a child that ended. A grandchild that still holds the pipe is not waited for."""
        while child.process is not None and child.process.stdout is not None and not child.process.stdout.closed:
            with selectors.DefaultSelector() as ready:
                ready.register(child.process.stdout.fileno(), selectors.EVENT_READ)
                waiting = ready.select(0)
            if waiting:
                self._read(child, selector)
            else:
                selector.unregister(child.process.stdout.fileno())
                child.process.stdout.close()

    def _again(self, child: _Child, what: str) -> None:
        child.pause = min(child.pause * 2, LONGEST_PAUSE) or FIRST_PAUSE
        self.say("", f"{child.task.name} {what}; it is started again in {child.pause:g} s")
        child.due = time.monotonic() + child.pause

    def _shut_down(self, selector: selectors.BaseSelector) -> None:
        """Ask the children to end, the last started first, each after the other; kill what does not."""
        self.say("", "stopping (once more to stop at once)")
        asked = self._stops
        deadline = time.monotonic() + self.grace
        for child in reversed(self._children):
            if child.process is not None and child.process.poll() is None:
                child.process.terminate()
            while child.process is not None and self._stops == asked and time.monotonic() < deadline:
                self._pump(selector, min(0.5, max(0.0, deadline - time.monotonic())))
                self._reap(selector)
        for child in self._children:
            if child.process is not None and child.process.poll() is None:
                self.say("", f"{child.task.name} did not end in time; it is killed")
                child.process.kill()
        while any(child.process is not None for child in self._children):
            self._pump(selector, 0.1)
            self._reap(selector)


def _ended(status: int) -> str:
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def _die_with(parent: int) -> None:
    """In the child, before it becomes the command: end when the parent does."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was gone before we asked
            os._exit(1)
