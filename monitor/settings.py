"""The one configuration tree: `bellwether.toml`, then the environment, then files that hold secrets.

A key `section.key` is read, the later winning, from

1. `bellwether.toml` (in the working directory, or the file `BELLWETHER_CONFIG` names),
2. the environment variable `BELLWETHER_SECTION_KEY`,
3. the file named by `BELLWETHER_SECTION_KEY_FILE` (for secrets mounted as files).

Nothing else in the project reads the environment.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from monitor.errors import SettingsError

PREFIX = "BELLWETHER_"
CONFIG_VARIABLE = "BELLWETHER_CONFIG"
# Variables of our prefix that belong to the tests or to the loader, not to the tree.
FOREIGN = {CONFIG_VARIABLE, "BELLWETHER_TEST_BOOTSTRAP", "BELLWETHER_TEST_DATABASE"}


UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
"""Seconds in each unit that a duration may be written in."""


def _duration(value: Any) -> Any:
    """Read 200ms, 90s, 5m, 4h or 2d; a plain number is seconds."""
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*", value)
        if not found:
            raise ValueError(f"{value!r} is no duration; write 200ms, 90s, 5m, 4h or 2d")
        return timedelta(seconds=float(found[1]) * UNITS[found[2] or "s"])
    return value


def _listed(value: Any) -> Any:
    """Read a list, also from one text with commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Texts = Annotated[list[str], BeforeValidator(_listed)]
Paths = Annotated[list[Path], BeforeValidator(_listed)]


class Section(BaseModel):
    """A section of the tree; an unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class DataSettings(Section):
    """Where the program keeps what it makes."""

    dir: Path = Field(Path("~/.local/share/bellwether"), description="folder of the embedded Postgres, caches and keys")

    @field_validator("dir")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser().absolute()


class DatabaseSettings(Section):
    """The Postgres that holds the record."""

    url: SecretStr | None = Field(None, description="postgresql://user:password@host/db; empty: the embedded Postgres")
    schema_name: str = Field(
        "bellwether",
        alias="schema",
        pattern=r"^[a-z][a-z0-9_]{0,50}$",
        description="schema of the live record",
    )
    pool: int = Field(5, ge=1, le=100, description="connections a process keeps at most")

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class KafkaSettings(Section):
    """The broker, the topics and the consumer group."""

    bootstrap: str = Field("localhost:9092", description="host:port, several separated by commas")
    topics: Texts = Field(["news", "comments"], description="topics to read, separated by commas")
    group: str = Field("bellwether", description="consumer group")
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="security protocol"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI"] | None = Field(
        None, description="SASL mechanism"
    )
    username: str | None = Field(None, description="SASL user")
    password: SecretStr | None = Field(None, description="SASL password")
    ca_file: Path | None = Field(None, description="certificate authority to trust (PEM)")
    cert_file: Path | None = Field(None, description="client certificate (PEM)")
    key_file: Path | None = Field(None, description="client key (PEM)")
    timeout: float = Field(10.0, gt=0, le=300, description="seconds to wait for the broker at start")
    session_timeout: float = Field(
        15.0, ge=6, le=300, description="seconds after which a silent consumer loses its partitions"
    )


class SourcesSettings(Section):
    """What a message may be."""

    max_bytes: int = Field(1_000_000, ge=1_000, le=50_000_000, description="bytes of one message at most")
    max_future: Duration = Field(timedelta(minutes=10), description="how far published_at may lie ahead of the clock")
    earliest: AwareDatetime = Field(
        datetime.fromisoformat("1990-01-01T00:00:00+00:00"), description="published_at before this is absurd"
    )
    keep_raw: int = Field(4_096, ge=0, le=1_000_000, description="bytes of a rejected message that are kept")


class BatchSettings(Section):
    """How many documents one transaction takes."""

    documents: int = Field(500, ge=1, le=20_000, description="documents a batch at most")
    ahead: int = Field(3, ge=1, le=100, description="batches read ahead before partitions are paused")


class EngineSettings(Section):
    """How the models are run."""

    bundles: Paths = Field(
        default_factory=list,
        description="model folders; empty: the registry's champions, then those that ship",
    )
    model: Literal["full", "fast"] = Field(
        "full",
        description="of the models that ship: full, or fast for small students of them where there are some (English)",
    )
    models: Path | None = Field(
        None, description="folder of the registry's models, the same for every process; empty: models in data.dir"
    )
    reload_every: Duration = Field(
        timedelta(seconds=15),
        ge=timedelta(milliseconds=100),
        description="how often consumers look whether the registry has another champion",
    )
    exam: Paths = Field(
        default_factory=list,
        description="labelled files a candidate must pass; empty: those of the language's last promotion",
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N")
    threads: int = Field(0, ge=0, le=256, description="CPU threads; 0: as many as there are cores")
    runtime: Literal["auto", "openvino", "torch"] = Field(
        "auto",
        description="what computes on a CPU: openvino (8 bits), torch (float32), or auto, the first that can be used",
    )
    graphs: Path | None = Field(
        None, description="folder of models made ready for this processor; empty: graphs in data.dir"
    )
    cache: int = Field(
        100_000,
        ge=0,
        le=100_000_000,
        description="texts whose scores a process remembers, so that copies are not computed again; 0: none",
    )
    tokens: int = Field(0, ge=0, le=1_000_000, description="tokens of one forward pass on a GPU at most; 0: chosen")
    toward: int = Field(
        8,
        ge=0,
        le=100,
        description="a text on two to this many companies is scored toward each; on more, as a whole for all",
    )
    watchlist: Path | None = Field(None, description="companies to watch (TOML); empty: the list that ships")
    topics: Path | None = Field(None, description="the taxonomy (TOML); empty: the one that ships")


class DetectionSettings(Section):
    """What counts as a surge. Times are event time."""

    lateness: Duration = Field(timedelta(minutes=5), description="how long a minute stays open for stragglers")
    idle_after: Duration = Field(
        timedelta(minutes=1), description="a partition silent this long no longer holds the watermark back"
    )
    history_days: int = Field(28, ge=2, le=365, description="days of the past a baseline is learned from")
    fdr: float = Field(0.01, gt=0, lt=0.5, description="false discoveries accepted among the surges of one tick")
    min_negative: int = Field(5, ge=1, description="negative documents a window must hold at least")
    min_lift: float = Field(2.0, ge=1, description="observed over expected at least")
    min_stories: int = Field(3, ge=1, description="distinct stories a window must hold at least")
    min_history: Duration = Field(timedelta(days=2), description="a younger record raises nothing")
    resolve_after: Duration = Field(timedelta(minutes=15), description="calm this long resolves an alert")


class AlertsSettings(Section):
    """Grouping and repeating of notifications, with Alertmanager's words and defaults."""

    public_url: str | None = Field(None, description="address of the dashboard that goes into notifications")
    resend_after: Duration = Field(timedelta(hours=4), description="an alert still open is told again after this")
    send_resolved: bool = Field(True, description="tell when an alert is over")
    max_attempts: int = Field(
        12, ge=1, le=100, description="delivery attempts before a notification is put aside as dead"
    )


