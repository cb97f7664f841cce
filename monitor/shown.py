"""Settings as people may see them: in the form of the file, secrets masked."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from monitor.settings import UNITS, Settings


def shown(settings: Settings) -> dict[str, str]:
    """Every setting's effective value as text, secrets masked."""
    found = {}
    for section, model in settings:
        for name, info in type(model).model_fields.items():
            value = getattr(model, name)
            found[f"{section}.{info.alias or name}"] = "" if value is None or value == [] else _text(value)
    return found


def _text(value: Any) -> str:
    """A value as it could be written in the file."""
    if isinstance(value, SecretStr):
        return masked(value.get_secret_value())
    if isinstance(value, list):
        return ", ".join(masked(item) if "://" in str(item) else str(item) for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return _spelled(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


def _spelled(duration: timedelta) -> str:
    """A duration in the largest unit that says it in a whole number.

    >>> _spelled(timedelta(minutes=90)), _spelled(timedelta(hours=4)), _spelled(timedelta(milliseconds=200))
    ('90m', '4h', '200ms')
    """
    for unit, seconds in reversed(UNITS.items()):
        number = duration / timedelta(seconds=seconds)
        if number == int(number):
            return f"{int(number)}{unit}"
    return f"{duration.total_seconds()}s"


def masked(secret: str) -> str:
    """A secret as it may be shown: a URL keeps all but its password and its query, anything else shows nothing."""
    found = re.fullmatch(r"([a-z0-9+]+://)(?:([^:@/]*)(:.*)?@)?([^@?]*)(\?.*)?", secret, re.IGNORECASE | re.DOTALL)
    if not found:
        return "***"
    scheme, user, password, place, query = found.groups()
    login = "" if user is None else f"{user}{':***' if password else ''}@"
    return f"{scheme}{login}{place}{'?***' if query else ''}"
