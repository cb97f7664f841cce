"""What every page is given, and what it knows about the person who asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from flask import has_request_context, request

from dashboard.names import Names
from dashboard.pulse import Pulse
from dashboard.words import LANGUAGES, Translate, translator
from monitor.documents import Series
from monitor.settings import Settings
from monitor.store.database import Database

LANGUAGE_COOKIE = "bellwether_lang"


@dataclass(frozen=True)
class View:
    """The reader's language, and what depends on it."""

    lang: str
    t: Translate
    names: Names

    def topic(self, id: str) -> str:
        """A topic's name."""
        return self.names.topic(id, self.lang)

    def company(self, symbol: str) -> str:
        """A company's name."""
        return self.names.company(symbol, self.lang)

    def series(self, series: Series) -> str:
        """What a series is about, in words: `Halvern Bank · Earnings`."""
        parts = [self.company(series.company)] if series.company else []
        if series.topic:
            parts.append(self.topic(series.topic))
        return " · ".join(parts) or self.t("everything")

    def language(self, code: str) -> str:
        """A language's name."""
        return self.t(code) if code in ("en", "zh", "und") else code

    def span(self, span: timedelta) -> str:
        """A length of time in one unit: `5 min`, `2 h`, `3 d`."""
        seconds = max(0, round(span.total_seconds()))
        units = ("天", "小时", "分钟", "秒") if self.lang == "zh" else ("d", "h", "min", "s")
        for size, unit, least in ((86400, units[0], 2 * 86400), (3600, units[1], 2 * 3600), (60, units[2], 60)):
            if seconds >= least or (seconds >= size and seconds % size == 0):
                return f"{round(seconds / size)} {unit}"
        return f"{seconds} {units[3]}"


def moment(time: datetime) -> str:
    """A time of day in UTC, to the minute."""
    return f"{time:%Y-%m-%d %H:%M}"


def address(path: str, values: Iterable[tuple[str, str | None]] = ()) -> str:
    """A path of ours with a query made of the values that are not empty."""
    query = urlencode([(name, value) for name, value in values if value])
    return f"{path}?{query}" if query else path


@dataclass(frozen=True)
class Context:
    """Settings, the record, the names, and the pulse that tells whether the record changed."""

    settings: Settings
    database: Database
    names: Names
    pulse: Pulse
    login: bool

    def view(self, lang: str | None = None) -> View:
        """The view of the request that is being answered."""
        if lang is None and has_request_context():
            lang = request.cookies.get(LANGUAGE_COOKIE)
            if lang not in LANGUAGES:
                lang = request.accept_languages.best_match(LANGUAGES, "en")
        lang = lang if lang in LANGUAGES else "en"
        return View(lang, translator(lang), self.names)

    @property
    def actor(self) -> str:
        """The name that what is done now is written down under."""
        if not self.login:
            return "local"
        from flask_login import current_user

        # Dash also asks for the layout once before anybody is known.
        return str(getattr(current_user, "name", ""))
