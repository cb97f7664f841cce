"""docker-compose.yml and the Dockerfile, as far as they can be checked without a container engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from monitor.cli import COMMANDS
from monitor.settings import PREFIX, keys, load, variable

ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if str(service["image"]).startswith("bellwether"))
FOREIGN = sorted(SERVICES.keys() - set(OURS))


def interpolated(value: str) -> str:
    """`${NAME:-default}` as Compose reads it where NAME is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def test_file_follows_the_compose_specification() -> None:
    source = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(source.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(COMPOSE)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(COMPOSE | {"services": {"kafka": {"imagine": "apache/kafka"}}})


def test_every_service_of_the_plan_is_there() -> None:
    assert {"migrate", "consumer", "consumer-gpu", "scheduler", "dashboard"} == set(OURS)
    assert {"kafka", "topics", "postgres", "mailpit"} == set(FOREIGN)
    assert SERVICES["consumer-gpu"]["profiles"] == ["gpu"]
    assert not any("profiles" in service for name, service in SERVICES.items() if name != "consumer-gpu")


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str) -> None:
    known = {variable(key) for key in keys()} | {variable(key) + "_FILE" for key in keys()}
    ours = {key for key in SERVICES[name]["environment"] if key.startswith(PREFIX)}
    assert ours and ours <= known, ours - known


@pytest.mark.parametrize("name", OURS)
def test_settings_of_a_service_load(name: str, tmp_path: Path) -> None:
    environment = _environment(name, tmp_path)
    settings = load(environment).settings
    assert settings.kafka.bootstrap == "kafka:19092"
    assert settings.dashboard.port == 8050
    assert settings.smtp.to == ["analysts@example.org"]
    assert settings.webhook.urls == []
    assert settings.database.url is not None
    assert settings.database.url.get_secret_value().endswith("@postgres:5432/bellwether")


@pytest.mark.parametrize("name", OURS)
def test_command_of_a_service_exists(name: str) -> None:
    command = SERVICES[name]["command"]
    assert command[0] in COMMANDS
    done = subprocess.run([sys.executable, "-m", "monitor.cli", *command, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_a_service_waits_for_can_come_true(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        health = SERVICES[other].get("healthcheck", {})
        if how["condition"] == "service_healthy":
            assert health and not health.get("disable"), f"{name} waits for {other}, which has no health check"
        else:
            assert how["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "on-failure", f"{other} would be started again and again"


def test_every_long_running_service_restarts_and_is_watched() -> None:
    for name in SERVICES.keys() - {"migrate", "topics"}:
        assert SERVICES[name]["restart"] == "unless-stopped"
        # The dashboard's check is the image's own.
        assert name == "dashboard" or SERVICES[name]["healthcheck"]["test"]
    assert 'health.py", "dashboard"' in (ROOT / "Dockerfile").read_text()


def test_secrets_and_volumes_are_declared_and_used() -> None:
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == COMPOSE["secrets"].keys()
    volumes = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert volumes == COMPOSE["volumes"].keys()
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if str(value).startswith("/run/secrets/"):
                assert key.endswith("_FILE")
                assert str(value).removeprefix("/run/secrets/") in service["secrets"]


def test_ports_are_open_to_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports)


def test_secrets_are_made_once_and_fit_each_other(tmp_path: Path) -> None:
    folder = _secrets(tmp_path)
    password = (folder / "postgres_password").read_text()
    assert re.fullmatch(r"[0-9a-f]{48}", password)
    assert f":{password}@" in (folder / "database_url").read_text()
    assert (folder.stat().st_mode & 0o777) == 0o700
    _secrets(tmp_path)
    assert (folder / "postgres_password").read_text() == password


def test_image_is_built_from_files_that_exist_and_are_not_ignored() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    assert len(sources) >= 8
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source in allowed, source


def test_image_and_lock_pin_the_same_torch() -> None:
    assert "torch==2.13.0" in (ROOT / "requirements.lock").read_text().splitlines()
    assert "-c /src/requirements.lock" in (ROOT / "Dockerfile").read_text()


def _secrets(folder: Path) -> Path:
    """Run the real script on a copy of its folder."""
    script = folder / "make-secrets.sh"
    script.write_bytes((ROOT / "docker" / "make-secrets.sh").read_bytes())
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    return folder / "secrets"


def _environment(name: str, folder: Path) -> dict[str, str]:
    secrets = _secrets(folder)
    return {
        key: interpolated(str(value)).replace("/run/secrets", str(secrets))
        for key, value in SERVICES[name]["environment"].items()
    } | {"PATH": os.environ["PATH"]}
