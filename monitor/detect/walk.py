"""Detector and tracker together, walked along event time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter

from monitor.detect.hysteresis import Confirm, Event, Tracker, always
from monitor.detect.series import Cell, Minute
from monitor.detect.surge import Detector
from monitor.settings import DetectionSettings


class Walk:
    """Turns cells into events, minute after minute; the events do not depend on how the cells are cut into calls.

    Minutes without cells are skipped at no cost while nothing is open, and ticked one by one while something is.

    Args:
        settings: the `detection` section.
        step: minutes that one cell counts; cells carry the last minute of their interval.
        totals: whether `Cell.total` counts all documents.

    >>> from monitor.documents import Series
    >>> walk = Walk(DetectionSettings())
    >>> everything = Series("", "", "en")
    >>> quiet = [Cell(60 * hour, everything, 1, 4) for hour in range(24 * 7)]
    >>> burst = [Cell(60 * 24 * 7, everything, 30, 32)]
    >>> [(event.kind, event.minute) for event in walk.run(quiet + burst)]
    [('open', 10080)]
    >>> [(event.kind, event.minute) for event in walk.settle()]
    [('resolve', 10154)]
    """

    def __init__(self, settings: DetectionSettings, step: int = 1, totals: bool = True) -> None:
        self.detector = Detector(settings, step, totals)
        self.tracker = Tracker(settings, step)
        self.step = step
        self.judged: Minute | None = None
        """The last minute that was judged; earlier ones are done."""

    def run(self, cells: Iterable[Cell], until: Minute | None = None, confirm: Confirm = always) -> Iterator[Event]:
        """Judge the minutes of `cells` (ascending) and the quiet ones between, through `until` if given.

        It is a generator: nothing happens before it is iterated.
        """
        for minute, group in groupby(cells, key=attrgetter("minute")):
            yield from self._quiet(minute - 1, confirm)
            yield from self._tick(minute, list(group), confirm)
        if until is not None:
            yield from self._quiet(until, confirm)

    def settle(self, confirm: Confirm = always) -> Iterator[Event]:
        """Tick on without cells until nothing is open: within seven hours and `resolve_after` of the last cell."""
        while not self.tracker.idle and self.judged is not None:
            yield from self._tick(self.judged + self.step, [], confirm)

    def _quiet(self, last: Minute, confirm: Confirm) -> Iterator[Event]:
        """Judge the minutes through `last`, in which there is nothing new."""
        if self.judged is None:
            return
        while self.judged + self.step <= last and not self.tracker.idle:
            yield from self._tick(self.judged + self.step, [], confirm)
        self.judged = max(self.judged, self.judged + (last - self.judged) // self.step * self.step)

    def _tick(self, minute: Minute, cells: list[Cell], confirm: Confirm) -> list[Event]:
        judgements = self.detector.judge(minute, cells, self.tracker.watched(), self.tracker.barred(minute))
        self.judged = minute
        return self.tracker.advance(minute, judgements, confirm)
