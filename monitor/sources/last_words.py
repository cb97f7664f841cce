"""Mends how kafka-python (seen in 3.0.12) hears what a broker says just before it hangs up.

Its transports read until nothing is left. When the end of the connection is found in the same go, what was read before
it is thrown away. A broker that refuses a login answers and hangs up in one breath, so the refusal is often lost, and
all that is left to tell is that somebody hung up.
"""

from __future__ import annotations

from typing import Any

from kafka.net.manager import KafkaConnectionManager


def keep_last_words(manager: KafkaConnectionManager) -> None:
    """Make the connections of a client hand out what was read before they tell of the end. To be called before its
    first connection."""
    build = manager._build_transport

    async def attentive(*arguments: Any, **named: Any) -> Any:
        transport = await build(*arguments, **named)
        receive = transport._sock_recv

        def heard() -> tuple[bytes, Exception | None]:
            words, error = receive()
            # The end of a connection is found again by the next read.
            return (words, None) if words else (words, error)

        transport._sock_recv = heard
        return transport

    manager._build_transport = attentive
