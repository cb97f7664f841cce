"""The commands and checks of docker-compose.yml run by hand: without containers, but on real servers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import text

from monitor.settings import Settings
from monitor.store import positions
from monitor.store.database import Database
from monitor.store.leader import Leadership
from tests.broker import Broker, free_port

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


@pytest.fixture
def environment(settings: Settings, schema: str, tmp_path: Path) -> dict[str, str]:
    """A service's way to its settings: the database's address comes in a file."""
    secret = tmp_path / "database_url"
    secret.write_text(Database(settings).engine.url.render_as_string(hide_password=False).replace("+psycopg2", ""))
    return {"BELLWETHER_DATABASE_URL_FILE": str(secret), "BELLWETHER_DATABASE_SCHEMA": schema, "HOME": str(tmp_path)}


def run(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )


def health(environment: dict[str, str], service: str) -> subprocess.CompletedProcess[str]:
    return run(environment, "docker/health.py", service)


def test_migrate_makes_the_tables_and_may_be_run_again(
    environment: dict[str, str], settings: Settings, schema: str
) -> None:
    for _ in range(2):
        done = run(environment, "-m", "monitor.cli", *SERVICES["migrate"]["command"])
        assert done.returncode == 0, done.stderr
    database = Database(settings, schema)
    with database.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM documents")).scalar() == 0
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    database.close()


def test_consumer_is_well_while_it_reads(environment: dict[str, str], database: Database) -> None:
    found = health(environment, "consumer")
    assert (found.returncode, found.stderr.strip()) == (1, "nothing was read yet")
    with database.transaction() as connection:
        positions.register(connection, "bellwether", [("news", 0)])
        positions.mark_caught_up(connection, "bellwether", {("news", 0): None})
    assert health(environment, "consumer").returncode == 0
    with database.transaction() as connection:
        connection.execute(text("UPDATE positions SET caught_up_at = now() - interval '10 minutes'"))
    found = health(environment, "consumer")
    assert found.returncode == 1
    assert found.stderr.startswith("nothing was read for 60")


def test_scheduler_is_well_while_one_leads(environment: dict[str, str], database: Database) -> None:
    assert health(environment, "scheduler").returncode == 1
    leadership = Leadership(Database(database.settings, database.schema))
    assert leadership.held()
    assert health(environment, "scheduler").returncode == 0
    leadership.resign()


def test_dashboard_that_does_not_answer_is_not_well(environment: dict[str, str]) -> None:
    port = free_port()
    found = health(environment | {"BELLWETHER_DASHBOARD_PORT": str(port)}, "dashboard")
    assert found.returncode == 1
    assert f"http://127.0.0.1:{port}/healthz" in found.stderr


def test_health_check_of_an_unreachable_database_is_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "database_url").write_text(f"postgresql://bellwether@127.0.0.1:{free_port()}/bellwether")
    found = health(environment, "consumer")
    assert found.returncode == 1
    assert "database.url" in found.stderr and len(found.stderr.strip().splitlines()) == 1


@pytest.mark.kafka
def test_settings_of_the_kafka_service_start_a_broker(private_broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image turns KAFKA_SOME_NAME into some.name; we do the same, on ports and in a folder of the test's own."""
    ports = {name: free_port() for name in ("19092", "9092", "9093")}
    properties = {
        re.sub("^KAFKA_", "", name).lower().replace("_", "."): str(value)
        for name, value in SERVICES["kafka"]["environment"].items()
        if name != "CLUSTER_ID"
    }
    del properties["log.dirs"]
    for name in properties:
        for port, free in ports.items():
            properties[name] = re.sub(rf"\b{port}\b", str(free), properties[name])
        properties[name] = re.sub(r"(//|@)kafka:", r"\g<1>127.0.0.1:", properties[name])
    from kafka import KafkaConsumer

    monkeypatch.setattr("tests.broker.CLUSTER_ID", SERVICES["kafka"]["environment"]["CLUSTER_ID"])
    usual = Broker._properties
    monkeypatch.setattr(Broker, "_properties", lambda self: usual(self) | properties)
    with Broker(ports["9092"]):
        for port in (ports["9092"], ports["19092"]):
            consumer = KafkaConsumer(bootstrap_servers=f"127.0.0.1:{port}", bootstrap_timeout_ms=20_000)
            assert consumer.topics() == set()
            consumer.close()
