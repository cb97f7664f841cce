"""`bellwether consume`."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing

import click

from monitor.champions import ask, lineup_of, registry_of
from monitor.records import in_group, open_record
from monitor.reload import Reloader
from monitor.settings import Settings, load
from monitor.store.writer import Written
from monitor.understand.lineup import Lineup

log = logging.getLogger(__name__)
PROGRESS = 10.0  # seconds between lines of progress
DELAYS = 10_000  # messages of which those lines tell how long they took


@click.command()
@click.option("--until-end", is_flag=True, help="Read what is there now, then close every minute and end.")
@click.option("--name", help="Write to the replay of this name (made when it is not there) instead of the live record.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Instead of metrics.port; 0: none.")
def consume(until_end: bool, name: str | None, metrics_port: int | None) -> None:
    """Read documents from Kafka, score and store them.

    Start as many as you like with the same settings: they share the partitions. SIGTERM and Ctrl-C finish the
    batch in hand; after any other end nothing is lost and nothing is counted twice.

    The champions of the registry read (see `bellwether models`); another champion takes over while this runs.

    With `metrics.port` it serves figures for Prometheus: messages, delays, the score cache, its memory.
    """
    settings = load(overrides={} if metrics_port is None else {"metrics.port": str(metrics_port)}).settings
    with ExitStack() as stack:
        database = stack.enter_context(closing(open_record(settings, name, make=name is not None)))
        registry = stack.enter_context(registry_of(settings, database))
        active = ask(settings, registry)
        lineup = lineup_of(settings, active)
        # What is quick to check comes before the models, which take seconds.
        _check(settings, lineup)
        from monitor.understand.reader import Reader

        reloader = Reloader(settings, registry, Reader(settings.engine, lineup), active)
        from monitor.consumer import Consumer
        from monitor.metrics import ConsumerMetrics, served

        settings = in_group(settings, name)
        delays: deque[float] = deque(maxlen=DELAYS)

        def committed(seconds: Sequence[float]) -> None:
            delays.extend(seconds)
            metrics.committed(seconds)

        consumer = Consumer(settings, database, reloader.newest, until_end=until_end, on_commit=committed)
        progress = Progress(lambda: consumer.total, lambda: vitals(list(delays), reloader.newest().engine.remembered))
        metrics = ConsumerMetrics(
            total=lambda: consumer.total,
            waiting=lambda: consumer.waiting,
            models=lambda: reloader.newest().engine.models,
            lookups=lambda: reloader.newest().engine.lookups,
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: consumer.stop())
        log.info(
            "consuming %s at %s as group %s into %s, schema %s",
            ", ".join(settings.kafka.topics),
            settings.kafka.bootstrap,
            settings.kafka.group,
            database.where,
            database.schema,
        )
        with served(settings.metrics, metrics.registry), progress, reloader:
            consumer.run()
        log.info("ended: %s", progress.summary())


def _check(settings: Settings, lineup: Lineup) -> None:
    from monitor.sources.broker import bounds
    from monitor.understand.lineup import check as check_bundles

    check_bundles(settings.engine, lineup)
    bounds(settings.kafka)  # whether Kafka is reached and lets us in


def vitals(delays: Sequence[float], remembered: tuple[int, int]) -> str:
    """How long messages take, and of how many texts the scores were remembered.

    Args:
        delays: seconds from poll to commit.
        remembered: texts asked about, and those whose scores were remembered.
    """
    parts = []
    if delays:
        ordered = sorted(delays)
        parts.append(f"99 % committed within {ordered[-1 - len(ordered) // 100]:.2f} s of their poll")
    asked, found = remembered
    if asked:
        parts.append(f"{found / asked:.0%} of the texts scored before")
    return "; ".join(parts)


class Progress:
    """Says what was written, every ten seconds in which there was something; `more` is added to that."""

    def __init__(self, total: Callable[[], Written], more: Callable[[], str] = str) -> None:
        self._total = total
        self._more = more
        self._told = Written()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def summary(self) -> str:
        """Everything so far, in one line."""
        total = self._total()
        cut = f", {total.cut:,} of them cut" if total.cut else ""
        return (
            f"{total.documents:,} documents ({total.scored:,} scored{cut}, {total.late:,} late), "
            f"{total.repeated:,} repeated, {total.rejected:,} rejected"
        )

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._over.wait(PROGRESS):
            now = time.monotonic()
            total = self._total()
            came = total.documents + total.repeated + total.rejected
            before = self._told.documents + self._told.repeated + self._told.rejected
            if came > before:
                line = f"{(came - before) / (now - last):.1f} documents/s; {self.summary()}"
                log.info("%s", "; ".join(filter(None, [line, self._more()])))
            last, self._told = now, total