class SmtpSettings(Section):
    """Alert e-mails."""

    url: SecretStr | None = Field(
        None, description="smtp://user:password@host:587 (STARTTLS) or smtps://…:465; empty: no e-mail"
    )
    sender: str = Field("bellwether@localhost", description="From address")
    to: Texts = Field(default_factory=list, description="recipients, separated by commas")
    timeout: float = Field(20.0, gt=0, le=300, description="seconds")
    starttls: Literal["auto", "require", "never"] = Field(
        "auto", description="auto: use it when offered; required when a password is sent"
    )
    ca_file: Path | None = Field(None, description="certificate authority to trust (PEM); empty: the system's")


class WebhookSettings(Section):
    """Alert webhooks (Alertmanager's version-4 JSON, signed)."""

    urls: Texts = Field(default_factory=list, description="receivers, separated by commas")
    secret: SecretStr | None = Field(None, description="key of the HMAC-SHA256 signature")
    timeout: float = Field(10.0, gt=0, le=120, description="seconds")
    allow_private: bool = Field(False, description="allow receivers on loopback and private addresses")
    ca_file: Path | None = Field(None, description="certificate authority to trust (PEM); empty: the system's")


class DashboardSettings(Section):
    """The web pages."""

    host: str = Field("127.0.0.1", description="address to listen on; anything but loopback asks for a login")
    port: int = Field(8050, ge=0, le=65535, description="port; 0: any free one")
    refresh: float = Field(2.0, ge=0.2, le=3600, description="seconds between looks for something new")
    session_hours: float = Field(12.0, gt=0, le=24 * 30, description="hours a login lasts")
    secure_cookie: bool = Field(False, description="send the session cookie over HTTPS only")
    threads: int = Field(8, ge=1, le=128, description="requests served at once")


class MetricsSettings(Section):
    """A consumer's figures for Prometheus, over HTTP (docs/operations.md)."""

    host: str = Field("127.0.0.1", description="address to listen on; there is no login, so keep it from the public")
    port: int = Field(0, ge=0, le=65535, description="port; 0: none. `up` gives each consumer one, counting from here")


