"""What the detector calls a surge, and that it says the same however it is fed."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import groupby

import numpy as np
import pytest

from monitor.detect.series import DAY, Cell, parent
from monitor.detect.surge import Detector, bucket_for, windows_for
from monitor.detect.walk import Walk
from monitor.documents import Series
from monitor.settings import DetectionSettings

ALL = Series("", "", "en")
APPLE = Series("", "AAPL", "en")
TESLA = Series("", "TSLA", "en")
START = 4 * DAY * 1000  # a Monday
SETTINGS = DetectionSettings()


def feed(days: int, seed: int = 1, rates: dict[Series, float] | None = None, boosts=()) -> list[Cell]:
    """Poisson cells with a daily wave; `boosts`: (series, begin, end, lift of negatives, lift of others)."""
    source = np.random.default_rng(seed)
    minutes = np.arange(days * DAY)
    wave = 1 + 0.6 * np.sin(2 * np.pi * minutes / DAY)
    counts: dict[Series, np.ndarray] = {}
    for series, rate in (rates or {APPLE: 12.0, TESLA: 6.0}).items():
        negative, other = rate * wave / 60, 4 * rate * wave / 60
        for boosted, begin, end, lift, other_lift in boosts:
            if boosted == series:
                negative[begin:end] *= lift
                other[begin:end] *= other_lift
        bad = source.poisson(negative)
        counts[series] = np.stack([bad, bad + source.poisson(other)])
    counts[ALL] = np.sum([counts[series] for series in counts], axis=0)
    return [
        Cell(START + minute, series, int(count[0, minute]), int(count[1, minute]))
        for minute in minutes.tolist()
        for series, count in sorted(counts.items())
        if count[1, minute]
    ]


def events(cells: list[Cell], settings: DetectionSettings = SETTINGS, totals: bool = True):
    walk = Walk(settings, totals=totals)
    return [*walk.run(cells), *walk.settle()]


CRISIS = 10 * DAY + 700
CELLS = feed(12, boosts=[(APPLE, CRISIS, CRISIS + 90, 6.0, 1.0)])


def test_crisis_opens_quickly_and_resolves_after_it_is_over():
    found = [event for event in events(CELLS) if event.series == APPLE and event.kind != "escalate"]
    assert [event.kind for event in found] == ["open", "resolve"]
    opened, resolved = (event.minute - START for event in found)
    assert CRISIS < opened <= CRISIS + 20
    assert CRISIS + 90 < resolved <= CRISIS + 90 + 90
    judgement = found[0].judgement
    assert judgement.observed > judgement.upper > judgement.expected > judgement.lower
    assert judgement.share > 2 * judgement.expected_share
    assert judgement.p_value < 1e-5 and judgement.share_p_value < 1e-3
    assert found[1].judgement.calm and not found[1].judgement.surge
    assert found[1].judgement.window <= 60


def test_quiet_feed_raises_nothing():
    assert events(feed(12, seed=2)) == []


def test_mere_busyness_is_no_surge_when_totals_are_known():
    busy = feed(12, seed=3, boosts=[(APPLE, CRISIS, CRISIS + 120, 8.0, 8.0)])
    assert events(busy) == []
    assert "open" in {event.kind for event in events(busy, totals=False)}


def test_swing_in_a_handful_of_documents_is_no_surge():
    cells = feed(10, rates={APPLE: 12.0, TESLA: 0.2})
    minute = START + 10 * DAY + 300
    few = [Cell(minute, series, 4, 4) for series in (ALL, TESLA)]
    assert events([*cells, *few]) == []


def test_never_mentioned_company_with_many_negatives_is_a_surge():
    minute = START + 12 * DAY
    struck = Series("", "GME", "en")
    found = events([*feed(12, seed=4), Cell(minute, ALL, 15, 16), Cell(minute, struck, 15, 16)])
    assert ("open", struck) in {(event.kind, event.series) for event in found}


def test_gates_of_count_lift_and_age_hold():
    assert any(event.series == APPLE for event in events(CELLS))
    assert not events(CELLS, DetectionSettings(min_negative=10_000))
    assert not events(CELLS, DetectionSettings(min_lift=50))
    assert not events(CELLS, DetectionSettings(min_history=timedelta(days=11)))
    young = feed(3, boosts=[(APPLE, 1700, 1790, 8.0, 1.0)])
    assert not events(young)
    assert events(young, DetectionSettings(min_history=timedelta(days=1)))


def test_same_events_whether_whole_in_chunks_or_minute_by_minute():
    whole = events(CELLS)
    assert whole
    for size in (1, 37, 1000):
        walk = Walk(SETTINGS)
        chunked = [event for at in range(0, len(CELLS), size) for event in walk.run(CELLS[at : at + size])]
        assert [*chunked, *walk.settle()] == whole
    walk = Walk(SETTINGS)
    by_minute = {minute: list(cells) for minute, cells in groupby(CELLS, key=lambda cell: cell.minute)}
    ticked = []
    for minute in range(START, START + 12 * DAY + 600):
        ticked += walk.run(by_minute.get(minute, []), until=minute)
    assert ticked == whole


def test_same_events_after_restarts_that_reload_only_what_is_needed():
    settings = DetectionSettings(history_days=5)
    whole = events(CELLS, settings)
    assert whole
    found, state, judged = [], None, None
    for stop in (8 * DAY, CRISIS + 25, CRISIS + 26, CRISIS + 120, 12 * DAY):
        walk = Walk(settings)
        if state is not None:
            needed = judged - walk.detector.lookback
            walk.detector.load(cell for cell in CELLS if needed <= cell.minute <= judged)
            walk.tracker.restore(state)
            walk.judged = judged
        begin = -1 if judged is None else judged
        found += walk.run((cell for cell in CELLS if begin < cell.minute < START + stop), until=START + stop - 1)
        state, judged = walk.tracker.export(), walk.judged
    assert [*found, *walk.settle()] == whole


def test_growing_surge_does_not_feed_its_own_baseline():
    detector = Detector(SETTINGS)
    expected = []
    for minute, cells in groupby(CELLS, key=lambda cell: cell.minute):
        for judgement in detector.judge(minute, cells, watched={APPLE: 5}):
            if judgement.series == APPLE and CRISIS <= minute - START < CRISIS + 90 and judgement.window == 60:
                expected.append(judgement.expected)
    assert expected
    assert max(expected) < 25  # 12 to 19 an hour is usual then; the crisis brings 100


def test_watched_series_is_judged_in_silence_and_others_are_not():
    detector = Detector(SETTINGS)
    detector.load(CELLS)
    minute = CELLS[-1].minute + 30
    assert detector.judge(minute, []) == []
    [judgement] = detector.judge(minute + 120, [], watched=[APPLE])
    assert judgement.calm and not judgement.surge
    assert judgement.observed == 0


def test_barred_windows_cannot_surge_again_but_new_ones_can():
    minute = CRISIS + START + 60
    burst = [cell for cell in CELLS if cell.minute <= minute]
    before = [cell for cell in burst if cell.minute < minute]
    last = [cell for cell in burst if cell.minute == minute] or [Cell(minute, APPLE, 1, 1), Cell(minute, ALL, 1, 1)]

    def windows(barred: dict[Series, int]) -> set[int]:
        detector = Detector(SETTINGS)
        detector.load(before)
        return {it.window for it in detector.judge(minute, last, barred=barred) if it.series == APPLE and it.surge}

    assert windows({})
    assert windows({APPLE: minute}) == set()
    assert windows({APPLE: minute - 30}) <= {5, 15}


def test_band_is_drawn_from_before_the_surge():
    detector = Detector(SETTINGS)
    detector.load(CELLS)
    at = START + CRISIS + 10
    band = detector.band(APPLE, START + CRISIS - 600, START + CRISIS + 240, 60, at=at)
    assert [it.end - START - CRISIS for it in band][:2] == [-541, -481]
    assert len(band) == 14
    assert all(it.lower < it.expected < it.upper for it in band)
    assert all(3 < it.expected < 25 for it in band)


def test_false_discovery_control_counts_all_series_alive():
    minute = START + 12 * DAY
    cells = feed(12, seed=5)
    crowd = [Cell(minute - 1, Series("", f"X{i:05d}", "en"), 0, 1) for i in range(20_000)]
    here = [Cell(minute, ALL, 10, 12), Cell(minute, TESLA, 8, 8)]

    def found(more: list[Cell]) -> bool:
        detector = Detector(SETTINGS)
        detector.load([*cells, *more])
        return any(it.series == TESLA and it.surge for it in detector.judge(minute, here))

    assert found([])
    assert not found(crowd)


def test_empty_years_cost_nothing():
    far = START + 400 * DAY * 365
    cells = [*feed(3), Cell(far, ALL, 1, 2)]
    walk = Walk(SETTINGS)
    list(walk.run(cells[:-1]))
    started = time.perf_counter()
    assert list(walk.run(cells[-1:], until=far + 10**8)) == []
    assert time.perf_counter() - started < 0.5
    assert walk.judged == far + 10**8


def test_steps_get_windows_and_buckets_they_fill():
    assert windows_for(1) == (5, 15, 60, 1440)
    assert windows_for(7) == (14, 56, 1435)
    assert windows_for(60) == (60, 1440)
    assert [bucket_for(step) for step in (1, 30, 60, 240, 420, 1440)] == [60, 60, 60, 240, 1440, 1440]


@pytest.mark.parametrize(
    ("step", "lift", "length"), [(15, 8.0, 180), (60, 8.0, 300), (240, 6.0, 960), (1440, 5.0, 2880)]
)
def test_coarser_counts_are_judged_too(step, lift, length):
    begin = 40 * DAY
    minute_cells = feed(45, rates={APPLE: 6.0}, boosts=[(APPLE, begin, begin + length, lift, 1.0)])
    sums: dict[int, list[int]] = {}
    for cell in minute_cells:
        if cell.series == ALL:
            total = sums.setdefault((cell.minute - START) // step, [0, 0])
            total[0] += cell.negative
            total[1] += cell.total
    cells = [Cell(START + (at + 1) * step - 1, ALL, *total) for at, total in sorted(sums.items())]
    walk = Walk(SETTINGS, step=step)
    found = [*walk.run(cells), *walk.settle()]
    assert [event.kind for event in found if event.kind != "escalate"] == ["open", "resolve"]
    assert begin <= found[0].minute - START < begin + length
    assert found[-1].minute - START >= begin + length


def test_parent_is_the_whole_language():
    assert parent(Series("earnings", "AAPL", "zh")) == Series("", "", "zh")
