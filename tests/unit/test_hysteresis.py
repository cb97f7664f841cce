"""The life of a surge: open, escalate, resolve, and no flapping."""

from __future__ import annotations

import json
from datetime import timedelta

from monitor.detect.hysteresis import Tracker
from monitor.detect.judgement import Judgement
from monitor.detect.series import DAY, Cell
from monitor.detect.walk import Walk
from monitor.documents import Series
from monitor.settings import DetectionSettings

APPLE = Series("", "AAPL", "en")
ALL = Series("", "", "en")
SETTINGS = DetectionSettings(resolve_after=timedelta(minutes=15))


def judgement(
    minute: int, p_value: float = 1e-7, surge: bool = True, calm: bool = False, lift: float = 6.0
) -> Judgement:
    return Judgement(
        series=APPLE,
        minute=minute,
        window=15,
        observed=int(lift * 3),
        total=30,
        expected=3.0,
        dispersion=0.2,
        p_value=p_value,
        count_p_value=p_value,
        share=0.5,
        expected_share=0.1,
        share_p_value=p_value,
        lift=lift,
        surge=surge,
        calm=calm,
    )


def kinds(tracker: Tracker, *judgements: Judgement) -> list[tuple[str, int]]:
    return [(event.kind, event.minute) for it in judgements for event in tracker.advance(it.minute, [it])]


def calm(minute: int) -> Judgement:
    return judgement(minute, p_value=0.4, surge=False, calm=True, lift=1.0)


def uneasy(minute: int) -> Judgement:
    return judgement(minute, p_value=0.01, surge=False, lift=2.0)


def test_surge_opens_once_and_resolves_after_unbroken_calm():
    tracker = Tracker(SETTINGS)
    assert kinds(tracker, judgement(100), judgement(101), uneasy(102)) == [("open", 100)]
    assert not tracker.idle
    assert kinds(tracker, *map(calm, range(103, 117))) == []
    assert kinds(tracker, uneasy(117)) == []  # calm was broken and begins anew
    assert kinds(tracker, *map(calm, range(118, 140))) == [("resolve", 132)]
    assert tracker.idle


def test_surge_escalates_once_when_it_becomes_critical():
    tracker = Tracker(SETTINGS)
    found = kinds(tracker, judgement(1), judgement(2, 1e-12, lift=4.0), judgement(3, 1e-12), judgement(4, 1e-20))
    assert found == [("open", 1), ("escalate", 3)]
    assert tracker.open[APPLE].severity == "critical"
    assert tracker.open[APPLE].peak.minute == 4


def test_surge_that_begins_critical_does_not_escalate():
    tracker = Tracker(SETTINGS)
    [event] = tracker.advance(1, [judgement(1, 1e-12)])
    assert (event.kind, event.severity) == ("open", "critical")
    assert kinds(tracker, judgement(2, 1e-30)) == []


def test_gate_is_asked_only_for_openings_and_may_be_convinced_later():
    tracker = Tracker(SETTINGS)
    asked = []

    def confirm(it: Judgement) -> bool:
        asked.append(it.minute)
        return it.minute >= 3

    found = [
        event.minute
        for it in (uneasy(1), judgement(2), judgement(3), judgement(4), judgement(5, 1e-12))
        for event in tracker.advance(it.minute, [it], confirm)
        if event.kind == "open"
    ]
    assert found == [3]
    assert asked == [2, 3]


def test_state_survives_json_at_any_moment():
    story = [judgement(1), uneasy(2), judgement(3, 1e-12), *map(calm, range(4, 30))]
    plain = Tracker(SETTINGS)
    expected = [event for it in story for event in plain.advance(it.minute, [it])]
    interrupted: list = []
    state = Tracker(SETTINGS).export()
    for it in story:
        tracker = Tracker(SETTINGS)
        tracker.restore(json.loads(json.dumps(state)))
        interrupted += tracker.advance(it.minute, [it])
        state = tracker.export()
    assert interrupted == expected
    assert [event.kind for event in expected] == ["open", "escalate", "resolve"]


def test_resolved_series_is_barred_for_a_day():
    tracker = Tracker(SETTINGS)
    kinds(tracker, judgement(1), *map(calm, range(2, 20)))
    assert tracker.barred(500) == {APPLE: 16}
    assert tracker.barred(16 + DAY) == {}


def test_surge_closed_by_hand_ends_without_an_event():
    tracker = Tracker(SETTINGS)
    kinds(tracker, judgement(1))
    tracker.close(APPLE, 5)
    assert tracker.idle
    assert tracker.barred(6) == {APPLE: 5}


def quiet(days: int) -> list[Cell]:
    """Four negatives of twenty documents an hour, one every quarter."""
    return [Cell(at, ALL, 1, 5) for at in range(0, days * DAY, 15)]


def test_burst_opens_once_although_the_day_window_remembers_it():
    cells = quiet(10)
    begin = 8 * DAY + 600
    burst = {minute: Cell(minute, ALL, 6, 8) for minute in range(begin, begin + 40)}
    cells = [burst.pop(cell.minute, cell) for cell in cells]
    cells = sorted([*cells, *burst.values()], key=lambda cell: cell.minute)
    walk = Walk(SETTINGS)
    found = [event for event in [*walk.run(cells), *walk.settle()] if event.kind != "escalate"]
    assert [event.kind for event in found] == ["open", "resolve"]
    assert found[1].minute < begin + 40 + 90


def test_second_burst_soon_after_the_first_opens_again():
    begin = 8 * DAY + 600
    bursts = [begin + at for at in range(20)] + [begin + 240 + at for at in range(20)]
    cells = {cell.minute: cell for cell in quiet(10)} | {minute: Cell(minute, ALL, 6, 8) for minute in bursts}
    walk = Walk(SETTINGS)
    found = [*walk.run(cells[minute] for minute in sorted(cells)), *walk.settle()]
    assert [event.kind for event in found if event.kind != "escalate"] == ["open", "resolve", "open", "resolve"]


def test_end_of_the_feed_resolves_what_is_open_within_a_day():
    cells = [*quiet(8), *(Cell(8 * DAY + at, ALL, 6, 8) for at in range(30))]
    walk = Walk(SETTINGS)
    assert "open" in [event.kind for event in walk.run(cells)]
    assert not walk.tracker.idle
    [event] = walk.settle()
    assert event.kind == "resolve"
    assert event.minute <= cells[-1].minute + DAY + 15


def test_slow_day_stays_open_while_it_lasts():
    settings = DetectionSettings(resolve_after=timedelta(minutes=15))
    usual = [Cell(at, ALL, int(at % 180 == 0), 1) for at in range(0, 20 * DAY, 60)]  # eight negatives a day
    slow = [Cell(20 * DAY + at, ALL, 2, 2) for at in range(0, 2 * DAY, 60)]  # forty-eight a day, never many at once
    after = [Cell(22 * DAY + at, ALL, int(at % 180 == 0), 1) for at in range(0, 2 * DAY, 60)]
    walk = Walk(settings)
    found = [event for event in [*walk.run([*usual, *slow, *after]), *walk.settle()] if event.kind != "escalate"]
    assert [event.kind for event in found] == ["open", "resolve"]
    assert found[0].judgement.window == DAY
    assert found[1].minute > 22 * DAY
