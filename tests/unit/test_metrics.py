"""A consumer's figures, as Prometheus reads them."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor.errors import SettingsError
from monitor.metrics import ConsumerMetrics, served
from monitor.settings import MetricsSettings
from monitor.store.writer import Written
from tests.broker import free_port

Samples = dict[tuple[str, str], float]


class Consumer:
    """What a consumer has done, to be changed by a test."""

    def __init__(self) -> None:
        self.total = Written()
        self.waiting = 0
        self.models = {"en": "bellwether-en@1", "zh": "bellwether-zh@1"}
        self.lookups = {"bellwether-en@1": (10, 4), "bellwether-zh@1": (7, 0)}


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


@pytest.fixture
def metrics(consumer: Consumer) -> ConsumerMetrics:
    return ConsumerMetrics(
        total=lambda: consumer.total,
        waiting=lambda: consumer.waiting,
        models=lambda: consumer.models,
        lookups=lambda: consumer.lookups,
    )


@pytest.fixture
def port(metrics: ConsumerMetrics) -> Iterator[int]:
    port = free_port()
    with served(MetricsSettings(port=port), metrics.registry):
        yield port


def read(port: int) -> Samples:
    """(name, values of the labels) → value."""
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status()
    return {
        (sample.name, " ".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_what_was_written_is_told_by_outcome(consumer: Consumer, port: int) -> None:
    consumer.total = Written(documents=9, scored=7, late=2, repeated=3, rejected=1, cut=1)
    consumer.waiting = 5
    found = read(port)
    outcomes = {label: value for (name, label), value in found.items() if name == "bellwether_messages_total"}
    assert outcomes == {"scored": 7, "unscored": 2, "repeated": 3, "rejected": 1}
    assert found["bellwether_late_documents_total", ""] == 2
    assert found["bellwether_cut_documents_total", ""] == 1
    assert found["bellwether_waiting_messages", ""] == 5
    assert found["process_resident_memory_bytes", ""] > 1e6


def test_cache_is_counted_for_each_bundle_and_follows_a_new_champion(consumer: Consumer, port: int) -> None:
    found = read(port)
    assert found["bellwether_score_cache_requests_total", "bellwether-en@1"] == 10
    assert found["bellwether_score_cache_hits_total", "bellwether-en@1"] == 4
    consumer.models = {"en": "bellwether-en@2", "zh": "bellwether-zh@1"}
    consumer.lookups = {"bellwether-en@2": (1, 0), "bellwether-zh@1": (9, 1)}
    found = read(port)
    assert ("bellwether_score_cache_requests_total", "bellwether-en@1") not in found
    assert found["bellwether_score_cache_requests_total", "bellwether-en@2"] == 1
    assert found["bellwether_score_cache_requests_total", "bellwether-zh@1"] == 9
    assert ("bellwether_model_info", "en bellwether-en@2") in found


def test_delays_are_a_histogram_in_seconds(metrics: ConsumerMetrics, port: int) -> None:
    metrics.committed([0.02, 0.02, 0.3, 400.0])
    found = read(port)
    assert found["bellwether_commit_delay_seconds_count", ""] == 4
    assert found["bellwether_commit_delay_seconds_sum", ""] == pytest.approx(400.34)
    at_most = {bound: found["bellwether_commit_delay_seconds_bucket", bound] for bound in ("0.01", "0.025", "0.5")}
    assert at_most == {"0.01": 0, "0.025": 2, "0.5": 3}


def test_a_taken_port_is_one_clear_line(metrics: ConsumerMetrics) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(SettingsError, match=rf"metrics\.port .*127\.0\.0\.1:{port}: Address already in use"),
            served(MetricsSettings(port=port), metrics.registry),
        ):
            pass


def test_a_host_that_is_none_is_one_clear_line(metrics: ConsumerMetrics) -> None:
    with (
        pytest.raises(SettingsError, match=r"metrics\.port .*no-such-host\.invalid"),
        served(MetricsSettings(host="no-such-host.invalid", port=free_port()), metrics.registry),
    ):
        pass


def test_without_a_port_nobody_listens(metrics: ConsumerMetrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)
    with served(MetricsSettings(), metrics.registry):
        pass


def test_the_port_is_free_again_afterwards(metrics: ConsumerMetrics) -> None:
    port = free_port()
    for _ in range(2):
        with served(MetricsSettings(port=port), metrics.registry):
            assert read(port)
    with pytest.raises(httpx.ConnectError):
        read(port)
