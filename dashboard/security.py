"""What every answer and every request has to satisfy, whoever asks."""

from __future__ import annotations

from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

if TYPE_CHECKING:
    from dash import Dash

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def is_loopback(host: str) -> bool:
    """Whether a socket bound to this address can be reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def protect(server: Flask, app: Dash, *, open_to_all: bool) -> None:
    """Put the security headers on every answer and refuse requests that another site caused.

    Args:
        open_to_all: nobody has to log in, because only this machine can ask. Then the page answers only to this
            machine's own names: a foreign name that was made to point here (DNS rebinding) or a proxy that
            carries requests in from outside is refused.
    """

    @server.before_request
    def _refuse() -> None:
        if open_to_all and not is_loopback(urlsplit(f"//{request.host}").hostname or ""):
            abort(
                403,
                "This dashboard listens on loopback without a login, so it answers only to localhost. "
                "Set dashboard.host (BELLWETHER_DASHBOARD_HOST) to serve others.",
            )
        if request.method not in _SAFE_METHODS and not _same_origin():
            abort(403, "The request came from another site.")

    @cache
    def policy() -> str:
        # Hashes of Dash's own inline scripts; asked for at the first answer, when every callback is known.
        scripts = " ".join(f"'{found}'" if not found.startswith("'") else found for found in app.csp_hashes())
        return (
            f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
            "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
        )

    @server.after_request
    def _headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy()
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
        if response.mimetype in {"text/html", "application/json", "text/csv"}:
            response.headers["Cache-Control"] = "no-store"
        return response


def _same_origin() -> bool:
    """Whether our own page sent this. A proxy may change scheme and port, so host names are compared."""
    said = request.headers.get("Origin") or request.headers.get("Referer")
    if said:
        return (urlsplit(said).hostname or "") == (urlsplit(f"//{request.host}").hostname or "-")
    # No browser leaves out both; what is no browser carries no foreign cookies.
    return request.headers.get("Sec-Fetch-Site", "same-origin") in {"same-origin", "none"}
