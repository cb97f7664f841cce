"""From judgements to events: a surge opens once, may grow worse, and ends when things have been calm a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal

from monitor.detect.judgement import Judgement, Severity
from monitor.detect.series import DAY, Minute
from monitor.documents import Series
from monitor.settings import DetectionSettings

Confirm = Callable[[Judgement], bool]
"""The last gate before a surge opens: is it made of several distinct stories?"""


def always(_: Judgement) -> bool:
    """The gate that lets everything through."""
    return True


@dataclass(frozen=True, slots=True)
class Event:
    """A change of a series' state at `minute`; `severity` is the surge's highest so far."""

    kind: Literal["open", "escalate", "resolve"]
    series: Series
    minute: Minute
    severity: Severity
    opened_at: Minute
    judgement: Judgement


@dataclass(slots=True)
class Surge:
    """An open surge: plain data.

    Attributes:
        opened_at: the minute whose closing opened it.
        window: the window that opened it, minutes.
        severity: the highest so far.
        peak: the most improbable judgement so far.
        calm_since: the first minute of the present calm; None while it goes on.
    """

    opened_at: Minute
    window: int
    severity: Severity
    peak: Judgement
    calm_since: Minute | None = None

    def export(self) -> dict[str, Any]:
        """As JSON can hold it."""
        peak = asdict(self.peak)
        peak["series"] = [self.peak.series.topic, self.peak.series.company, self.peak.series.lang]
        return {
            "opened_at": self.opened_at,
            "window": self.window,
            "severity": self.severity,
            "peak": peak,
            "calm_since": self.calm_since,
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Surge:
        """The reverse of `export`."""
        peak = Judgement(**{**state["peak"], "series": Series(*state["peak"]["series"])})
        return cls(state["opened_at"], state["window"], state["severity"], peak, state["calm_since"])


class Tracker:
    """The state machine of surges: open → (escalate) → resolve.

    A series opens when it surges and the gate lets it; while open it may escalate from warning to critical; it
    resolves after `resolve_after` of unbroken calm. For a day after, windows that reach back into the resolved
    surge cannot open it again (`barred`).

    Args:
        settings: the `detection` section.
        step: minutes between ticks.
    """

    def __init__(self, settings: DetectionSettings, step: int = 1) -> None:
        self._resolve_after = settings.resolve_after / timedelta(minutes=1)
        self._step = step
        self.open: dict[Series, Surge] = {}
        self.closed: dict[Series, Minute] = {}

    @property
    def idle(self) -> bool:
        """Whether nothing is open: minutes without cells then need no judging."""
        return not self.open

    def watched(self) -> dict[Series, int]:
        """Series to judge at every tick, with the window that opened each."""
        return {series: surge.window for series, surge in self.open.items()}

    def barred(self, minute: Minute) -> dict[Series, Minute]:
        """Series resolved within the last day, with the minute of that."""
        for series in [series for series, at in self.closed.items() if at <= minute - DAY]:
            del self.closed[series]
        return self.closed

    def advance(self, minute: Minute, judgements: Iterable[Judgement], confirm: Confirm = always) -> list[Event]:
        """Take in the judgements of a tick; what changed, in their order."""
        events = []
        for judgement in judgements:
            surge = self.open.get(judgement.series)
            event = self._begin(minute, judgement, confirm) if surge is None else self._go_on(minute, surge, judgement)
            if event is not None:
                events.append(event)
        return events

    def close(self, series: Series, minute: Minute) -> None:
        """End a surge by hand; the same burst will not open it again."""
        self.open.pop(series, None)
        self.closed[series] = minute

    def export(self) -> dict[str, Any]:
        """The whole state, as JSON can hold it."""

        def name(series: Series) -> list[str]:
            return [series.topic, series.company, series.lang]

        return {
            "open": [[name(series), self.open[series].export()] for series in sorted(self.open)],
            "closed": [[name(series), self.closed[series]] for series in sorted(self.closed)],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from an exported state."""
        self.open = {Series(*name): Surge.restore(surge) for name, surge in state["open"]}
        self.closed = {Series(*name): minute for name, minute in state["closed"]}

    def _begin(self, minute: Minute, judgement: Judgement, confirm: Confirm) -> Event | None:
        if not judgement.surge or not confirm(judgement):
            return None
        surge = Surge(minute, judgement.window, judgement.severity, judgement)
        self.open[judgement.series] = surge
        return self._event("open", surge, judgement)

    def _go_on(self, minute: Minute, surge: Surge, judgement: Judgement) -> Event | None:
        if (judgement.p_value, -judgement.lift) < (surge.peak.p_value, -surge.peak.lift):
            surge.peak = judgement
        if judgement.surge and judgement.severity == "critical" and surge.severity == "warning":
            surge.severity, surge.calm_since = "critical", None
            return self._event("escalate", surge, judgement)
        if not judgement.calm:
            surge.calm_since = None
            return None
        if surge.calm_since is None:
            surge.calm_since = minute
        if minute - surge.calm_since + self._step < self._resolve_after:
            return None
        self.close(judgement.series, minute)
        return self._event("resolve", surge, judgement)

    @staticmethod
    def _event(kind: Literal["open", "escalate", "resolve"], surge: Surge, judgement: Judgement) -> Event:
        return Event(kind, judgement.series, judgement.minute, surge.severity, surge.opened_at, judgement)
