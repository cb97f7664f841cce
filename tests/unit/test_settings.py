"""The settings tree: where values come from, what is refused, what is shown."""

from __future__ import annotations

import runpy
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.errors import SettingsError
from monitor.settings import Settings, keys, load, variable
from monitor.shown import masked, shown

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_later_place_wins_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "bellwether.toml").write_text('[kafka]\nbootstrap = "file:1"\ngroup = "file"\ntopics = ["a", "b"]\n')
    (tmp_path / "secret").write_text("from a file\n")
    loaded = load(
        {
            "BELLWETHER_KAFKA_GROUP": "environment",
            "BELLWETHER_KAFKA_PASSWORD": "environment",
            "BELLWETHER_KAFKA_PASSWORD_FILE": str(tmp_path / "secret"),
            "UNRELATED": "x",
        },
        {"batch.documents": "37"},
    )
    kafka = loaded.settings.kafka
    assert (kafka.bootstrap, kafka.group, kafka.topics) == ("file:1", "environment", ["a", "b"])
    assert kafka.password is not None and kafka.password.get_secret_value() == "from a file"
    assert loaded.settings.batch.documents == 37
    assert loaded.origins == {
        "kafka.bootstrap": "bellwether.toml",
        "kafka.topics": "bellwether.toml",
        "kafka.group": "environment BELLWETHER_KAFKA_GROUP",
        "kafka.password": f"file {tmp_path / 'secret'} (BELLWETHER_KAFKA_PASSWORD_FILE)",
        "batch.documents": "command line",
    }


def test_named_file_is_read_instead_of_the_one_here(tmp_path: Path) -> None:
    (tmp_path / "bellwether.toml").write_text('[kafka]\ngroup = "here"\n')
    (tmp_path / "other.toml").write_text('[kafka]\ngroup = "there"\n')
    assert load({"BELLWETHER_CONFIG": str(tmp_path / "other.toml")}).settings.kafka.group == "there"


@pytest.mark.parametrize(
    ("environment", "toml", "words"),
    [
        ({"BELLWETHER_KAFKA_BOOTSTRP": "x"}, "", ["BELLWETHER_KAFKA_BOOTSTRP", "did you mean kafka.bootstrap"]),
        ({}, "[kafka]\ngruop = 1\n", ["bellwether.toml", "kafka.gruop", "did you mean kafka.group"]),
        ({}, "group = 1\n", ["bellwether.toml", "group stands outside a section"]),
        ({}, "[kafka\n", ["bellwether.toml", "not readable as TOML"]),
        ({"BELLWETHER_CONFIG": "/no/such/file"}, "", ["BELLWETHER_CONFIG", "/no/such/file"]),
        ({"BELLWETHER_KAFKA_PASSWORD_FILE": "/no/such/file"}, "", ["KAFKA_PASSWORD_FILE", "/no/such/file"]),
        ({"BELLWETHER_BATCH_DOCUMENTS": "many"}, "", ["batch.documents", "BELLWETHER_BATCH_DOCUMENTS"]),
        ({"BELLWETHER_BATCH_DOCUMENTS": "0"}, "", ["batch.documents", "greater than or equal to 1"]),
        ({"BELLWETHER_DETECTION_LATENESS": "5 parsecs"}, "", ["detection.lateness", "write 200ms, 90s, 5m, 4h or 2d"]),
        ({"BELLWETHER_KAFKA_SECURITY": "TLS"}, "", ["kafka.security", "SASL_SSL"]),
    ],
)
def test_wrong_setting_is_one_line_that_names_it(
    environment: dict[str, str], toml: str, words: list[str], tmp_path: Path
) -> None:
    if toml:
        (tmp_path / "bellwether.toml").write_text(toml)
    with pytest.raises(SettingsError) as caught:
        load(environment)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_value_of_a_secret_is_not_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "bellwether.toml").write_text('[kafka]\npassword = ["hunter2"]\n')
    with pytest.raises(SettingsError) as caught:
        load({})
    assert "kafka.password" in str(caught.value) and "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("200ms", 0.2), ("90s", 90), ("5m", 300), ("4h", 14400), ("2d", 172800), ("7", 7), (" 1.5m ", 90)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    loaded = load({"BELLWETHER_DETECTION_LATENESS": text})
    assert loaded.settings.detection.lateness == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("secret", "visible"),
    [
        ("postgresql://monitor:hunter2@db:5432/record", "postgresql://monitor:***@db:5432/record"),
        ("postgresql://monitor:hunt@er2@db/record", "postgresql://monitor:***@db/record"),
        ("postgresql://monitor@db/record?password=hunter2", "postgresql://monitor@db/record?***"),
        ("postgresql://db/record?password=hunter2", "postgresql://db/record?***"),
        ("smtp://mail:25", "smtp://mail:25"),
        ("hunter2", "***"),
        ("host=db password=hunter2", "***"),
    ],
)
def test_secrets_are_masked(secret: str, visible: str) -> None:
    assert masked(secret) == visible


def test_every_shown_value_can_be_written_back() -> None:
    defaults = Settings()
    environment = {variable(name): value for name, value in shown(defaults).items() if value}
    assert len(environment) > 30
    assert load(environment).settings == load({}).settings


def test_page_of_settings_is_current() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_settings.py"))["page"]()
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == page, "run `python docs/make_settings.py`"
    for name in keys():
        assert f"`{name}`<br>`{variable(name)}`" in page


def test_example_file_loads_and_shows_only_settings_that_exist(tmp_path: Path) -> None:
    text = (ROOT / "bellwether.example.toml").read_text(encoding="utf-8")
    load({"BELLWETHER_CONFIG": str(ROOT / "bellwether.example.toml")})
    # Most of it is commented out: with the signs taken away it must load as well.
    lines = [
        line.removeprefix("#") if line.startswith("#") and not line.startswith("# ") else line
        for line in text.splitlines()
    ]
    opened = tmp_path / "opened.toml"
    opened.write_text("\n".join(lines))
    assert sum(map(len, tomllib.loads(opened.read_text()).values())) > 20
    load({"BELLWETHER_CONFIG": str(opened)})
