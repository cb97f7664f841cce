"""`bellwether doctor`: every check finds what is well and what is not, on real servers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from click.testing import CliRunner, Result

from monitor.commands.doctor import doctor, examine
from monitor.settings import Settings, keys, variable
from monitor.store.database import Database
from monitor.store.queries import users
from tests.broker import free_port


@pytest.fixture
def call(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Calls the command with settings in the environment, written `section_key="value"`."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **values: object) -> Result:
        given = {"data_dir": settings.data.dir, "kafka_bootstrap": f"127.0.0.1:{free_port()}", "kafka_timeout": 0.5}
        for name, value in (given | values).items():
            monkeypatch.setenv(variable(name.replace("_", ".", 1)), str(value))
        return CliRunner().invoke(doctor, list(arguments))

    return run


def checks(result: Result) -> dict[str, dict[str, str]]:
    return {check["check"]: check for check in json.loads(result.stdout)["checks"]}


def test_secrets_are_masked_and_origins_named(call: Callable[..., Result]) -> None:
    result = call("--all", kafka_password="hunter2", smtp_url=f"smtp://user:hunter2@127.0.0.1:{free_port()}")
    assert "hunter2" not in result.output
    assert "kafka.password" in result.output
    assert "(environment BELLWETHER_KAFKA_PASSWORD)" in result.output
    assert all(name in result.output for name in keys())


def test_only_changed_settings_are_shown_unless_asked(call: Callable[..., Result]) -> None:
    result = call(batch_documents=37)
    assert "batch.documents" in result.output and "= 37  (environment BELLWETHER_BATCH_DOCUMENTS)" in result.output
    assert "batch.ahead" not in result.output


def test_failed_check_is_one_line_and_status_1(call: Callable[..., Result]) -> None:
    result = call()
    assert result.exit_code == 1
    line = next(line for line in result.stdout.splitlines() if "kafka " in line and line.startswith("✗"))
    assert "BELLWETHER_KAFKA_BOOTSTRAP" in line


def test_unreachable_postgres_fails_alone(call: Callable[..., Result]) -> None:
    result = call("--json", database_url=f"postgresql://u:hunter2@127.0.0.1:{free_port()}/x")
    found = checks(result)
    assert found["postgres"]["result"] == "fail"
    assert "BELLWETHER_DATABASE_URL" in found["postgres"]["detail"]
    assert found["tables"]["result"] == found["dashboard"]["result"] == "skip"
    assert found["watch list"]["result"] == "ok"
    assert "hunter2" not in result.stdout


def test_missing_tables_are_named_with_the_command_that_makes_them(call: Callable[..., Result], schema: str) -> None:
    found = checks(call("--json", database_schema=schema))
    assert found["postgres"]["result"] == "ok"
    assert found["tables"]["result"] == "fail"
    assert "bellwether migrate" in found["tables"]["detail"]


def test_tables_that_are_current_are_well(call: Callable[..., Result], database: Database) -> None:
    assert checks(call("--json", database_schema=database.schema))["tables"]["result"] == "ok"


@pytest.mark.kafka
def test_topics_are_looked_for(
    call: Callable[..., Result], kafka_bootstrap: str, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(3)
    given = {"kafka_bootstrap": kafka_bootstrap, "kafka_timeout": 10}
    found = checks(call("--json", kafka_topics=topic, **given))
    assert (found["kafka"]["result"], f"{topic} (3 partitions)" in found["kafka"]["detail"]) == ("ok", True)
    found = checks(call("--json", kafka_topics=f"{topic},no-such-topic", **given))
    assert found["kafka"]["result"] == "fail"
    assert "no-such-topic" in found["kafka"]["detail"] and "BELLWETHER_KAFKA_TOPICS" in found["kafka"]["detail"]


def test_models_that_ship_are_whole(settings: Settings) -> None:
    found = {finding.check: finding for finding in examine(settings)}
    assert found["models"].result == "ok", found["models"].detail


def test_damaged_model_folder_is_named(call: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.json").write_text("{")
    found = checks(call("--json", engine_bundles=tmp_path / "bundle"))
    assert found["models"]["result"] == "fail"
    assert str(tmp_path / "bundle") in found["models"]["detail"]


def test_mail_server_is_greeted_but_gets_no_mail(call: Callable[..., Result]) -> None:
    controller = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        url = f"smtp://127.0.0.1:{controller.port}"
        assert checks(call("--json", smtp_url=url, smtp_to="a@example.org"))["e-mail"]["result"] == "ok"
        found = checks(call("--json", smtp_url=url, smtp_to=""))["e-mail"]
        assert (found["result"], "smtp.to" in found["detail"]) == ("fail", True)
    finally:
        controller.stop()
    found = checks(call("--json", smtp_url=url, smtp_to="a@example.org"))["e-mail"]
    assert (found["result"], "BELLWETHER_SMTP_URL" in found["detail"]) == ("fail", True)


def test_webhook_that_is_away_is_named(call: Callable[..., Result]) -> None:
    url = f"http://127.0.0.1:{free_port()}/hook"
    found = checks(call("--json", webhook_urls=url, webhook_allow_private="true"))["webhook"]
    assert found["result"] == "fail"
    assert checks(call("--json", webhook_urls=""))["webhook"] == {
        "check": "webhook",
        "result": "skip",
        "detail": "not set up",
    }


def test_open_dashboard_without_users_is_found(call: Callable[..., Result], database: Database) -> None:
    found = checks(call("--json", database_schema=database.schema))["dashboard"]
    assert (found["result"], "this machine only" in found["detail"]) == ("ok", True)
    found = checks(call("--json", database_schema=database.schema, dashboard_host="0.0.0.0"))["dashboard"]
    assert (found["result"], "bellwether users add" in found["detail"]) == ("fail", True)
    with database.transaction() as connection:
        users.add(connection, "ann", "x")
    found = checks(call("--json", database_schema=database.schema, dashboard_host="0.0.0.0"))["dashboard"]
    assert (found["result"], "1 user may log in" in found["detail"]) == ("ok", True)


def test_folder_that_cannot_be_written_is_named(call: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = checks(call("--json", data_dir=tmp_path / "file"))
    assert found["data folder"]["result"] == "fail"
    assert "BELLWETHER_DATA_DIR" in found["data folder"]["detail"]


def test_device_that_is_not_there_is_named(call: Callable[..., Result]) -> None:
    found = checks(call("--json", engine_device="cuda:77"))["device"]
    assert (found["result"], "BELLWETHER_ENGINE_DEVICE" in found["detail"]) == ("fail", True)
    assert checks(call("--json", engine_device="cpu"))["device"]["result"] == "ok"
