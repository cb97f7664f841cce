"""The detector's memory of counts."""

from __future__ import annotations

import random

import pytest

from monitor.detect.series import DAY, Cell, History
from monitor.documents import Series

APPLE = Series("", "AAPL", "en")
SHELL = Series("", "SHEL", "en")


def random_cells(count: int, seed: int, days: int = 3) -> list[Cell]:
    source = random.Random(seed)
    cells = []
    for minute in sorted(source.choices(range(days * DAY), k=count)):
        total = source.randint(1, 9)
        cells.append(Cell(minute, source.choice([APPLE, SHELL]), source.randint(0, total), total))
    return cells


def test_window_counts_exactly_the_minutes_it_names():
    cells = random_cells(800, seed=1)
    history = History(days=28)
    history.add(cells)
    end = cells[-1].minute
    for length in (1, 5, 15, 60, 1440):
        inside = [cell for cell in cells if cell.series == APPLE and end - length < cell.minute <= end]
        expected = (sum(cell.negative for cell in inside), sum(cell.total for cell in inside))
        assert history.window(APPLE, end, length) == expected


def test_window_is_right_after_old_minutes_were_dropped():
    history = History(days=28)
    for minute in range(0, 12 * DAY, 7):
        history.add([Cell(minute, APPLE, 1, 2)])
        if minute > DAY and minute % 1001 == 0:
            assert history.window(APPLE, minute, 700) == (100, 200)


def test_buckets_and_scatter_within_them_add_up():
    cells = random_cells(900, seed=2)
    history = History(days=28, slots=(5, 15))
    history.add(cells)
    past = history.past(SHELL, 0, 3 * 24)
    for hour in (0, 17, 50):
        inside = [cell for cell in cells if cell.series == SHELL and cell.minute // 60 == hour]
        assert past.negative[hour] == sum(cell.negative for cell in inside)
        assert past.total[hour] == sum(cell.total for cell in inside)
        for pairs, length in zip(past.pairs, (5, 15), strict=True):
            slots: dict[int, int] = {}
            for cell in inside:
                slots[cell.minute // length] = slots.get(cell.minute // length, 0) + cell.negative
            assert pairs[hour] == sum(n * (n - 1) for n in slots.values())


def test_cells_of_one_minute_add_up_however_they_are_cut():
    whole, parts = History(days=28), History(days=28)
    whole.add([Cell(61, APPLE, 5, 8)])
    parts.add([Cell(61, APPLE, 2, 4)])
    parts.add([Cell(61, APPLE, 3, 4)])
    assert whole.window(APPLE, 61, 5) == parts.window(APPLE, 61, 5) == (5, 8)
    assert [list(pairs) for pairs in whole.past(APPLE, 0, 2).pairs] == [
        list(pairs) for pairs in parts.past(APPLE, 0, 2).pairs
    ]


def test_memory_stays_bounded_over_years():
    history = History(days=2)
    for hour in range(24 * 365 * 2):
        history.add([Cell(hour * 60, APPLE, 1, 1)])
    track = history._tracks[APPLE]
    assert len(track.buckets) <= 2 * 5 * 24 + 1
    assert len(track.minutes) <= 4 * 24 + 1
    assert history.first_bucket(APPLE, 0) == track.buckets[0]


def test_silent_series_stops_counting_and_is_forgotten():
    history = History(days=2)
    history.add([Cell(0, SHELL, 1, 1), Cell(0, APPLE, 0, 1)])
    history.add([Cell(2 * DAY, APPLE, 0, 1)])
    assert history.alive(2 * DAY) == 2
    history.add([Cell(2 * DAY + 60, APPLE, 0, 1)])
    assert history.alive(2 * DAY + 60) == 1
    history.add([Cell(9 * DAY, APPLE, 0, 1)])
    assert history.alive(9 * DAY) == 1
    assert SHELL not in history._tracks


def test_series_that_speaks_again_is_not_forgotten():
    history = History(days=2)
    history.add([Cell(0, SHELL, 1, 1)])
    assert history.alive(4 * DAY) == 0
    history.add([Cell(4 * DAY, SHELL, 2, 2)])
    assert history.alive(8 * DAY) == 0
    assert history.past(SHELL, 4 * 24, 4 * 24 + 1).negative.tolist() == [2]


def test_minutes_out_of_order_and_impossible_counts_are_refused():
    history = History(days=28)
    history.add([Cell(10, APPLE, 0, 1)])
    with pytest.raises(ValueError, match="ascend"):
        history.add([Cell(9, APPLE, 0, 1)])
    with pytest.raises(ValueError, match="impossible"):
        history.add([Cell(11, APPLE, 2, 1)])
