"""The detector: takes in a minute's counts and judges every series that could be surging."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from monitor.detect.baseline import Baseline, fit
from monitor.detect.judgement import Band, Judgement
from monitor.detect.series import DAY, Cell, History, Minute, parent
from monitor.detect.shape import Shape, fit_shape
from monitor.detect.significance import count_quantile, count_tail, fdr_threshold, share_tail
from monitor.documents import Series
from monitor.settings import DetectionSettings

WINDOWS = (5, 15, 60, 1440)
"""Minutes over which a series is judged."""

GAP: Minute = 120
"""Minutes between a window and the past it is compared with: a surge must not build its own baseline."""

FALSE_OPENINGS_A_WEEK = 1.0
"""Surges a quiet feed may raise in a week, over all its series, if the baselines were exact."""

TRIALS_A_WEEK = 2_000
"""Independent looks at one series that its sliding windows amount to in a week (docs/detection.md)."""

MOST_PROBABLE = 1e-5
"""Nothing more probable than this is a surge, however few series there are."""

COUNT_LEVEL, SHARE_LEVEL = 1e-3, 2e-4
"""Nor is anything of which the count alone is more probable than the one, or the share of negatives given the total
than the other: neither a busy hour nor a swing in a handful of documents is a surge."""

SPANS = 3
"""A window is judged once the baseline has seen this many times its length."""

CALM_P, CALM_LIFT = 0.05, 1.5
"""A window is calm if its count is more probable than the one or its lift below the other."""

SHORT = 60
"""Windows up to this many minutes must have calmed down for an alert to end …"""

SLOW = 360
"""… and this one, too, if the alert rose from a longer window."""


def windows_for(step: int) -> tuple[int, ...]:
    """The windows that counts per `step` minutes can be judged over: whole multiples of it.

    >>> windows_for(1), windows_for(10), windows_for(1440)
    ((5, 15, 60, 1440), (10, 60, 1440), (1440,))
    """
    return tuple(sorted({window // step * step for window in WINDOWS if window >= step}))


def bucket_for(step: int) -> int:
    """Minutes of the unit baselines are kept in, for counts per `step` minutes: an hour, or what divides a day."""
    if step <= 60:
        return 60
    return step if DAY % step == 0 else DAY


@dataclass(frozen=True, slots=True)
class _Looked:
    """One window, tested."""

    judgement: Judgement
    eligible: bool  # whether it may be a surge at all, the probability aside


class Detector:
    """Judges series minute by minute, in event time. Pure: what it says depends only on the cells it was given.

    The cells of a language's whole feed (`Series("", "", lang)`) should be among them: its age, its weekly
    shape and its share of negatives guide every other series of that language. Without them each series is
    judged as if young.

    Args:
        settings: the `detection` section.
        step: minutes that one cell counts; a cell carries the last minute of its interval.
        totals: whether `Cell.total` counts all documents; if not, shares are not tested.

    >>> everything = Series("", "", "en")
    >>> detector = Detector(DetectionSettings())
    >>> detector.load(Cell(60 * hour, everything, hour % 2, 4) for hour in range(24 * 7))
    >>> [found] = detector.judge(60 * 24 * 7, [Cell(60 * 24 * 7, everything, 30, 32)])
    >>> found.surge, found.severity, found.window, found.observed, f"{found.expected:.2f}"
    (True, 'critical', 15, 30, '0.13')
    """

    def __init__(self, settings: DetectionSettings, step: int = 1, totals: bool = True) -> None:
        self.windows = windows_for(step)
        self.step = step
        self._settings = settings
        self._totals = totals
        self._bucket = bucket_for(step)
        self._length = settings.history_days * DAY // self._bucket
        self._min_history = min(int(settings.min_history / timedelta(minutes=1)), (settings.history_days - 1) * DAY)
        self.history = History(
            settings.history_days, self._bucket, tuple(window for window in self.windows if window < self._bucket)
        )
        short = tuple(window for window in self.windows if window <= max(SHORT, self.windows[0]))
        slow = max(SLOW // step * step, step)
        self._calm_windows = {False: short, True: tuple(sorted({*short, slow}))}
        self._baselines: dict[tuple[Series, int], Baseline] = {}
        self._shapes: dict[tuple[str, int], Shape] = {}

    @property
    def lookback(self) -> Minute:
        """How many minutes before the first minute to judge must be loaded to judge as if never stopped."""
        return (self._settings.history_days + 3) * DAY

    def load(self, cells: Iterable[Cell]) -> None:
        """Take in the past, minutes ascending, and judge nothing."""
        self.history.add(cells)

    def judge(
        self,
        minute: Minute,
        cells: Iterable[Cell],
        watched: Mapping[Series, int] | Collection[Series] = (),
        barred: Mapping[Series, Minute] | None = None,
    ) -> list[Judgement]:
        """Take in the cells of `minute` and judge.

        Args:
            minute: the minute that has closed; later than every one before.
            cells: its cells.
            watched: series with an open surge, judged whatever happens; a mapping gives the window that
                opened it (minutes), which says how slow a calm to ask for.
            barred: series → the minute its last surge was resolved: a window that reaches back to it or before
                is no surge, so that the long windows do not raise the same burst again.

        Returns:
            One judgement of each watched series and of each other one that had a negative in this minute and
            passes the gates of count and lift, in the order of the series; its window is the most improbable
            of those that surge, or of all; of a calm series, the longest that must be calm.
        """
        cells = list(cells)
        self.history.add(cells)
        alive = self.history.alive(minute)
        touched = {cell.series for cell in cells if cell.negative}
        looked = {
            series: found
            for series in sorted(touched.union(watched))
            if (found := self._look(series, minute, series in watched, (barred or {}).get(series)))
        }
        if not looked:
            return []
        threshold = self._threshold(looked.values(), alive)
        judgements = []
        for series, found in looked.items():
            surging = [it.judgement for it in found if it.eligible and it.judgement.p_value <= threshold]
            if series in watched and self._calm(series, minute, watched):
                # The long windows still hold what has passed: the longest short one tells how things are now.
                short = [it.judgement for it in found if it.judgement.window in self._calm_windows[False]]
                judgements.append(replace(short[-1], calm=True))
                continue
            best = min(surging or [it.judgement for it in found], key=lambda it: (it.p_value, -it.lift, it.window))
            judgements.append(replace(best, surge=bool(surging)))
        return judgements

    def band(self, series: Series, start: Minute, end: Minute, step: int, at: Minute | None = None) -> list[Band]:
        """Expected counts per `step` minutes over [start, end), as known at minute `at` (default: `start`).

        For drawing: give the alert's opening minute as `at`, so that the surge does not draw its own band.
        """
        baseline = self._baseline(series, start if at is None else at, min(step, SHORT))
        bands = []
        for begin in range(start, end, step):
            expected = baseline.expected(begin - 1, begin + step - 1)
            low, high = (count_quantile(q, expected, baseline.dispersion(step)) for q in (0.025, 0.975))
            bands.append(Band(begin + step - 1, expected, low, high))
        return bands

    def _look(self, series: Series, minute: Minute, watched: bool, barred: Minute | None) -> list[_Looked]:
        """Test each window that could matter; at least one of a watched series."""
        found = []
        old = self._age(series, minute) >= self._min_history
        if not (old or watched):
            return []
        for window in self.windows:
            observed, total = self.history.window(series, minute, window)
            if not watched and observed < self._settings.min_negative:
                continue
            baseline = self._baseline(series, minute, window)
            expected = baseline.expected(minute - window, minute)
            lift = observed / expected
            eligible = (
                old
                and observed >= self._settings.min_negative
                and lift >= self._settings.min_lift
                and baseline.span >= SPANS * max(window, 60)
                and (barred is None or minute - window >= barred)
            )
            if eligible or watched:
                judgement = self._test(series, minute, window, observed, total, expected, baseline)
                eligible &= judgement.count_p_value <= COUNT_LEVEL and (judgement.share_p_value or 0.0) <= SHARE_LEVEL
                if eligible or watched:
                    found.append(_Looked(judgement, eligible))
        return found

    def _test(
        self, series: Series, minute: Minute, window: int, observed: int, total: int, expected: float, base: Baseline
    ) -> Judgement:
        dispersion = base.dispersion(window)
        count_p = p_value = count_tail(observed, expected, dispersion)
        share_p = None
        if self._totals and base.share is not None:
            share_p = share_tail(observed, total, base.share, base.share_correlation(window))
            p_value = min(1.0, 2 * min(count_p, share_p))
        return Judgement(
            series=series,
            minute=minute,
            window=window,
            observed=observed,
            total=total,
            expected=expected,
            dispersion=dispersion,
            p_value=p_value,
            count_p_value=count_p,
            share=observed / total if total and self._totals else None,
            expected_share=base.share,
            share_p_value=share_p,
            lift=observed / expected,
            surge=False,
            calm=False,
        )

    def _threshold(self, looked: Iterable[list[_Looked]], alive: int) -> float:
        """The p-value up to which a window is a surge in this tick."""
        values = [it.judgement.p_value for found in looked for it in found if it.eligible]
        alive = max(alive, 1)
        accepted = fdr_threshold(values, max(alive * len(self.windows), len(values)), self._settings.fdr)
        return min(accepted, MOST_PROBABLE, FALSE_OPENINGS_A_WEEK / (TRIALS_A_WEEK * alive))

    def _calm(self, series: Series, minute: Minute, watched: Mapping[Series, int] | Collection[Series]) -> bool:
        opened = watched[series] if isinstance(watched, Mapping) else SHORT
        for window in self._calm_windows[opened > max(SHORT, self.windows[0])]:
            observed, _ = self.history.window(series, minute, window)
            if observed < self._settings.min_negative:
                continue
            baseline = self._baseline(series, minute, window)
            expected = baseline.expected(minute - window, minute)
            if observed < CALM_LIFT * expected:
                continue
            if count_tail(observed, expected, baseline.dispersion(window)) <= CALM_P:
                return False
        return True

    def _age(self, series: Series, minute: Minute) -> Minute:
        """Minutes of record of the series' language, as far as it is remembered."""
        first = self.history.first_bucket(parent(series), minute // self._bucket - self._length)
        if first is None:
            first = self.history.first_bucket(series, minute // self._bucket - self._length)
        return 0 if first is None else minute + 1 - first * self._bucket

    def _baseline(self, series: Series, minute: Minute, window: int) -> Baseline:
        """The baseline for a window ending at `minute`; the same within a bucket for all windows up to an hour."""
        cut = (minute + 1 - max(window, SHORT) - GAP) // self._bucket
        known = self._baselines.get((series, cut))
        if known is not None:
            return known
        if len(self._baselines) > 20_000:
            self._baselines.clear()
        whole = parent(series)
        first = self.history.first_bucket(whole, cut - self._length)
        if first is None:
            first = self.history.first_bucket(series, cut - self._length)
        start = cut if first is None else min(first, cut)
        past = self.history.past(series, start, cut)
        above = None if series == whole else self._baseline(whole, minute, window)
        # The shape as known at the cut: what is kept under (series, cut) must not depend on who asked first.
        shape = self._shape(series.lang, cut * self._bucket)
        found = fit(past, shape, self.history.slots, above, self._totals)
        self._baselines[series, cut] = found
        return found

    def _shape(self, lang: str, minute: Minute) -> Shape:
        """The shape of the language's week, learned anew each day."""
        cut = (minute // DAY * DAY - GAP) // self._bucket
        known = self._shapes.get((lang, cut))
        if known is not None:
            return known
        if len(self._shapes) > 64:
            self._shapes.clear()
        whole = Series("", "", lang)
        first = self.history.first_bucket(whole, cut - self._length)
        start = cut if first is None else min(first, cut)
        past = self.history.past(whole, start, cut)
        found = fit_shape(past.total if self._totals else past.negative, start, self._bucket)
        self._shapes[lang, cut] = found
        return found
