"""What an analyst does to correct the models: labelling on the pages."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from monitor.store.database import Database
from monitor.store.queries import labels
from tests.browser import feed
from tests.browser.conftest import Serve
from tests.unit.models import make_toward_bundle

pytestmark = pytest.mark.browser


def key(database: Database, id: str, now: datetime) -> str:
    return str(feed.document(id, now, "").received.content.key)  # type: ignore[union-attr]


@pytest.fixture
def two(database: Database, now: datetime) -> Database:
    """A document on two companies and one in Chinese on none."""
    feed.write(
        database,
        [
            feed.document(
                "both", now, "Tesla gains as Apple warns", companies=["TSLA", "AAPL"], topics=["macro", "earnings"]
            ),
            feed.document("zh", now, "制造业订单略有下滑", lang="zh"),
        ],
    )
    return database


def given(database: Database) -> dict[tuple[str, str], tuple[str | None, tuple[str, ...] | None]]:
    with database.transaction() as connection:
        return {(one.actor, one.company): (one.sentiment, one.topics) for one in labels.listed(connection)}


def test_sentiment_topics_and_companies_are_labelled_and_taken_back(
    page: Page, serve: Serve, two: Database, now: datetime
) -> None:
    address = f"{serve(two)}/explore?doc={key(two, 'both', now)}"
    page.goto(address)
    form = page.locator(".labelling")
    form.get_by_role("button", name="Sentiment: Negative", exact=True).click()
    expect(form.locator("#label-message")).to_have_text("Saved. Thank you.")
    expect(form.locator("#label-said li")).to_contain_text("local")
    expect(form.locator(".pressed")).to_have_text(["Negative"])
    form.get_by_role("button", name="toward Tesla: Positive").click()
    expect(form.locator(".pressed")).to_have_text(["Negative", "Positive"])
    form.get_by_role("button", name="Sentiment: Neutral", exact=True).click()
    expect(form.locator(".pressed")).to_have_text(["Neutral", "Positive"])
    expect(form.get_by_role("button", pressed=True)).to_have_count(2)
    # The topics stand as the model gave them until they are saved.
    assert given(two) == {("local", ""): ("neutral", None), ("local", "TSLA"): ("positive", None)}
    form.locator("#label-topics-save").click()
    expect(form.locator("#label-said .topic")).to_have_count(2)
    assert given(two)["local", ""] == ("neutral", ("earnings", "macro"))
    page.goto(address)
    expect(form.locator(".pressed")).to_have_text(["Neutral", "Positive", "Save topics"])
    form.locator("#label-withdraw").click()
    expect(form.locator("#label-said li")).to_have_count(0)
    expect(form.locator("#label-withdraw")).to_be_hidden()
    assert given(two) == {}


def test_form_is_used_with_the_keyboard_alone_and_keeps_the_focus(
    page: Page, serve: Serve, two: Database, now: datetime
) -> None:
    page.goto(f"{serve(two)}/explore?doc={key(two, 'zh', now)}")
    form = page.locator(".labelling")
    expect(form.locator(".label-buttons")).to_have_count(1)
    page.locator(".labelling button").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(form.locator(".pressed")).to_have_text(["Positive"])
    focused = "() => document.activeElement.textContent"
    assert page.evaluate(focused) == "Positive"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    expect(form.locator(".pressed")).to_have_text(["Neutral"])
    assert page.evaluate(focused) == "Neutral"


def test_topics_are_chosen_from_the_taxonomy_by_name(page: Page, serve: Serve, two: Database, now: datetime) -> None:
    page.goto(f"{serve(two)}/explore?doc={key(two, 'zh', now)}")
    page.locator("#label-topics").click()
    page.get_by_placeholder("Search").last.fill("Dividends")
    page.locator(".dash-dropdown-option").first.click()
    page.keyboard.press("Escape")
    page.locator("#label-topics-save").click()
    expect(page.locator("#label-message")).to_have_text("Saved. Thank you.")
    assert given(two)["local", ""] == (None, ("dividend", "macro"))


def test_others_labels_are_shown_and_stay(page: Page, serve: Serve, two: Database, now: datetime) -> None:
    from uuid import UUID

    with two.transaction() as connection:
        labels.give(connection, UUID(key(two, "zh", now)), "Mei", sentiment="negative", topics=[], note="<b>单</b>")
    page.context.add_cookies([{"name": "bellwether_lang", "value": "zh", "url": (address := serve(two))}])
    page.goto(f"{address}/explore?doc={key(two, 'zh', now)}")
    said = page.locator("#label-said li")
    expect(said).to_contain_text("Mei")
    expect(said).to_contain_text("无合适主题")
    expect(said).to_contain_text("<b>单</b>")
    expect(page.locator("#label-withdraw")).to_be_hidden()
    page.get_by_role("button", name="情绪: 正面").click()
    expect(page.locator("#label-message")).to_have_text("已保存，谢谢。")
    page.locator("#label-withdraw").click()
    expect(said).to_have_count(1)
    assert list(given(two)) == [("Mei", "")]


def test_document_that_is_gone_says_so(page: Page, serve: Serve, two: Database, now: datetime) -> None:
    page.goto(f"{serve(two)}/explore?doc={key(two, 'zh', now)}")
    expect(page.locator(".label-buttons")).to_be_visible()
    with two.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM documents; DELETE FROM identities")
    page.locator(".label-buttons button").first.click()
    expect(page.locator("#label-message")).to_contain_text("no longer in the record")
    assert given(two) == {}


def test_list_of_what_to_label_leads_from_one_to_the_next(
    page: Page, serve: Serve, record: Database, now: datetime
) -> None:
    address = serve(record)
    page.goto(f"{address}/explore")
    page.get_by_role("link", name="To label").click()
    expect(page.locator(".document")).to_have_count(20)
    expect(page.locator("#explore-count")).to_contain_text("20 documents worth a label")
    expect(page.locator(".document .chip", has_text="behind an alert").first).to_be_visible()
    expect(page.get_by_label("Search")).to_be_hidden()
    page.locator(".document button").first.click()
    page.get_by_role("button", name="Sentiment: Negative", exact=True).click()
    expect(page.locator("#label-message")).to_have_text("Saved. Thank you.")
    first = page.locator(".document").first.inner_text()
    # News does not move the list; asked for again it is another one.
    feed.write(record, [feed.document("fresh", now, "Granite bridge tolls doubled overnight")])
    page.wait_for_timeout(1000)
    assert page.locator(".document").first.inner_text() == first
    page.goto(page.url.split("&doc")[0])
    expect(page.locator(".document")).to_have_count(20)
    assert first not in page.locator(".document").all_inner_texts()
    page.get_by_text("Clear filters").click()
    expect(page.locator(".document")).to_have_count(40)


def test_words_behind_a_sentiment_are_shown_when_asked(
    page: Page, serve: Serve, database: Database, now: datetime, tmp_path: Path
) -> None:
    feed.write(database, [feed.document("why", now, "At noon [this company] falls <b>again</b>", label="negative")])
    bundle = make_toward_bundle(tmp_path / "bundle")
    page.goto(f"{serve(database, BELLWETHER_ENGINE_BUNDLES=str(bundle))}/explore?doc={key(database, 'why', now)}")
    page.get_by_role("button", name="Why Negative?").click()
    expect(page.locator("#why-wait")).to_be_visible()
    expect(page.locator(".why-text .speaks", has_text="falls")).to_be_visible(timeout=60_000)
    expect(page.locator("#why-wait")).to_be_hidden()
    expect(page.locator(".why-text")).to_have_text("At noon [this company] falls <b>again</b>")
    expect(page.locator("#why-answer .hint")).to_contain_text("pointer@1")
    page.get_by_role("button", name="Why Macroeconomy?").click()
    expect(page.locator("#why-answer .hint")).to_contain_text("Macroeconomy 99 %", timeout=60_000)


def test_explanation_that_cannot_be_had_says_why(
    page: Page, serve: Serve, two: Database, now: datetime, tmp_path: Path
) -> None:
    bundle = make_toward_bundle(tmp_path / "bundle")  # reads English only
    page.goto(f"{serve(two, BELLWETHER_ENGINE_BUNDLES=str(bundle))}/explore?doc={key(two, 'zh', now)}")
    page.get_by_role("button", name="Why Neutral?").click()
    expect(page.locator("#why-answer")).to_contain_text("no model reads 'zh'", timeout=60_000)
