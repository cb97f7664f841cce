"""Who asks: the login page, sessions, and the users they belong to."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Hashable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, abort, jsonify, redirect, render_template, request, session
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response as AnyResponse

from dashboard.context import Context
from dashboard.throttle import Throttle
from monitor.errors import DatabaseUnavailable
from monitor.store.queries import users

_OPEN = ("/login", "/healthz", "/assets/", "/_favicon.ico")
_TOKEN = "csrf"  # noqa: S105 - the name of the field
_TOKEN_AGE = 3600.0
# How long a session is believed without asking the record again, and while the record is away.
_BELIEVED, _BELIEVED_AWAY = 5.0, 3600.0


class Person(UserMixin):
    """A user who is logged in. The session's id changes with the password, so a new password ends old sessions."""

    def __init__(self, user: users.User) -> None:
        self.name = user.name
        self.id = f"{_mark(user.password_hash)}:{user.name}"


def install(server: Flask, context: Context, key: bytes) -> None:
    """Ask for a login on every page of `server`."""
    server.secret_key = key
    server.config |= {
        "SESSION_COOKIE_NAME": "bellwether_session",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": context.settings.dashboard.secure_cookie,
        "PERMANENT_SESSION_LIFETIME": timedelta(hours=context.settings.dashboard.session_hours),
        "SESSION_REFRESH_EACH_REQUEST": False,
        "MAX_CONTENT_LENGTH": 4_000_000,
    }
    manager = LoginManager(server)
    manager.session_protection = None
    people = _People(context)
    manager.user_loader(people.load)
    doorman = _Doorman(context, people)
    server.add_url_rule("/login", "login", doorman.form, methods=["GET"])
    server.add_url_rule("/login", "login_try", doorman.attempt, methods=["POST"])
    server.add_url_rule("/logout", "logout", doorman.leave, methods=["POST"])

    @server.before_request
    def _ask() -> AnyResponse | tuple[Response, int] | None:
        if request.path.startswith(_OPEN) or current_user.is_authenticated:
            return None
        if request.method == "GET" and request.accept_mimetypes.accept_html:
            wanted = request.full_path.rstrip("?")
            return redirect("/login" if wanted == "/" else f"/login?next={quote(wanted)}")
        return jsonify(error="login required"), 401


def session_token() -> str:
    """The token that forms of this session carry."""
    held = session.get(_TOKEN)
    if not isinstance(held, list) or time.time() - held[1] > _TOKEN_AGE / 2:
        held = [secrets.token_urlsafe(24), time.time()]
        session[_TOKEN] = held
    return str(held[0])


class _People:
    """Finds the person a session belongs to, with a short memory so that each request needs no query."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen: dict[str, tuple[Person | None, float]] = {}
        self._lock = threading.Lock()

    def load(self, id: str) -> Person | None:
        with self._lock:
            person, at = self._seen.get(id, (None, -_BELIEVED_AWAY))
        age = time.monotonic() - at
        if age < _BELIEVED:
            return person
        try:
            person = self._ask(id)
        except DatabaseUnavailable:
            if age < _BELIEVED_AWAY:
                return person
            abort(503, "The database cannot be reached right now. Please try again shortly.")
        with self._lock:
            if len(self._seen) > 1000:
                self._seen.clear()
            self._seen[id] = (person, time.monotonic())
        return person

    def _ask(self, id: str) -> Person | None:
        mark, _, name = id.partition(":")
        with self._context.database.transaction() as connection:
            user = users.find(connection, name)
        if user is None or user.disabled or not hmac.compare_digest(mark, _mark(user.password_hash)):
            return None
        return Person(user)


class _Doorman:
    """The login page."""

    def __init__(self, context: Context, people: _People) -> None:
        self._context = context
        self._people = people
        self._throttle = Throttle()
        # An unknown name is checked against this, so that it takes as long as a known one.
        self._nobody = generate_password_hash(secrets.token_hex(16), method="scrypt")

    def form(self) -> Any:
        if current_user.is_authenticated:
            return redirect(_inside(request.args.get("next")))
        return self._page("")

    def attempt(self) -> Any:
        t = self._context.view().t
        name, password = request.form.get("name", "")[:100], request.form.get("password", "")[:1000]
        held = session.get(_TOKEN)
        token = request.form.get(_TOKEN, "")
        if not isinstance(held, list) or time.time() - held[1] > _TOKEN_AGE or not _equal(token, str(held[0])):
            return self._page(t("login_stale"), name), 400
        keys: list[Hashable] = [("name", name.casefold()), ("address", request.remote_addr)]
        wait = self._throttle.wait(keys)
        if wait > 0:
            answer = Response(self._page(t("login_slow", seconds=int(wait) + 1), name), 429)
            answer.headers["Retry-After"] = str(int(wait) + 1)
            return answer
        # Counted before it is checked: attempts that run side by side count too.
        self._throttle.failed(keys)
        try:
            with self._context.database.transaction() as connection:
                user = users.find(connection, name)
        except DatabaseUnavailable:
            return self._page(t("login_away"), name), 503
        good = check_password_hash(user.password_hash if user else self._nobody, password)
        if user is None or user.disabled or not good:
            return self._page(t("login_wrong"), name), 401
        for key in keys:
            self._throttle.succeeded(key)
        session.clear()
        session.permanent = True
        login_user(Person(user))
        return redirect(_inside(request.form.get("next")))

    def leave(self) -> Any:
        logout_user()
        session.clear()
        return redirect("/login")

    def _page(self, trouble: str, name: str = "") -> str:
        view = self._context.view()
        return render_template(
            "login.html",
            t=view.t,
            lang=view.lang,
            token=session_token(),
            trouble=trouble,
            name=name,
            next=_inside(request.values.get("next")),
        )


def _mark(password_hash: str) -> str:
    return hashlib.sha256(password_hash.encode()).hexdigest()[:24]


def _equal(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())


def _inside(target: str | None) -> str:
    """A place of ours to go to: a path, never another site."""
    target = target or "/"
    good = target.startswith("/") and not target.startswith(("//", "/\\", "/login", "/logout")) and target.isprintable()
    return target if good else "/"