class RetentionSettings(Section):
    """How long the record is kept, by event time."""

    documents_days: int = Field(730, ge=30, description="days of documents and scores")
    rejected_days: int = Field(30, ge=1, description="days of rejected messages")


class Settings(BaseModel):
    """The whole tree, checked. Build it with `load()`."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    data: DataSettings = DataSettings()
    database: DatabaseSettings = DatabaseSettings()
    kafka: KafkaSettings = KafkaSettings()
    sources: SourcesSettings = SourcesSettings()
    batch: BatchSettings = BatchSettings()
    engine: EngineSettings = EngineSettings()
    detection: DetectionSettings = DetectionSettings()
    alerts: AlertsSettings = AlertsSettings()
    smtp: SmtpSettings = SmtpSettings()
    webhook: WebhookSettings = WebhookSettings()
    dashboard: DashboardSettings = DashboardSettings()
    metrics: MetricsSettings = MetricsSettings()
    retention: RetentionSettings = RetentionSettings()


@dataclass(frozen=True)
class Loaded:
    """The settings, and where each value that is not a default came from (`section.key` → a readable place)."""

    settings: Settings
    origins: dict[str, str]


def load(environment: Mapping[str, str] | None = None, overrides: Mapping[str, str] | None = None) -> Loaded:
    """Read the tree.

    Args:
        environment: variables to read; the process's own by default.
        overrides: `section.key` → value from the command line, stronger than everything else.

    Raises:
        SettingsError: a key that does not exist (with the nearest one that does) or a value that cannot be used.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, dict[str, Any]] = {}
    origins: dict[str, str] = {}

    def put(section: str, key: str, value: Any, origin: str) -> None:
        known = keys()
        if f"{section}.{key}" not in known:
            raise SettingsError(f"{origin}: there is no setting {section}.{key}{_nearest(f'{section}.{key}', known)}")
        values.setdefault(section, {})[key] = value
        origins[f"{section}.{key}"] = origin

    path = _config_file(environment)
    if path is not None:
        for section, table in _read_toml(path).items():
            if not isinstance(table, dict):
                raise SettingsError(f"{path}: {section} stands outside a section; write it under [section]")
            for key, value in table.items():
                put(section, key, value, str(path))
    from_files = {}
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name in FOREIGN:
            continue
        section, _, key = name[len(PREFIX) :].lower().partition("_")
        if key.endswith("_file") and f"{section}.{key}" not in keys():
            from_files[name] = (section, key.removesuffix("_file"))
        else:
            put(section, key, environment[name], f"environment {name}")
    for name, (section, key) in from_files.items():
        put(section, key, _read_secret(name, environment[name]), f"file {environment[name]} ({name})")
    for dotted, value in (overrides or {}).items():
        section, _, key = dotted.partition(".")
        put(section, key, value, "command line")
    settings = _validated(values, origins)
    if settings.engine.graphs is None:
        engine = settings.engine.model_copy(update={"graphs": settings.data.dir / "graphs"})
        settings = settings.model_copy(update={"engine": engine})
    return Loaded(settings, origins)


def keys() -> dict[str, str]:
    """Every `section.key` there is, with its description."""
    found = {}
    for section, model in Settings.model_fields.items():
        for name, info in model.annotation.model_fields.items():  # type: ignore[union-attr]
            found[f"{section}.{info.alias or name}"] = info.description or ""
    return found


def variable(dotted: str) -> str:
    """The environment variable of `section.key`."""
    return PREFIX + dotted.replace(".", "_").upper()


def _nearest(dotted: str, known: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(dotted, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else "; `bellwether doctor` lists them all"


def _config_file(environment: Mapping[str, str]) -> Path | None:
    named = environment.get(CONFIG_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise SettingsError(f"{CONFIG_VARIABLE}: there is no file {named}")
        return Path(named)
    return Path("bellwether.toml") if Path("bellwether.toml").is_file() else None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: not readable as TOML: {error}") from error


def _read_secret(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: cannot read {path}: {error}") from error


def _validated(values: Mapping[str, Any], origins: Mapping[str, str]) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        dotted = ".".join(str(part) for part in first["loc"][:2])
        origin = origins.get(dotted, "default")
        # The value itself stays out of the message: it may be a secret.
        where = origin if variable(dotted) in origin else f"{origin}; {variable(dotted)}"
        raise SettingsError(f"setting {dotted} ({where}): {first['msg']}") from None
