"""What an analyst does on the pages."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text

from monitor.store.database import Database
from tests.browser import feed
from tests.browser.conftest import Serve

pytestmark = pytest.mark.browser


def test_overview_shows_curve_topics_and_alert_that_lead_on(page: Page, serve: Serve, record: Database) -> None:
    address = serve(record)
    page.goto(address)
    expect(page.locator("#overview-curve .bars path").first).to_be_attached()
    expect(page.locator("#overview-topic tbody tr").first).to_contain_text("Company and product news")
    expect(page.locator("#overview-company tbody tr").first).to_contain_text("Tesla")
    page.locator("#overview-company tbody a").first.click()
    expect(page).to_have_url(re.compile(r"/explore\?.*company=TSLA"))
    expect(page.locator(".document").first).to_contain_text("Tesla")
    page.go_back()
    page.locator(".alert-item").click()
    expect(page).to_have_url(f"{address}/alert/{feed.ALERT}")
    expect(page.locator("#alert-head h1")).to_have_text("Tesla")
    expect(page.locator("#alert-curve .scatterlayer .trace")).to_have_count(4)


def test_cell_of_the_heat_map_leads_to_its_documents(page: Page, serve: Serve, record: Database) -> None:
    page.goto(serve(record))
    page.wait_for_selector("#overview-heat .heatmaplayer image")
    page.locator("#overview-heat").scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    box = page.locator("#overview-heat .nsewdrag").bounding_box()
    assert box is not None
    # Plotly takes a click for one on what it found under a pointer that rested.
    page.mouse.move(box["x"] + box["width"] - 40, box["y"] + 12)
    page.mouse.move(box["x"] + box["width"] - 12, box["y"] + 10, steps=4)
    page.wait_for_selector("#overview-heat .hoverlayer .hovertext")
    page.mouse.down()
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"/explore\?topic=company_product&.*from="))
    expect(page.locator(".document").first).to_be_visible()


def test_script_and_markup_in_texts_are_shown_not_run(page: Page, serve: Serve, record: Database) -> None:
    address = serve(record)
    for path in ("/", f"/alert/{feed.ALERT}", "/alerts", "/explore?q=bold"):
        page.goto(address + path)
        page.wait_for_selector("#nav a.here")
        page.wait_for_timeout(700)
        assert page.title() == "Bellwether"
    found = page.locator(".document").first
    expect(found).to_contain_text(feed.SCRIPT)
    expect(found).to_contain_text("onerror=")
    found.locator("button").click()
    expect(page.locator("#explore-panel")).to_contain_text(feed.MARKUP)
    assert page.locator("#page img, #page [onerror], #page [onload]").count() == 0
    assert page.locator("a[href^='javascript']").count() == 0
    page.goto(address)
    expect(page.locator("#overview-heat .yaxislayer-above")).to_contain_text("<svg onload=alert(1)>")
    assert page.title() == "Bellwether"


def test_new_document_appears_without_reload_and_keeps_what_was_typed(
    page: Page, serve: Serve, record: Database, now: datetime
) -> None:
    page.goto(f"{serve(record)}/explore?lang=en")
    expect(page.locator(".document").first).to_be_visible()
    page.evaluate("window.stays = true")
    typed = page.get_by_label("From (UTC)")
    typed.press_sequentially("2020-01-01", delay=120)  # as a hand does: dcc.Input sets the caret back a moment later
    feed.write(record, [feed.document("fresh", now + timedelta(seconds=30), "Granite bridge tolls doubled overnight")])
    expect(page.locator(".document").first).to_contain_text("Granite bridge tolls")
    assert page.evaluate("window.stays") is True
    expect(typed).to_have_value("2020-01-01")


def test_reader_who_scrolled_is_not_moved_by_news(page: Page, serve: Serve, record: Database, now: datetime) -> None:
    page.goto(f"{serve(record)}/explore")
    expect(page.locator(".document")).to_have_count(40)
    page.locator("#explore-older").click()
    expect(page.locator(".document")).to_have_count(80)
    feed.write(record, [feed.document("fresh", now + timedelta(seconds=30), "Granite bridge tolls doubled")])
    expect(page.locator("#explore-newer")).to_be_visible()
    expect(page.locator(".document")).to_have_count(80)
    page.locator("#explore-newer").click()
    expect(page.locator(".document").first).to_contain_text("Granite bridge")


def test_zoom_of_a_curve_survives_news(page: Page, serve: Serve, record: Database, now: datetime) -> None:
    page.goto(serve(record))
    expect(page.locator("#overview-curve .bars path").first).to_be_attached()
    ranged = "() => document.querySelector('#overview-curve .js-plotly-plot').layout.xaxis.range"
    box = page.locator("#overview-curve .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 42, steps=5)
    page.mouse.up()
    page.wait_for_timeout(400)
    zoomed = page.evaluate(ranged)
    before = page.locator("#overview-strip .figure-value").first.inner_text()
    # Many: one that comes while one of yesterday's leaves would not move the count.
    feed.write(record, [feed.document(f"fresh-{i}", now, f"Granite bridge tolls doubled, {i}") for i in range(20)])
    expect(page.locator("#overview-strip .figure-value").first).not_to_have_text(before)
    page.wait_for_timeout(700)
    assert page.evaluate(ranged) == zoomed


def test_alert_is_acknowledged_commented_resolved_and_reopened(page: Page, serve: Serve, record: Database) -> None:
    page.goto(f"{serve(record)}/alert/{feed.ALERT}")
    note = page.locator("#alert-note")
    note.fill("looking <b>into</b> it")
    page.locator("#alert-acknowledge").click()
    expect(page.locator("#alert-head .state-acknowledged")).to_be_visible()
    expect(page.locator("#alert-history")).to_contain_text("looking <b>into</b> it")
    expect(note).to_have_value("")
    expect(page.locator("#alert-acknowledge")).to_be_hidden()
    page.locator("#alert-unacknowledge").click()
    expect(page.locator("#alert-head .state-open")).to_be_visible()
    page.locator("#alert-comment").click()
    expect(page.locator("#alert-message")).to_contain_text("empty")
    page.locator("#alert-resolve").click()
    expect(page.locator("#alert-head .state-resolved")).to_be_visible()
    page.locator("#alert-reopen").click()
    expect(page.locator("#alert-head .state-open")).to_be_visible()
    with record.transaction() as connection:
        done = connection.execute(text("SELECT actor, action FROM alert_events ORDER BY id")).all()
    assert [tuple(row) for row in done] == [
        ("detector", "open"),
        ("local", "acknowledge"),
        ("local", "unacknowledge"),
        ("local", "resolve"),
        ("local", "reopen"),
    ]


def test_step_that_came_too_late_is_refused_with_the_reason(page: Page, serve: Serve, record: Database) -> None:
    page.goto(f"{serve(record, BELLWETHER_DASHBOARD_REFRESH='600')}/alert/{feed.ALERT}")
    expect(page.locator("#alert-acknowledge")).to_be_visible()
    with record.transaction() as connection:
        connection.execute(text("UPDATE alerts SET state = 'acknowledged', acknowledged_by = 'Mei'"))
    page.locator("#alert-acknowledge").click()
    expect(page.locator("#alert-message")).to_contain_text("Mei has already acknowledged")


def test_search_in_chinese_marks_what_was_found_and_can_be_shared(
    page: Page, serve: Serve, record: Database, now: datetime
) -> None:
    feed.write(record, [feed.document("zh", now, "沧澜证券披露一项调查，股价承压。", lang="zh", label="negative")])
    address = serve(record)
    page.goto(f"{address}/explore")
    page.get_by_label("Search").fill("沧澜证券")
    expect(page.locator(".document")).to_have_count(1)
    expect(page.locator(".document mark")).to_have_text("沧澜证券")
    expect(page).to_have_url(re.compile(r"q=%E6%B2%A7"))
    shared = page.url
    page.goto(address)
    page.goto(shared)
    expect(page.locator(".document")).to_have_count(1)
    page.locator(".document button").click()
    expect(page.locator("#explore-panel")).to_contain_text("zh-small@1")
    expect(page).to_have_url(re.compile("doc="))
    page.get_by_text("Clear filters").click()
    expect(page.locator(".document")).to_have_count(40)
    expect(page.get_by_label("Search")).to_have_value("")


def test_sentiment_toward_each_company_is_shown_and_searched_for(
    page: Page, serve: Serve, record: Database, now: datetime
) -> None:
    words = "Kweichow Moutai wins the order that Tesla loses"
    toward = {"600519.SH": "positive", "TSLA": "negative"}
    feed.write(record, [feed.document("both", now, words, companies=sorted(toward), toward=toward)])
    address = serve(record)
    page.goto(f"{address}/explore?q=wins+the+order&company=TSLA&label=negative")
    expect(page.locator(".document .meta .chip")).to_have_text("Negative 86 %")
    expect(page.locator(".document .chips")).to_contain_text("Tesla · Negative")
    expect(page.locator(".document .chips")).to_contain_text("Kweichow Moutai · Positive")
    page.locator(".document button").click()
    rows = page.locator("#explore-panel .toward tr")
    expect(rows).to_have_text(["Kweichow MoutaiPositive 85 %", "TeslaNegative 86 %"])
    expect(page.locator("#explore-panel .score > .chips")).to_contain_text("Neutral")
    page.locator("#language").click()
    expect(page.locator("#explore-panel .toward h4")).to_have_text("对各公司的情绪")
    expect(rows).to_have_text(["贵州茅台正面 85 %", "特斯拉负面 86 %"])
    page.goto(f"{address}/explore?q=wins+the+order&company=600519.SH&label=negative")
    expect(page.locator("#explore-list .empty")).to_be_visible()


def test_labels_and_names_follow_the_language(page: Page, serve: Serve, record: Database) -> None:
    page.goto(serve(record))
    page.locator("#language").click()
    expect(page.locator("#nav")).to_contain_text("警报")
    expect(page.locator("#overview-company tbody tr").first).to_contain_text("特斯拉")
    expect(page.locator("#overview-topic tbody tr").first).to_contain_text("公司与产品")
    expect(page.locator(".alert-reason").first).to_contain_text("“特斯拉”相关的英文文档共 44 篇，其中负面 41 篇")


def test_empty_record_says_what_to_do_and_fills_by_itself(
    page: Page, serve: Serve, database: Database, now: datetime
) -> None:
    page.goto(serve(database))
    expect(page.locator("#overview-empty")).to_contain_text("bellwether consume")
    feed.write(database, [feed.document("first", now, "Granite bridge opens")])
    expect(page.locator("#overview-strip .figure-value").first).to_have_text("1")
    expect(page.locator("#overview-empty")).to_be_empty()
