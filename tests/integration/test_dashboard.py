"""The dashboard's server without a browser: headers, exports, who is let in, what it loads."""

from __future__ import annotations

import csv
import io
import json
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.security import generate_password_hash

from dashboard.export import harmless
from dashboard.key import session_key
from dashboard.names import Names
from dashboard.search import meant
from dashboard.server import create_app, serve
from monitor.errors import SettingsError
from monitor.settings import Settings
from monitor.store.database import Database
from monitor.store.queries import curves, documents, users
from monitor.understand.topics import load_taxonomy
from tests.browser import feed

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)


@pytest.fixture
def watched(make_settings: Callable[..., Settings], tmp_path: Path) -> Settings:
    path = tmp_path / "watchlist.toml"
    path.write_text('[[company]]\nsymbol = "TSLA"\nen = "Tesla"\n', encoding="utf-8")
    return make_settings(engine_watchlist=path)


@pytest.fixture
def client(watched: Settings, database: Database) -> Iterator[FlaskClient]:
    feed.write(database, feed.oddities(NOW))
    yield create_app(watched, database, host="127.0.0.1").server.test_client()


def rows(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))


def test_export_cannot_carry_formulas_and_opens_as_utf8(client: FlaskClient) -> None:
    answer = client.get("/export.csv")
    assert answer.data.startswith(b"\xef\xbb\xbf") and answer.mimetype == "text/csv"
    found = {row["id"]: row for row in rows(answer.data)}
    assert found["formula"]["text"] == '\'=HYPERLINK("http://x","y")'
    assert found["formula"]["title"] == "'@SUM(A1)"
    assert found["formula"]["source"] == "'+forum"
    assert found["other"]["text"].startswith("Ceny akcji spadły") and found["other"]["label"] == "unscored"
    for row in found.values():
        assert not any(str(cell).startswith(tuple("=+-@\t\r")) for cell in row.values())


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\tx", "\rx", " =1", "\n=1", "＝1"])
def test_dangerous_cell_is_quoted(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"


def test_export_follows_the_filter(client: FlaskClient) -> None:
    assert [row["id"] for row in rows(client.get("/export.csv?lang=pl").data)] == ["other"]
    assert [row["id"] for row in rows(client.get("/export.csv?q=100_000").data)] == ["other"]
    assert rows(client.get("/export.csv?q=1000000").data) == []
    assert client.get("/export.csv?from=yesterday").status_code == 400
    assert client.get("/export.csv?q=%00%27%22%5C").status_code == 200


def test_every_answer_carries_the_security_headers(client: FlaskClient) -> None:
    for path in ("/", "/healthz", "/export.csv", "/nothing/here"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy
        assert "unsafe-inline" not in policy.split("style-src")[0]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"


def test_request_that_another_site_caused_is_refused(client: FlaskClient) -> None:
    sent = {"json": {}, "headers": {"Origin": "https://evil.example"}}
    assert client.post("/_dash-update-component", **sent).status_code == 403
    assert client.post("/_dash-update-component", json={}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_open_dashboard_answers_only_to_names_of_this_machine(client: FlaskClient) -> None:
    assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 403
    assert client.get("/healthz", headers={"Host": "127.0.0.1:8050"}).status_code == 200
    assert client.get("/healthz", headers={"Host": "[::1]:8050"}).status_code == 200


def test_nothing_but_the_login_page_is_open_to_strangers(watched: Settings, database: Database) -> None:
    client = create_app(watched, database, host="0.0.0.0").server.test_client()
    assert client.get("/", headers={"Accept": "text/html"}).location == "/login"
    for path in ("/export.csv", "/_dash-layout", "/_dash-dependencies"):
        assert client.get(path, headers={"Accept": "*/*"}).status_code in {302, 401}
    assert client.post("/_dash-update-component", json={}).status_code == 401
    assert client.get("/healthz").status_code == 200
    with database.transaction() as connection:
        users.add(connection, "Mei", generate_password_hash("correct horse"))
    form = {"name": "Mei", "password": "correct horse"}
    assert client.post("/login", data=form).status_code == 400
    page = client.get("/login?next=//evil.example").get_data(as_text=True)
    token = page.split('name="csrf" value="')[1].split('"')[0]
    answer = client.post("/login", data=form | {"csrf": token, "next": "//evil.example"})
    assert (answer.status_code, answer.location) == (302, "/")
    assert client.get("/", headers={"Accept": "text/html"}).status_code == 200
    with database.transaction() as connection:
        users.set_password(connection, "Mei", generate_password_hash("another one"))
    assert create_app(watched, database, host="0.0.0.0").server.test_client().get("/export.csv").status_code != 200


def test_dashboard_for_others_does_not_start_without_users(watched: Settings, database: Database) -> None:
    with pytest.raises(SettingsError, match="bellwether users add NAME"):
        serve(watched, database, host="0.0.0.0", port=0)


def test_taken_port_is_named(watched: Settings, database: Database) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SettingsError, match="BELLWETHER_DASHBOARD_PORT"):
            serve(watched, database, host="127.0.0.1", port=taken.getsockname()[1])


def test_session_key_is_made_once_and_private(tmp_path: Path) -> None:
    key = session_key(tmp_path / "new")
    assert session_key(tmp_path / "new") == key and len(key) == 32
    assert stat.S_IMODE((tmp_path / "new" / "dashboard.key").stat().st_mode) == 0o600
    (tmp_path / "new" / "dashboard.key").write_bytes(b"short")
    with pytest.raises(SettingsError, match="delete it"):
        session_key(tmp_path / "new")


def test_dashboard_loads_no_model_library() -> None:
    script = (
        "import sys, json, dashboard.server, dashboard.command\n"
        "print(json.dumps([name for name in sys.modules if name.split('.')[0] in "
        "('torch', 'transformers', 'training', 'kafka', 'sklearn', 'scipy')]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == []


def test_pages_of_documents_follow_each_other_without_gap(database: Database) -> None:
    same = [feed.document(f"d{i}", NOW, f"text {i}") for i in range(25)]
    feed.write(database, same)
    with database.transaction() as connection:
        wanted = documents.Filter()
        whole = documents.page(connection, wanted, limit=100)
        assert [found.id for found in documents.every(connection, wanted, at_most=100, step=7)] == [f.id for f in whole]
        assert len(whole) == 25 and documents.count(connection, wanted, at_most=10) == 10


def test_parent_topic_means_the_topics_below_it(database: Database) -> None:
    feed.write(database, [feed.document("a", NOW, "x", topics=["earnings"]), feed.document("b", NOW, "y")])
    wanted = meant({"topic": "corporate"}, Names(load_taxonomy()), None)
    with database.transaction() as connection:
        assert [found.id for found in documents.page(connection, wanted, limit=10)] == ["a"]


def test_curve_and_ranking_add_up_to_the_documents(database: Database) -> None:
    feed.write(database, feed.talk(NOW, days=2, a_day=50))
    with database.transaction() as connection:
        first, last = curves.extent(connection) or (NOW, NOW)
        window = curves.Window(first, last + (last - first))
        stored = connection.execute(text("SELECT count(*) FROM documents")).scalar()
        curve = curves.curve(connection, window, (last - first) / 7)
        assert sum(cell.total for cell in curve.values()) == stored == curves.total(connection, window).total
        tesla = next(item for item in curves.ranked(connection, window, "company") if item.id == "TSLA")
        held = connection.execute(text("SELECT count(*) FROM documents WHERE 'TSLA' = ANY(companies)")).scalar()
        assert tesla.now.total == held


def test_revision_changes_with_documents_and_alerts(database: Database) -> None:
    def revision() -> str:
        with database.transaction() as connection:
            return curves.revision(connection)

    seen = [revision()]
    feed.write(database, [feed.document("a", NOW, "x")])
    seen.append(revision())
    feed.raise_alert(database, NOW)
    seen.append(revision())
    assert len(set(seen)) == 3 and revision() == seen[-1]
