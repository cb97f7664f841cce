"""In which order texts are taught: all of them each epoch, but for those that take turns."""

from __future__ import annotations

from collections import Counter

import pytest

from training.order import Order


def epochs(order: Order, count: int) -> list[list[int]]:
    found = []
    for order.epoch in range(count):
        found.append(list(order))
    return found


def test_every_text_comes_once_an_epoch_in_another_order() -> None:
    first, second = epochs(Order([5] * 100, 8, 3), 2)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert epochs(Order([5] * 100, 8, 3), 2) == [first, second]


@pytest.mark.parametrize(("share", "turns"), [(0.5, 2), (0.25, 4), (0.3, 4), (1.0, 1)])
def test_marked_texts_take_turns_until_all_were_seen(share: float, turns: int) -> None:
    seldom = list(range(40, 80))
    order = Order([5] * 100, 8, 3, seldom=seldom, share=share)
    seen: Counter[int] = Counter()
    for drawn in epochs(order, turns):
        assert len(drawn) == len(set(drawn)) == len(order) == 60 + round(share * 40)
        assert set(range(100)) - set(seldom) <= set(drawn)
        seen.update(index for index in drawn if index in seldom)
    assert set(seen) == set(seldom)
    assert max(seen.values()) <= 2


def test_like_lengths_stand_together_and_the_longest_first() -> None:
    lengths = [place % 50 + 1 for place in range(400)]
    drawn = list(Order(lengths, 8, 3))
    batches = [[lengths[index] for index in drawn[at : at + 8]] for at in range(0, 400, 8)]
    assert batches[0][0] == 50
    assert sum(max(batch) * 8 for batch in batches) < 1.15 * sum(lengths)
