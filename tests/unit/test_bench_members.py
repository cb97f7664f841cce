"""What `bench pipeline --consumers` takes from the consumers' logs."""

from __future__ import annotations

from monitor.bench.members import held

LATE = """\
2026-11-29 23:35:14,561 INFO    monitor.consumer: reading feed[0] from 0, feed[1] from 0
2026-11-29 23:35:14,562 INFO    monitor.sources.kafka: reading feed[0], feed[1]
2026-11-29 23:35:26,500 INFO    monitor.sources.kafka: no longer reading feed[1]
"""
"""Of a member that was the first of its group, when a second one came."""


def test_a_member_keeps_what_was_not_taken_from_it() -> None:
    assert held(LATE) == {"feed[0]"}


def test_a_member_may_get_back_what_it_gave_away() -> None:
    more = "2026-11-29 23:35:40,500 INFO    monitor.sources.kafka: reading feed[1]\n"
    assert held(LATE + more) == {"feed[0]", "feed[1]"}


def test_a_member_that_has_said_nothing_holds_nothing() -> None:
    assert (
        held("2026-11-29 23:35:08,080 INFO    monitor.understand.engine: model bellwether-zh@0.3.0 reads zh\n") == set()
    )
