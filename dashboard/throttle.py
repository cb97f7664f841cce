"""Slowing down whoever guesses passwords."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable


class Throttle:
    """Counts failures by key (a name, an address) and asks for a pause that doubles with each beyond `free`.

    >>> now = [0.0]
    >>> throttle = Throttle(free=2, clock=lambda: now[0])
    >>> for _ in range(3):
    ...     throttle.failed(["ann"])
    >>> throttle.wait(["ann", "10.0.0.1"])
    2.0
    >>> now[0] = 2.0
    >>> throttle.wait(["ann"])
    0.0
    """

    def __init__(
        self,
        *,
        free: int = 5,
        longest: float = 300.0,
        forget_after: float = 900.0,
        most_keys: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free, self._longest, self._forget_after, self._most_keys = free, longest, forget_after, most_keys
        self._clock = clock
        self._failures: dict[Hashable, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def wait(self, keys: list[Hashable]) -> float:
        """Seconds until another attempt is allowed for all of these keys; 0 when it is now."""
        now = self._clock()
        with self._lock:
            return max(0.0, *(self._until(key) - now for key in keys if key in self._failures), 0.0)

    def failed(self, keys: list[Hashable]) -> None:
        """Count a failure against each key."""
        now = self._clock()
        with self._lock:
            for key in keys:
                number, last = self._failures.pop(key, (0, now))
                self._failures[key] = (1 if now - last > self._forget_after else number + 1, now)
            while len(self._failures) > self._most_keys:
                self._failures.pop(next(iter(self._failures)))

    def succeeded(self, key: Hashable) -> None:
        """Forget a key's failures."""
        with self._lock:
            self._failures.pop(key, None)

    def _until(self, key: Hashable) -> float:
        number, last = self._failures[key]
        beyond = number - self._free
        return last + min(2.0 ** min(beyond, 30), self._longest) if beyond > 0 else 0.0
