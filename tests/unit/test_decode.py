"""Every kind of broken message is refused with its reason, every odd but good one is taken, none raises."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.documents import Document, Rejected, derived_id
from monitor.settings import SourcesSettings
from monitor.sources.decode import MAX_DEPTH, decode
from tests.broken import BROKEN, GOOD, MAX_BYTES, NOW, ODD_BUT_GOOD, TIME, message, with_raw

SETTINGS = SourcesSettings(max_bytes=MAX_BYTES, keep_raw=100)


def read(raw: bytes | None, now: datetime = NOW) -> Document | Rejected:
    return decode(raw, default_source="feed", settings=SETTINGS, now=now)


def good(raw: bytes) -> Document:
    document = read(raw)
    assert isinstance(document, Document), document
    return document


def test_there_are_two_hundred_kinds_of_broken_input():
    assert len(BROKEN) >= 200
    assert len({name for name, _, _ in BROKEN}) == len(BROKEN)
    assert len({raw for _, raw, _ in BROKEN}) == len(BROKEN)


@pytest.mark.parametrize(("raw", "reason"), [pytest.param(*rest, id=name) for name, *rest in BROKEN])
def test_broken_message_is_refused_with_its_reason(raw: bytes, reason: str):
    result = read(raw)
    assert isinstance(result, Rejected), result
    assert result.reason == reason
    assert result.detail
    assert result.detail.isprintable()
    assert len(result.detail) < 250
    assert result.raw == raw[:100]
    assert result.size == len(raw)


@pytest.mark.parametrize("raw", [pytest.param(raw, id=name) for name, raw in ODD_BUT_GOOD])
def test_odd_but_good_message_is_taken_and_can_be_stored(raw: bytes):
    document = good(raw)
    assert document.id
    assert document.source
    assert document.published_at.tzinfo is UTC
    stored = json.dumps([document.body, *document.symbols, document.extra], ensure_ascii=False, allow_nan=False)
    assert "\x00" not in stored.encode("utf-8").decode()


def test_tombstone_is_refused():
    assert read(None) == Rejected("empty", "the message has no value (a tombstone)", b"", 0)


def test_every_field_is_read():
    raw = message(
        id=418,
        source=" reuters ",
        kind="comment",
        published_at="2024-07-01T13:55:32.25+08:00",
        title="Amazon",
        text="Amazon fell",
        lang="en-US",
        symbols=["amzn", "$AMZN", "700.hk"],
        url="https://example.org/1",
        author="A. Writer",
        retweets=12,
    )
    assert good(raw) == Document(
        id="418",
        source="reuters",
        kind="comment",
        published_at=datetime(2024, 7, 1, 5, 55, 32, 250_000, tzinfo=UTC),
        title="Amazon",
        text="Amazon fell",
        lang="en",
        symbols=("AMZN", "700.HK"),
        url="https://example.org/1",
        author="A. Writer",
        extra={"retweets": 12},
    )


def test_message_without_source_and_id_gets_the_feeds_name_and_a_hash():
    document = good(message(id=..., source=...))
    assert document.source == "feed"
    assert document.id == derived_id("feed", document.published_at, "Shares fell.")
    assert document.id == good(message(id=..., source=..., published_at="2024-07-01T19:00:00+08:00")).id
    assert document.id != good(message(id=..., source=..., text="Shares rose.")).id


def test_link_that_is_no_web_address_is_kept_aside():
    document = good(message(url="JavaScript:alert(1)"))
    assert document.url is None
    assert document.extra == {"url": "JavaScript:alert(1)"}


def test_language_that_is_no_tag_is_kept_aside():
    document = good(message(lang="Klingon (southern)"))
    assert document.lang is None
    assert document.extra == {"lang": "Klingon (southern)"}


def test_leap_second_is_the_second_after():
    assert good(message(published_at="2016-12-31T23:59:60Z")).published_at == datetime(2017, 1, 1, tzinfo=UTC)


def test_time_may_lie_ahead_of_the_clock_by_max_future_and_no_more():
    published = datetime.fromisoformat(TIME)
    ahead = SETTINGS.max_future
    assert isinstance(read(GOOD, now=published - ahead), Document)
    refused = read(GOOD, now=published - ahead - timedelta(microseconds=1))
    assert isinstance(refused, Rejected)
    assert refused.reason == "absurd-time"


def test_time_without_offset_is_told_how_to_write_it():
    refused = read(message(published_at="2024-07-01T11:00:00"))
    assert isinstance(refused, Rejected)
    assert "add Z for UTC or an offset such as +08:00" in refused.detail


def test_depth_limit_does_not_depend_on_the_callers_stack():
    def from_depth(levels: int) -> Document | Rejected:
        return (
            from_depth(levels - 1) if levels else read(with_raw("deep", "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)))
        )

    assert isinstance(from_depth(500), Document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=30),
    lambda children: st.lists(children, max_size=5) | st.dictionaries(st.text(max_size=8), children, max_size=5),
    max_leaves=20,
)
NAMES = [field.name for field in fields(Document)]


@given(st.binary(max_size=300))
@settings(max_examples=500, deadline=None)
def test_no_bytes_make_it_raise(raw: bytes):
    assert isinstance(read(raw), (Document, Rejected))


@given(JSON)
@settings(max_examples=300, deadline=None)
def test_no_json_makes_it_raise(value: Any):
    assert isinstance(read(json.dumps(value).encode()), (Document, Rejected))


@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=3))
@settings(max_examples=500, deadline=None)
def test_no_value_of_any_field_makes_it_raise_and_what_passes_can_be_stored(changed: dict[str, Any]):
    result = read(message(**changed))
    if isinstance(result, Document):
        json.dumps([result.body, result.id, result.source, result.extra], allow_nan=False)
        "".join([result.body, result.id, result.source, *result.symbols]).encode("utf-8")
        assert "\x00" not in result.body
        assert result.published_at.tzinfo is UTC


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=0, max_size=3))
@settings(max_examples=300, deadline=None)
def test_no_damage_to_a_good_message_makes_it_raise(place: int, patch: bytes):
    assert isinstance(read(GOOD[:place] + patch + GOOD[place + 1 :]), (Document, Rejected))
