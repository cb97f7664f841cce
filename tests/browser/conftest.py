"""A real dashboard process on a record made by hand, and a real chromium in front of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from monitor.store.database import Database
from tests.browser import feed

_QUIET = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--no-first-run",
)
_WATCHED = """
[[company]]
symbol = "TSLA"
en = "Tesla"
zh = "特斯拉"
[[company]]
symbol = "600519.SH"
en = "Kweichow Moutai"
zh = "贵州茅台"
"""
Serve = Callable[..., str]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; where there is none the tests are skipped, in CI they fail."""
    path = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing (apt install chromium fonts-noto-cjk)")
        warnings.warn("BROWSER TESTS SKIPPED: chromium is missing (apt install chromium fonts-noto-cjk)", stacklevel=1)
        pytest.skip("chromium is missing (apt install chromium fonts-noto-cjk)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(_QUIET))
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh profile that fails the test when a script raises or the policy forbids something the page needs."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "console",
        lambda message: errors.append(message.text) if "Content Security Policy" in message.text else None,
    )
    yield opened
    context.close()
    assert not errors


@pytest.fixture
def serve(tmp_path: Path, postgres_folder: Path, database: Database) -> Iterator[Serve]:
    """Start `bellwether dashboard` on a record; answers its address. Keyword arguments are variables.

    The fixture `database` is asked for to be there longer: dashboards that still read tables while these are dropped
    may end in a deadlock.
    """
    watched = tmp_path / "watchlist.toml"
    watched.write_text(_WATCHED, encoding="utf-8")
    started: list[subprocess.Popen[str]] = []

    def start(database: Database, *arguments: str, **variables: str) -> str:
        environment = os.environ | {
            "BELLWETHER_DATA_DIR": str(postgres_folder),
            "BELLWETHER_DATABASE_SCHEMA": database.schema,
            "BELLWETHER_DASHBOARD_REFRESH": "0.3",
            "BELLWETHER_ENGINE_WATCHLIST": str(watched),
            "OMP_NUM_THREADS": "1",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "monitor.cli", "dashboard", "--port", "0", *arguments],
            env=environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert line.startswith("dashboard: http://"), line + process.stderr.read()
        # What it logs must not fill the pipe and stop it.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        return line.split()[1].rstrip("/")

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.wait(timeout=20)


@pytest.fixture
def now() -> datetime:
    """The time the record is made at."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def record(database: Database, now: datetime) -> Database:
    """Two days of talk, a crisis, an alert and the odd documents."""
    feed.write(database, feed.talk(now, days=2))
    feed.write(database, feed.oddities(now))
    feed.raise_alert(database, now.replace(second=0))
    return database
