"""The dashboard as a WSGI application, and serving it."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from dash import Dash
from dash.exceptions import PreventUpdate
from flask import Flask, Response, jsonify

from dashboard import export, key, login, names, security, shell
from dashboard.context import Context
from dashboard.pages import alert, alerts, explore, labelling, overview, to_label, why
from dashboard.pulse import Pulse
from monitor.errors import DatabaseUnavailable, SettingsError
from monitor.settings import Settings
from monitor.store import migrate
from monitor.store.database import Database
from monitor.store.queries import users

log = logging.getLogger(__name__)


def create_app(settings: Settings, database: Database, *, host: str | None = None) -> Dash:
    """The application.

    Args:
        settings: the tree; `dashboard`, `data` and `engine` (for names) are read.
        database: the record to show: the live one or a replay's.
        host: the address it will be bound to; `dashboard.host` by default. Anything but loopback asks for a login.
    """
    here = Path(__file__).parent
    server = Flask("dashboard", template_folder=str(here / "templates"), static_folder=None)
    app = Dash(
        "dashboard",
        server=server,  # type: ignore[arg-type]
        assets_folder=str(here / "assets"),
        title="Bellwether",
        update_title="",
        serve_locally=True,
        suppress_callback_exceptions=True,
        enable_mcp=False,
        add_log_handler=False,
        on_error=_trouble,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.index_string = shell.INDEX
    asks = not security.is_loopback(host or settings.dashboard.host)
    context = Context(settings, database, names.load(settings), Pulse(database), asks)
    security.protect(server, app, open_to_all=not asks)
    if asks:
        login.install(server, context, key.session_key(settings.data.dir))
    shell.install(app, context)
    for page in (overview, alerts, alert, explore, labelling, to_label, why):
        page.register(app, context)
    export.install(server, context)

    @server.get("/healthz")
    def healthz() -> tuple[Response, int]:
        well = context.pulse.beat().well
        return jsonify(status="ok" if well else "database unavailable"), 200 if well else 503

    return app


def serve(
    settings: Settings,
    database: Database,
    *,
    host: str | None = None,
    port: int | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the pages until interrupted.

    Args:
        host: address to listen on; `dashboard.host` by default.
        port: port, 0 for any free one; `dashboard.port` by default.
        ready: called with the address of the page once it can be opened.

    Raises:
        SettingsError: the port is taken, or a login is needed and there is no user.
        DatabaseUnavailable, SchemaMismatch: the record cannot be shown.
    """
    import waitress

    host = host or settings.dashboard.host
    port = settings.dashboard.port if port is None else port
    migrate.require_current(database)
    if not security.is_loopback(host):
        with database.transaction() as connection:
            if not users.anyone(connection):
                raise SettingsError(
                    f"dashboard.host is {host}, where others can reach it, and nobody may log in yet; "
                    "create one with `bellwether users add NAME`"
                )
    app = create_app(settings, database, host=host)
    listener = _listen(host, port)
    bound = listener.getsockname()[1]
    served = waitress.create_server(
        app.server, sockets=[listener], threads=settings.dashboard.threads, ident=None, channel_timeout=60
    )
    if ready is not None:
        shown = f"[{host}]" if ":" in host else host
        ready(f"http://{'localhost' if shown in {'0.0.0.0', '[::]'} else shown}:{bound}/")  # noqa: S104
    try:
        served.run()
    finally:
        served.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind)
        try:
            if sys.platform != "win32":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            listener.listen(128)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        _refused(host, port, error)
    return listener


def _refused(host: str, port: int, error: OSError) -> NoReturn:
    why = (error.strerror or str(error)).lower()
    raise SettingsError(
        f"cannot listen on {host}:{port} ({why}); set another dashboard.port (BELLWETHER_DASHBOARD_PORT) "
        "or dashboard.host (BELLWETHER_DASHBOARD_HOST)"
    ) from None


def _trouble(error: Exception) -> Any:
    """What a callback's failure does to the page: it keeps what it shows."""
    if not isinstance(error, DatabaseUnavailable):
        log.error("a callback failed", exc_info=error)
    raise PreventUpdate from error
