"""Why an alert was raised, as readers of either language see it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dashboard.context import View
from dashboard.names import Names
from dashboard.reason import reason
from dashboard.words import translator
from monitor.documents import Series
from monitor.store.queries.alerts import Alert
from monitor.understand.topics import load_taxonomy
from monitor.understand.watchlist import Company

NAMES = Names(load_taxonomy(), {"HLVN": Company("HLVN", en="Halvern Bank", zh="哈尔文银行")})
OPENED = datetime(2026, 3, 2, 14, 20, tzinfo=UTC)
EVIDENCE: dict[str, Any] = {
    "window": {"begin": "2026-03-02T13:20:00Z", "end": "2026-03-02T14:20:00Z"},
    "share": 0.65,
    "expected_share": 0.18,
    "stories": [{"headline": "Halvern halts withdrawals"}],
    "stories_total": 29,
    "sources_total": 6,
}
ALERT = Alert(
    id="a1",
    series=Series("", "HLVN", "en"),
    state="open",
    severity="critical",
    opened_at=OPENED,
    resolved_at=None,
    window_minutes=60,
    observed=41,
    total=63,
    expected=2.1,
    p_value=3e-22,
    reason="as it was sent",
    evidence=EVIDENCE,
    tracked={},
)


def read(alert: Alert, lang: str = "zh") -> str:
    return reason(View(lang, translator(lang), NAMES), alert)


def test_chinese_readers_get_the_same_numbers_in_chinese() -> None:
    assert read(ALERT) == (
        "截至 2026-03-02 14:20 UTC 的 1 小时内，“哈尔文银行”相关的英文文档共 63 篇，其中负面 41 篇，预期 2.1 篇"
        "（×20，p = 3·10⁻²²）；负面占比 65 %，平时 18 %。"
        "共 29 条不同消息，来自 6 个来源；最突出的一条：“Halvern halts withdrawals”。"
    )
    assert read(replace(ALERT, series=Series("legal_regulation", "HLVN", "zh"))).startswith(
        "截至 2026-03-02 14:20 UTC 的 1 小时内，“哈尔文银行 · 法律与监管”相关的中文文档共 63 篇"
    )


def test_bounds_are_in_the_readers_words_too() -> None:
    said = read(replace(ALERT, expected=0.001, p_value=0.0))
    assert "预期 低于 0.01 篇（超过 ×1000，p 低于 10⁻³⁰⁰）" in said


def test_what_is_not_known_is_left_out() -> None:
    said = read(replace(ALERT, series=Series("", "", "zh"), evidence=EVIDENCE | {"share": None, "stories": []}))
    assert (
        said
        == "截至 2026-03-02 14:20 UTC 的 1 小时内，中文文档共 63 篇，其中负面 41 篇，预期 2.1 篇（×20，p = 3·10⁻²²）。"
    )


def test_english_readers_see_what_was_sent() -> None:
    assert read(ALERT, "en") == "as it was sent"


@pytest.mark.parametrize("lost", ["window", "share", "stories_total"])
def test_an_alert_with_other_evidence_is_shown_as_it_was_sent(lost: str) -> None:
    evidence = {key: value for key, value in EVIDENCE.items() if key != lost}
    assert read(replace(ALERT, evidence=evidence)) == "as it was sent"
