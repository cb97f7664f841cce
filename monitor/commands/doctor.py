"""`bellwether doctor`."""

from __future__ import annotations

import ipaddress
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import click

from monitor.errors import BellwetherError, BrokerError, DatabaseUnavailable
from monitor.settings import Loaded, Settings, keys, load, variable
from monitor.shown import shown

OLDEST_POSTGRES = 14
LITTLE_DISK = 2 * 1024**3  # bytes free in the data folder below which we warn


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what, how it went, and one line about it. `skip`: there is nothing to check."""

    check: str
    result: Literal["ok", "fail", "skip"]
    detail: str


@click.command()
@click.option("--all", "every", is_flag=True, help="Show every setting, also those left at their default.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def doctor(every: bool, as_json: bool) -> None:
    """Show the effective settings and where each came from, then test every connection.

    Secrets are masked and nothing is sent. The exit status is 1 when a check fails.
    """
    loaded = load()
    rows = settings_table(loaded, every=every or as_json)
    if as_json:
        findings = examine(loaded.settings)
        click.echo(
            json.dumps({"settings": rows, "checks": [asdict(f) for f in findings]}, ensure_ascii=False, indent=2)
        )
    else:
        _show_settings(rows, every)
        findings = examine(loaded.settings, tell=_show_finding)
        failed = sum(finding.result == "fail" for finding in findings)
        click.echo("all is well" if not failed else f"{failed} of {len(findings)} checks failed")
    if any(finding.result == "fail" for finding in findings):
        sys.exit(1)


def settings_table(loaded: Loaded, *, every: bool) -> list[dict[str, str]]:
    """Each setting with its effective value (secrets masked), its origin, its variable and what it means."""
    values, meanings = shown(loaded.settings), keys()
    return [
        {
            "setting": name,
            "value": values[name],
            "origin": loaded.origins.get(name, "default"),
            "variable": variable(name),
            "description": meanings[name],
        }
        for name in meanings
        if every or name in loaded.origins
    ]


def examine(settings: Settings, tell: Callable[[Finding], None] = lambda _: None) -> list[Finding]:
    """Run every check, telling each finding as it comes."""
    checks: list[tuple[str, Callable[[Settings], str | None]]] = [
        ("data folder", _data_folder),
        ("postgres", _postgres),
        ("tables", _tables),
        ("kafka", _kafka),
        ("models", _models),
        ("device", _device),
        ("watch list", _watchlist),
        ("e-mail", _email),
        ("webhook", _webhook),
        ("dashboard", _dashboard),
    ]
    findings = []
    away = False
    for name, check in checks:
        if away and name in ("tables", "dashboard"):
            finding = Finding(name, "skip", "Postgres cannot be reached")
        else:
            finding = _run(name, check, settings)
            away = away or (name == "postgres" and finding.result == "fail")
        tell(finding)
        findings.append(finding)
    return findings


def _run(name: str, check: Callable[[Settings], str | None], settings: Settings) -> Finding:
    try:
        detail = check(settings)
    except BellwetherError as error:
        return Finding(name, "fail", str(error))
    except Exception as error:
        return Finding(name, "fail", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
    return Finding(name, "skip", "not set up") if detail is None else Finding(name, "ok", detail)


def _data_folder(settings: Settings) -> str:
    folder = settings.data.dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"written")
    except OSError as error:
        raise BellwetherError(
            f"{folder} cannot be written to ({error.strerror}); check data.dir (BELLWETHER_DATA_DIR)"
        ) from None
    free = shutil.disk_usage(folder).free
    if free < LITTLE_DISK:
        raise BellwetherError(
            f"only {_size(free)} free in {folder}; make room or change data.dir (BELLWETHER_DATA_DIR)"
        )
    return f"{folder}: writable, {_size(free)} free"


def _postgres(settings: Settings) -> str:
    from monitor.store.database import Database

    database = Database(settings)
    try:
        version = database.ping()
    finally:
        database.close()
    if int(version.split(".")[0]) < OLDEST_POSTGRES:
        raise DatabaseUnavailable(
            f"{database.where} is version {version}, {OLDEST_POSTGRES} or newer is needed; "
            "change database.url (BELLWETHER_DATABASE_URL)"
        )
    return f"{database.where}: version {version}"


def _tables(settings: Settings) -> str:
    from monitor.store import migrate
    from monitor.store.database import Database

    database = Database(settings)
    try:
        migrate.require_current(database)
    finally:
        database.close()
    return f"schema {database.schema}: current ({migrate.head()})"


def _kafka(settings: Settings) -> str:
    from monitor.sources.broker import bounds

    found = bounds(settings.kafka)
    missing = [topic for topic in settings.kafka.topics if topic not in {topic for topic, _ in found}]
    if missing:
        raise BrokerError(
            f"{settings.kafka.bootstrap}: there is no topic {', '.join(missing)}; "
            "create it or change kafka.topics (BELLWETHER_KAFKA_TOPICS)"
        )
    sizes = [f"{topic} ({sum(name == topic for name, _ in found)} partitions)" for topic in settings.kafka.topics]
    return f"{settings.kafka.bootstrap}: {', '.join(sizes)}"


def _models(settings: Settings) -> str:
    from monitor.champions import lineup
    from monitor.store.database import Database
    from monitor.understand.lineup import verify

    if settings.engine.bundles:
        return f"{verify(settings.engine)}; engine.bundles is set, so the registry is not asked"
    database = Database(settings)
    try:
        return verify(settings.engine, lineup(settings, database))
    except DatabaseUnavailable:
        return f"{verify(settings.engine)}; the registry was not asked, for Postgres cannot be reached"
    finally:
        database.close()


def _processor(settings: Settings) -> str:
    """What computes the models on a CPU, and which of them are ready for it."""
    from monitor.cores import cores

    threads = settings.engine.threads or cores()
    if settings.engine.runtime == "torch":
        return f"PyTorch in float32, {threads} passes at a time, as engine.runtime says"
    from monitor.champions import lineup_without_record
    from monitor.understand.manifest import read_manifest
    from monitor.understand.runtimes.entries import state

    states = [
        f"{seat.model} {state(seat.folder, settings.engine.graphs)}"
        for seat in lineup_without_record(settings).seats
        if read_manifest(seat.folder).encoder is not None
    ]
    return f"OpenVINO in 8 bits, {threads} passes at a time; {'; '.join(states) or 'no encoder to run'}"


def _device(settings: Settings) -> str:
    wanted = settings.engine.device
    if wanted == "cpu":
        return f"cpu, as engine.device says: {_processor(settings)}"
    import torch

    if not torch.cuda.is_available():
        if wanted != "auto":
            raise BellwetherError(
                f"engine.device is {wanted}, but torch {torch.__version__} finds no GPU; "
                "set engine.device (BELLWETHER_ENGINE_DEVICE) to auto or cpu"
            )
        return f"cpu (there is no GPU): {_processor(settings)}"
    number = int(wanted.partition(":")[2] or 0)
    if number >= torch.cuda.device_count():
        raise BellwetherError(
            f"engine.device is {wanted}, but there are {torch.cuda.device_count()} GPUs, counted from 0; "
            "correct engine.device (BELLWETHER_ENGINE_DEVICE)"
        )
    if not wanted.partition(":")[2]:
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return f"{len(names)} GPUs: {', '.join(names)}"
    return f"cuda:{number}, {torch.cuda.get_device_name(number)}"


def _watchlist(settings: Settings) -> str:
    from monitor.understand.companies import Watchlist

    watchlist = Watchlist.load(settings.engine.watchlist)
    return f"{len(watchlist)} companies from {settings.engine.watchlist or 'the list that ships'}"


def _email(settings: Settings) -> str | None:
    if settings.smtp.url is None:
        return None
    if not settings.smtp.to:
        raise BellwetherError("smtp.url is set, but nobody would get an e-mail; set smtp.to (BELLWETHER_SMTP_TO)")
    return _channel("email", settings)


def _webhook(settings: Settings) -> str | None:
    return _channel("webhook", settings) if settings.webhook.urls else None


def _channel(name: str, settings: Settings) -> str:
    from monitor.alerts import channels

    channel = channels.make(name, settings)
    try:
        return channel.check()
    finally:
        channel.close()


def _dashboard(settings: Settings) -> str:
    from monitor.store.database import Database
    from monitor.store.queries import users

    address = f"{settings.dashboard.host}:{settings.dashboard.port}"
    database = Database(settings)
    try:
        with database.transaction() as connection:
            number = sum(not user.disabled for user in users.every(connection))
    finally:
        database.close()
    if number:
        return f"{address}: {number} user{'' if number == 1 else 's'} may log in"
    if not _loopback(settings.dashboard.host):
        raise BellwetherError(
            f"{address} is open to other machines, but nobody may log in; add a user with `bellwether users add NAME`"
        )
    return f"{address}: no login, this machine only"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _size(number: int) -> str:
    return f"{number / 1024**3:.1f} GiB"


def _show_settings(rows: list[dict[str, str]], every: bool) -> None:
    if not rows:
        click.echo("every setting is at its default (--all shows them)\n")
        return
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 2), header_style="dim")
        for heading in ("setting", "value", "from"):
            table.add_column(heading, overflow="fold")
        for row in rows:
            style = "dim" if row["origin"] == "default" else ""
            table.add_row(*(Text(row[key], style=style) for key in ("setting", "value", "origin")))
        Console().print(table)
    else:
        width = max(len(row["setting"]) for row in rows)
        for row in rows:
            click.echo(f"{row['setting']:<{width}} = {row['value']}  ({row['origin']})")
    if not every:
        click.echo(f"{len(keys()) - len(rows)} more are at their default (--all shows them)")
    click.echo()


def _show_finding(finding: Finding) -> None:
    sign, colour = {"ok": ("✓", "green"), "fail": ("✗", "red"), "skip": ("-", "bright_black")}[finding.result]
    click.echo(f"{click.style(sign, fg=colour)} {finding.check:<12} {finding.detail}")
