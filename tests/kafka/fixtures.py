"""Fixtures on a real broker: one that the whole session shares, topics of one's own, and one that may be killed.

`BELLWETHER_TEST_BOOTSTRAP=host:port` lets the tests use a broker that already runs. Without it one is started from
`tests/broker.py`; where that cannot be (no Java, no Maven Central) the tests marked `kafka` are skipped and the
summary says so in one line, but with CI set in the environment they fail.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
from kafka import KafkaAdminClient

from tests.broker import Broker, BrokerUnavailable

_missing: set[str] = set()


def _unavailable(error: BrokerUnavailable) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"CI must run the tests on Kafka, but {error}", pytrace=False)
    _missing.add(str(error))
    pytest.skip(f"no Kafka broker: {error}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly that the tests on Kafka did not run."""
    for reason in sorted(_missing):
        terminalreporter.write_line(f"THE TESTS ON KAFKA WERE SKIPPED: {reason}", red=True, bold=True)


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """host:port of the broker the whole session shares; nobody may stop it."""
    given = os.environ.get("BELLWETHER_TEST_BOOTSTRAP")
    if given:
        yield given
        return
    try:
        broker = Broker()
        broker.start()
    except BrokerUnavailable as error:
        _unavailable(error)
    yield broker.bootstrap
    broker.remove()


@pytest.fixture
def private_broker_factory(request: pytest.FixtureRequest) -> Callable[..., Broker]:
    """Starts brokers of the test's own; takes the arguments of `Broker`."""

    def start(**options: Any) -> Broker:
        try:
            broker = Broker(**options)
            request.addfinalizer(broker.remove)
            return broker.start()
        except BrokerUnavailable as error:
            _unavailable(error)

    return start


@pytest.fixture
def private_broker(private_broker_factory: Callable[..., Broker]) -> Broker:
    """A broker of the test's own, which it may kill and restart."""
    return private_broker_factory()


def create_topic(bootstrap: str, partitions: int = 1, name: str | None = None, **configs: str) -> str:
    """Create a topic (by default with a name nobody uses) and wait until its partitions have leaders."""
    name = name or f"test-{uuid.uuid4().hex[:12]}"
    client = KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=20_000)
    try:
        topic = {"num_partitions": partitions, "replication_factor": 1, "configs": configs}
        client.create_topics({name: topic})
        client.wait_for_topics([name], timeout_ms=20_000)
    finally:
        client.close()
    return name


@pytest.fixture
def make_topic(kafka_bootstrap: str) -> Callable[..., str]:
    """Creates topics on the shared broker: `make_topic(partitions)` gives a name of its own each time."""

    def make(partitions: int = 1, **configs: str) -> str:
        return create_topic(kafka_bootstrap, partitions, **configs)

    return make
