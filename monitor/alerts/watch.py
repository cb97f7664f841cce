"""The watch: closes minutes, judges them, and writes what came of it, each part of event time in one transaction.

Nothing is remembered outside the record that the record does not also hold. A watch that was killed, or that
another one overtook, judges the same minutes again from the same roll-ups and comes to the same alerts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from monitor.alerts import register
from monitor.alerts.eventtime import MINUTE, end_of, minute_of, start_of
from monitor.alerts.explain import explain
from monitor.alerts.names import Names
from monitor.alerts.register import Change, Finding
from monitor.alerts.rules import Story, negative_stories, substantial
from monitor.detect.judgement import Judgement
from monitor.detect.series import DAY, Cell
from monitor.detect.walk import Walk
from monitor.documents import Series
from monitor.settings import Settings
from monitor.store import clock
from monitor.store.database import Database
from monitor.store.positions import END_OF_TIME
from monitor.store.queries import series
from monitor.store.queries.alerts import Alert

log = logging.getLogger(__name__)

CHUNK = DAY  # minutes judged in one transaction

OnAlert = Callable[[Alert, str], None]
"""Told of each alert that opened, escalated or resolved, after it was committed; the event is the second argument."""


@dataclass(frozen=True, slots=True)
class TickReport:
    """What one tick did. `watermark` and `through` are event time; None when nothing is known or judged yet."""

    watermark: datetime | None = None
    through: datetime | None = None
    opened: int = 0
    escalated: int = 0
    resolved: int = 0


class Watch:
    """Judges what the watermark has closed.

    Args:
        database: the record.
        settings: `detection`, `alerts`, and the receivers notifications are written for.
        group: the consumer group whose partitions make the watermark.
        notify: whether notifications are written to the outbox.
    """

    def __init__(self, database: Database, settings: Settings, group: str, *, notify: bool = True) -> None:
        self._database = database
        self._settings = settings
        self._group = group
        self._notify = notify
        self._names: Names | None = None
        self._walk: Walk | None = None
        self._through: datetime | None = None  # what judged_through was when `_walk` was last right

    def tick(self, on_alert: OnAlert | None = None) -> TickReport:
        """Judge every minute that is closed and was not judged.

        Raises:
            DatabaseUnavailable: some minutes may have been judged; the next tick goes on after them.
        """
        detection = self._settings.detection
        with self._database.transaction() as connection:
            # Committed before anything is read: from here on no on-time document enters a closed minute.
            now = clock.advance(connection, self._group, detection.lateness, detection.idle_after)
        changes: list[Change] = []
        try:
            through = self._judge(now, changes, on_alert)
        except BaseException:
            self._walk = None
            raise
        kinds = [change.event for change in changes]
        return TickReport(now.watermark, through, kinds.count("open"), kinds.count("escalate"), kinds.count("resolve"))

    def _judge(self, now: clock.Clock, changes: list[Change], on_alert: OnAlert | None) -> datetime | None:
        through = now.judged_through
        while now.watermark is not None:
            with self._database.transaction() as connection:
                begin = through or series.first_minute(connection)
                end = _closed(connection, now.watermark)
                if begin is None or end is None or (begin >= end and now.watermark != END_OF_TIME):
                    return through
                walk = self._ready(connection, begin, through)
                if begin >= end and walk.tracker.idle:
                    return through
                done, findings = self._walk_on(connection, walk, begin, end)
                if not _still_at(connection, through):
                    log.info("another watch has judged these minutes; what it found stands")
                    self._walk = None
                    return clock.read(connection).judged_through
                written = register.write(connection, findings, walk.tracker, self._settings if self._notify else None)
                clock.judged(connection, done)
            self._through = through = done
            changes += written
            if on_alert is not None:
                for change in written:
                    on_alert(change.alert, change.event)
        return through

    def _ready(self, connection: Connection, begin: datetime, through: datetime | None) -> Walk:
        """The walk as it stands before `begin`: ours if nobody else has judged since, or made from the record."""
        if self._walk is not None and through is not None and self._through == through:
            return self._walk
        minute = minute_of(begin)
        walk = Walk(self._settings.detection)
        if through is not None:
            log.info("loading the history of %d days before %s", self._settings.detection.history_days, begin)
            walk.detector.load(_cells(connection, start_of(minute - walk.detector.lookback), begin))
            register.restore(connection, walk.tracker, minute)
        walk.judged = minute - 1
        self._walk = walk
        return walk

    def _walk_on(
        self, connection: Connection, walk: Walk, begin: datetime, end: datetime
    ) -> tuple[datetime, list[Finding]]:
        """Judge a chunk from `begin` on, at most to `end`; past it until all is calm. How far, and what was found."""
        stories: dict[Series, tuple[Judgement, list[Story]]] = {}

        def told(judgement: Judgement) -> list[Story]:
            known = stories.get(judgement.series)
            if known is None or known[0] != judgement:
                first = start_of(judgement.minute + 1 - judgement.window)
                found = negative_stories(connection, judgement.series, first, end_of(judgement.minute))
                stories[judgement.series] = known = judgement, found
            return known[1]

        def confirm(judgement: Judgement) -> bool:
            return substantial(connection, judgement, told(judgement), self._settings.detection)

        if begin < end:
            if walk.tracker.idle:
                # Nothing can happen before the next document: years of silence are one step.
                begin = min(series.first_minute(connection, begin) or end, end)
            stop = min(begin + CHUNK * MINUTE, end)
            events = walk.run(_cells(connection, begin, stop), minute_of(stop) - 1, confirm)
        else:
            stop = None
            events = walk.settle(confirm)
        findings = []
        for event in events:
            # Now, while the detector stands at the minute of the event.
            told_now = None if event.kind == "resolve" else told(event.judgement)
            findings.append(
                Finding(
                    event,
                    None
                    if told_now is None
                    else explain(connection, event.judgement, told_now, self._called(), walk.detector),
                )
            )
        if stop is None:
            stop = start_of(walk.judged + 1) if walk.judged is not None else begin
        return stop, findings

    def _called(self) -> Names:
        if self._names is None:
            self._names = Names.load(self._settings.engine)
        return self._names


def _cells(connection: Connection, begin: datetime, end: datetime) -> Iterator[Cell]:
    for count in series.counts(connection, begin, end):
        yield Cell(minute_of(count.minute), count.series, count.negative, count.total)


def _closed(connection: Connection, watermark: datetime) -> datetime | None:
    """The end of the last closed minute; None while nothing can be said."""
    if watermark < END_OF_TIME:
        return start_of(minute_of(watermark))
    # Everything that was read is closed: nothing follows the last document.
    last = series.last_minute(connection)
    return None if last is None else last + MINUTE


def _still_at(connection: Connection, through: datetime | None) -> bool:
    """Lock the clock; whether nobody has judged since we began."""
    return through == connection.execute(text("SELECT judged_through FROM clock FOR UPDATE")).scalar()
