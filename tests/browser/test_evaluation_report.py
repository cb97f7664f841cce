"""The report of an evaluation in a real browser: readable in both themes, whole on a phone, nothing loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from monitor.understand.companies import Watchlist
from monitor.understand.topics import load_taxonomy
from monitor.understand.watchlist import Company
from tests.unit.scripted import by_words, scripted
from training.data.examples import Example
from training.evaluation.examination import Scope, examine
from training.evaluation.report import page as report

pytestmark = pytest.mark.browser

CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const light = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const linear = value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(value => linear(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  return Math.min(...[...document.querySelectorAll("h1, h2, h4, p, td, th, dt, dd, a, summary")].map(one => {
    const ink = light(getComputedStyle(one).color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  }));
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_report_is_readable_and_loads_nothing(page: Page, tmp_path: Path, theme: str) -> None:
    words = ["gains", "loses", "meets"]
    labels = ["positive", "negative", "neutral"]
    rows = [
        Example(
            f"Acme {words[n % 3]} {'very ' * (n % 9)}x{n}",
            "en",
            sentiment=labels[(n + n // 20) % 3],
            topics=("earnings",),
        )  # type: ignore[arg-type]
        for n in range(120)
    ]
    rows.append(Example("A link https://example.com/" + "long" * 60, "en", sentiment="negative"))
    found = examine(
        scripted(by_words, languages=("en", "zh")),
        {"exam.jsonl": rows},
        load_taxonomy(),
        Watchlist([Company("ACM", en="Acme"), Company("BLT", en="Bolt")]),
        scope=Scope(quick=True),
        against=scripted(by_words, version="0.9.0"),
    )
    file = tmp_path / "report.html"
    file.write_text(report(found, load_taxonomy()), encoding="utf-8")
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    page.goto(file.as_uri())
    assert loaded == [file.as_uri()]
    assert page.locator("svg.reliability circle").count() > 1
    assert page.locator("section").count() >= 6
    assert page.evaluate(CONTRAST) >= 4.5
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
