"""Says once that Kafka is gone and once that it is back; the client library itself only retries in silence."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

LOST_AFTER = 2.0
"""Seconds without any connection after which the broker counts as lost; an ordinary reconnect takes less."""


class Reachability:
    """Follows whether a broker is connected.

    Args:
        bootstrap: its address, for the log.

    Attributes:
        lost: no broker has been connected for `LOST_AFTER` seconds.
    """

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._seen = time.monotonic()
        self.lost = False

    def observe(self, connected: bool) -> None:
        """Note what is true now; to be called often."""
        now = time.monotonic()
        if connected:
            if self.lost:
                log.warning("Kafka at %s is back after %.0f s", self._bootstrap, now - self._seen)
            self.lost = False
            self._seen = now
        elif not self.lost and now - self._seen > LOST_AFTER:
            self.lost = True
            log.warning("Kafka at %s is not reachable; waiting for it to come back", self._bootstrap)
