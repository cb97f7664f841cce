"""A consumer's figures for Prometheus, over HTTP.

They are figures only: no text, no setting, no name of a source. What they count begins with the process; what the whole
record holds is told by `bellwether status`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from monitor.errors import SettingsError
from monitor.settings import MetricsSettings, variable
from monitor.store.writer import Written

DELAYS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Upper bounds in seconds of the histogram of delays: from a quiet stream to a backlog worked off."""


class ConsumerMetrics(Collector):
    """What one consumer has done so far, read when somebody asks.

    Args:
        total: what was written.
        waiting: messages read ahead and not yet taken into a batch.
        models: language → name@version of the bundle that reads it.
        lookups: name@version of a bundle with a score cache → texts it was asked about, and those it remembered.
    """

    def __init__(
        self,
        *,
        total: Callable[[], Written],
        waiting: Callable[[], int],
        models: Callable[[], Mapping[str, str]],
        lookups: Callable[[], Mapping[str, tuple[int, int]]],
    ) -> None:
        self._total = total
        self._waiting = waiting
        self._models = models
        self._lookups = lookups
        self.registry = CollectorRegistry()
        self._delays = Histogram(
            "bellwether_commit_delay_seconds",
            "From the poll that brought a message to the commit that stored it.",
            buckets=DELAYS,
            registry=self.registry,
        )
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def committed(self, delays: Sequence[float]) -> None:
        """Note how long each message of a batch took, in seconds."""
        for delay in delays:
            self._delays.observe(delay)

    def collect(self) -> Iterator[Metric]:
        """The figures of this moment."""
        total = self._total()
        messages = CounterMetricFamily(
            "bellwether_messages", "Messages that are in the record, by what became of them.", labels=["outcome"]
        )
        messages.add_metric(["scored"], total.scored)
        messages.add_metric(["unscored"], total.documents - total.scored)
        messages.add_metric(["repeated"], total.repeated)
        messages.add_metric(["rejected"], total.rejected)
        yield messages
        yield CounterMetricFamily("bellwether_late_documents", "Documents behind the watermark.", total.late)
        yield CounterMetricFamily("bellwether_cut_documents", "Scored documents longer than a model reads.", total.cut)
        yield GaugeMetricFamily("bellwether_waiting_messages", "Messages read ahead, not yet in work.", self._waiting())
        asked = CounterMetricFamily(
            "bellwether_score_cache_requests",
            "Texts whose scores were looked for in the score cache.",
            labels=["model"],
        )
        found = CounterMetricFamily(
            "bellwether_score_cache_hits", "Texts whose scores the score cache remembered.", labels=["model"]
        )
        # A bundle's cache goes with it: as series of one bundle each, neither ever falls.
        for model, (requests, hits) in self._lookups().items():
            asked.add_metric([model], requests)
            found.add_metric([model], hits)
        yield from (asked, found)
        models = InfoMetricFamily("bellwether_model", "The bundle that reads a language.", labels=["lang"])
        for language, model in self._models().items():
            models.add_metric([language], {"model": model})
        yield models
        yield InfoMetricFamily("bellwether_build", "The program.", {"version": version("bellwether")})


@contextmanager
def served(settings: MetricsSettings, registry: CollectorRegistry) -> Iterator[None]:
    """Serve a registry over HTTP; with `metrics.port` 0 do nothing.

    Raises:
        SettingsError: nobody can listen there.
    """
    if not settings.port:
        yield
        return
    try:
        server, thread = start_http_server(settings.port, settings.host, registry)
    except OSError as error:
        raise SettingsError(
            f"metrics.port ({variable('metrics.port')}): cannot listen on {settings.host}:{settings.port}: "
            f"{error.strerror or error}; choose another, or 0 for none"
        ) from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
