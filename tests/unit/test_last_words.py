"""What a broker says just before it hangs up is heard."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError
from kafka.net.transport import KafkaTCPTransport

from monitor.sources.last_words import keep_last_words


class Manager:
    """Builds the library's own transport on one end of a pair of sockets."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    async def _build_transport(self) -> Any:
        return KafkaTCPTransport(None, self._end)


def test_words_come_first_and_the_end_after_them() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    manager: Any = Manager(ours)
    keep_last_words(manager)
    # Nothing is waited for: one step takes it to its end. (Another test's browser may have left a loop running here.)
    with pytest.raises(StopIteration) as ended:
        manager._build_transport().send(None)
    transport = ended.value.value
    assert transport._sock_recv() == (b"", None)  # nothing said yet
    theirs.sendall(b"refused")
    theirs.close()
    assert transport._sock_recv() == (b"refused", None)
    words, error = transport._sock_recv()
    assert words == b"" and isinstance(error, KafkaConnectionError)
    ours.close()
