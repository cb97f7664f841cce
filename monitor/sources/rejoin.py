"""Mends how kafka-python (seen in 3.0.12) joins a group when `poll` is called with short time-outs.

The library joins on its own thread while `poll` waits; a `poll` that gives up first is meant to let the next one pick
up the result. But a result that arrives between two polls is thrown away and the join begins anew, and each new join
makes every other member rebalance: members that poll in short steps can go on like that without end.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from kafka import KafkaConsumer
from kafka.coordinator.consumer import ConsumerCoordinator


def keep_joins(consumer: KafkaConsumer) -> None:
    """Make a consumer pick up a join that was completed between two polls. To be called before its first poll."""
    consumer._coordinator.__class__ = _Coordinator


class _Coordinator(ConsumerCoordinator):
    """The library asks whether the last join is done to decide whether to begin another; here it never is until its
    result was fetched, upon which the library itself drops it."""

    _kept: _Unread | None = None

    @property
    def _join_task(self) -> _Unread | None:
        return self._kept

    @_join_task.setter
    def _join_task(self, task: Any) -> None:
        self._kept = None if task is None else _Unread(task)


class _Unread:
    """A future that calls itself pending whatever it is; waiting for one that is done ends at once."""

    is_done = False

    def __init__(self, future: Any) -> None:
        self._future = future

    def __getattr__(self, name: str) -> Any:
        return getattr(self._future, name)

    def __await__(self) -> Generator[Any, None, Any]:
        result: Generator[Any, None, Any] = self._future.__await__()
        return result
