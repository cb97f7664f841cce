"""Explanations for the pages, made by `bellwether explain` in a process of its own.

The dashboard never loads a model library. See docs/decisions/explaining-in-a-process-of-its-own.md.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from monitor.errors import InputError

log = logging.getLogger(__name__)

SECONDS = 90
"""A process that takes longer is ended."""
PATIENCE = 20
"""How long a second question waits for the first."""
_KEPT, _FRESH = 64, 600


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be explained of a text, as the engine reads it: its sentiment, that toward a company, or a topic.

    `model` is the one that scored it: another model's answer must not be taken for this one's.
    """

    text: str
    lang: str
    symbols: tuple[str, ...] = ()
    topic: str = ""
    toward: str = ""
    label: str = ""
    model: str = ""

    def arguments(self) -> list[str]:
        """Of the command line; the text goes to its standard input."""
        found = ["explain", "--json", f"--lang={self.lang}"]
        found += [f"--symbol={symbol}" for symbol in self.symbols]
        found += [f"--topic={self.topic}"] if self.topic else []
        found += [f"--toward={self.toward}"] if self.toward else []
        found += [f"--label={self.label}"] if self.label else []
        return [*found, "--", "-"]


class Explaining:
    """Answers questions, one at a time: a model takes memory and a processor. Answers are kept for ten minutes."""

    def __init__(self) -> None:
        self._busy = threading.Lock()
        self._known: OrderedDict[Question, tuple[float, dict[str, Any]]] = OrderedDict()

    def ask(self, question: Question) -> dict[str, Any] | None:
        """The answer as `Explanation.as_dict` gives it; None when another question takes too long.

        Raises:
            InputError: it cannot be explained, and why.
        """
        if (known := self._remembered(question)) is not None:
            return known
        if not self._busy.acquire(timeout=PATIENCE):
            return None
        try:
            answer = self._remembered(question)
            if answer is None:
                answer = _answer(question)
                self._known[question] = (time.monotonic(), answer)
                while len(self._known) > _KEPT:
                    self._known.popitem(last=False)
            return answer
        finally:
            self._busy.release()

    def _remembered(self, question: Question) -> dict[str, Any] | None:
        asked, answer = self._known.get(question, (0.0, None))
        return answer if answer is not None and time.monotonic() - asked < _FRESH else None


def _answer(question: Question) -> dict[str, Any]:
    # Every argument is bound to its option by =, and the text goes to standard input: nothing in them is an option.
    command = [sys.executable, "-m", "monitor.cli", "--quiet", *question.arguments()]
    try:
        done = subprocess.run(  # noqa: S603
            command, input=question.text.encode("utf-8", "replace"), capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"the explanation took longer than {SECONDS} s and was given up") from None
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    if done.returncode:
        log.warning("bellwether explain ended with %d: %s", done.returncode, lines[-1] if lines else "")
        raise InputError(lines[-1].removeprefix("bellwether: ") if lines else "the explanation failed")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
