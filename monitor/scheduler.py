"""What happens by the clock: judging every minute, delivering, repeating, tidying up.

APScheduler runs the jobs; one process at a time may do them (`Leadership`), the others stand by and take over
within seconds. No job dies of a lost Postgres: it says so once and is run again when its time comes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from monitor.alerts.outbox import Deliverer
from monitor.alerts.watch import Watch
from monitor.errors import BellwetherError
from monitor.settings import Settings
from monitor.store import retention
from monitor.store.database import Database
from monitor.store.leader import Leadership

log = logging.getLogger(__name__)
STAND_BY = 2.0  # seconds between tries to take the lead, and between looks whether we still have it
DELIVER_EVERY = 5  # seconds


class Scheduler:
    """Runs the jobs while this process leads, until it is stopped."""

    def __init__(self, settings: Settings, database: Database, *, group: str) -> None:
        self._settings = settings
        self._database = database
        self._leadership = Leadership(database)
        self._watch = Watch(database, settings, group)
        self._deliverer = Deliverer(database, settings)
        self._stop = threading.Event()
        self._troubled: set[str] = set()

    def stop(self) -> None:
        """Ask to finish the jobs in hand and leave. May be called from a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Lead or stand by until stopped."""
        jobs: BackgroundScheduler | None = None
        said = False
        try:
            while not self._stop.is_set():
                if self._leadership.held():
                    if jobs is None:
                        log.info("this scheduler leads")
                        jobs = self._start()
                elif jobs is not None:
                    log.warning("this scheduler lost the lead; it stands by")
                    jobs.shutdown(wait=True)
                    jobs, said = None, True
                elif not said:
                    log.info("another scheduler leads, or Postgres is away; this one stands by")
                    said = True
                self._stop.wait(STAND_BY)
        finally:
            if jobs is not None:
                jobs.shutdown(wait=True)
            self._leadership.resign()

    def _start(self) -> BackgroundScheduler:
        # One thread a job, and never two runs of the same job at once.
        scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(3)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 60},
        )
        now = datetime.now(UTC)
        scheduler.add_job(self._guarded(self._judge), "cron", second=2, id="judge", next_run_time=now)
        scheduler.add_job(self._guarded(self._deliver), "interval", seconds=DELIVER_EVERY, id="deliver")
        scheduler.add_job(self._guarded(self._tidy), "cron", hour=3, minute=17, id="tidy")
        scheduler.start()
        return scheduler

    def _judge(self) -> None:
        report = self._watch.tick()
        if report.opened or report.resolved:
            log.info("judged through %s: %d opened, %d resolved", report.through, report.opened, report.resolved)

    def _deliver(self) -> None:
        self._deliverer.deliver_due()

    def _tidy(self) -> None:
        retention.apply(self._database, self._settings.retention)

    def _guarded(self, job: Callable[[], None]) -> Callable[[], None]:
        name = job.__name__.strip("_")

        def run() -> None:
            try:
                job()
            except BellwetherError as error:
                if name not in self._troubled:
                    log.warning("%s: %s; it is tried again at its next time", name, error)
                self._troubled.add(name)
            except Exception:
                log.exception("%s failed; it is tried again at its next time", name)
            else:
                if name in self._troubled:
                    log.info("%s works again", name)
                self._troubled.discard(name)

        return run
