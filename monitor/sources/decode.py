"""From the bytes of one message to a `Document`, or to a `Rejected` that says why not.

Nothing a message can hold makes `decode` raise: whoever writes to the topic must not be able to stop the stream.
What is refused is what could not be stored, dated or trusted later: text that is no UTF-8, NUL and lone surrogates
(Postgres refuses both), numbers that are not finite, times without an offset or outside reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from monitor.documents import Document, Kind, Rejected, derived_id
from monitor.settings import SourcesSettings

MAX_DEPTH = 32
"""Levels of arrays and objects a message may nest."""

MAX_SYMBOLS = 100
MAX_LENGTHS = {"id": 500, "source": 200, "author": 500, "url": 2_000, "symbols": 40}
"""Characters of a field at most; for `symbols`, of each of them."""

_KNOWN = frozenset({"id", "source", "kind", "published_at", "title", "text", "lang", "symbols", "url", "author"})
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_LANGUAGE = re.compile(r"([a-z]{2,3})(?:[-_].*)?", re.ASCII | re.DOTALL)
_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s?(Z|[+-]\d{2}(?::?\d{2})?)?",
    re.ASCII | re.IGNORECASE,
)
_TYPE_NAMES = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


class _Refused(Exception):
    """Ends the decoding of one message; never leaves this module."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail


def decode(raw: bytes | None, *, default_source: str, settings: SourcesSettings, now: datetime) -> Document | Rejected:
    """Read one message.

    Args:
        raw: the message; None is Kafka's tombstone.
        default_source: `source` of a message that names none: the topic's or the archive's name.
        settings: bounds on size and time.
        now: the clock, in UTC; `published_at` may lie at most `settings.max_future` ahead of it.

    Returns:
        The document, or the message with one of the reasons too-large, empty, nul, not-utf8, not-json, bad-number,
        too-deep, not-object, surrogate, wrong-type, too-long, too-many, bad-kind, no-text, no-time, bad-time,
        absurd-time. `raw` of a rejected message is cut at `settings.keep_raw` bytes.
    """
    try:
        return _document(_parsed(raw, settings.max_bytes), default_source, settings, now)
    except _Refused as refused:
        return rejected(raw or b"", refused.reason, refused.detail, settings)


def rejected(raw: bytes, reason: str, detail: str, settings: SourcesSettings, *, size: int | None = None) -> Rejected:
    """A rejected message whose raw bytes are cut; `size` is its length if `raw` is only its beginning."""
    # The detail quotes the message; control characters of a stranger must not reach a terminal or a page.
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in detail)
    return Rejected(reason, shown, raw[: settings.keep_raw], len(raw) if size is None else size)


def too_large(raw: bytes, size: int, settings: SourcesSettings) -> Rejected:
    """The rejection of a message of `size` bytes of which `raw` is the beginning."""
    return rejected(raw, "too-large", _too_large(size, settings.max_bytes), settings, size=size)


def _too_large(size: int, most: int) -> str:
    return f"the message has {size} bytes, more than sources.max_bytes ({most})"


# --- bytes to JSON ---------------------------------------------------------------------------------------------------


def _parsed(raw: bytes | None, max_bytes: int) -> dict[str, Any]:
    if raw is None:
        raise _Refused("empty", "the message has no value (a tombstone)")
    if len(raw) > max_bytes:
        raise _Refused("too-large", _too_large(len(raw), max_bytes))
    if not raw.strip():
        raise _Refused("empty", "the message is empty")
    if b"\x00" in raw:
        raise _Refused("nul", f"the message holds a NUL byte at byte {raw.index(0)}")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Refused("not-utf8", f"the message is not UTF-8: {error.reason} at byte {error.start}") from None
    value = _loads(text.removeprefix("\ufeff"))
    # As many brackets as levels allowed cannot nest deeper than allowed: only a suspect is measured.
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise _Refused("too-deep", f"the message nests more than {MAX_DEPTH} levels")
    if not isinstance(value, dict):
        raise _Refused("not-object", f"the message is {_TYPE_NAMES[type(value)]}, not an object")
    # Whatever is not escaped was checked by the UTF-8 decoder above.
    if b"\\u" in raw:
        for part in _strings(value):
            found = _UNSTORABLE.search(part)
            if found and found[0] == "\x00":
                raise _Refused("nul", "a text of the message holds a NUL character (\\u0000)")
            if found:
                raise _Refused("surrogate", f"a text of the message holds half a character (\\u{ord(found[0]):04x})")
    return value


def _loads(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_not_finite, parse_float=_finite)
    except json.JSONDecodeError as error:
        shape = "an HTML or XML page, not JSON" if text.lstrip().startswith("<") else f"not JSON: {error.msg}"
        raise _Refused("not-json", f"the message is {shape} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise _Refused("too-deep", f"the message nests more than {MAX_DEPTH} levels") from None
    except ValueError:
        # The interpreter refuses to read integers of thousands of digits (CVE-2020-10735).
        raise _Refused("bad-number", "the message holds an integer of thousands of digits") from None


def _not_finite(name: str) -> NoReturn:
    raise _Refused("bad-number", f"the message holds {name}, which is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _Refused("bad-number", f"the message holds a number out of range ({text[:20]})")
    return value


def _depth(value: Any) -> int:
    """Levels of nesting: 0 for a scalar, 1 for a flat object. Walks level by level, so it cannot overflow the stack."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, (dict, list))]:
        depth += 1
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return depth


def _strings(value: Any) -> Iterator[str]:
    """Every key and text in a JSON value."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            yield from item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


# --- JSON to document ------------------------------------------------------------------------------------------------


def _document(fields: Mapping[str, Any], default_source: str, settings: SourcesSettings, now: datetime) -> Document:
    title, text = _text(fields, "title") or "", _text(fields, "text") or ""
    if not (_readable(text) or _readable(title)):
        raise _Refused("no-text", "neither text nor title holds anything to read")
    published_at = _published_at(fields, settings, now)
    kind = _kind(fields)
    source = _label(fields, "source") or default_source
    extra = {name: value for name, value in fields.items() if name not in _KNOWN}
    return Document(
        id=_id(fields) or derived_id(source, published_at, text or title),
        source=source,
        kind=kind,
        published_at=published_at,
        title=title,
        text=text,
        lang=_language(fields, extra),
        symbols=_symbols(fields),
        url=_url(fields, extra),
        author=_label(fields, "author"),
        extra=extra,
    )


def _wrong_type(name: str, value: Any, wanted: str) -> _Refused:
    return _Refused("wrong-type", f"{name} is {_TYPE_NAMES[type(value)]}, not {wanted}")


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise _wrong_type(name, value, "a string")
    return value


def _readable(text: str) -> bool:
    """Whether anything can be seen: white space, zero-width and control characters alone are no text."""
    return any(character.isprintable() and not character.isspace() for character in text)


def _bounded(name: str, value: str) -> str:
    if len(value) > MAX_LENGTHS[name]:
        raise _Refused("too-long", f"{name} has {len(value)} characters, more than {MAX_LENGTHS[name]}")
    return value


def _label(fields: Mapping[str, Any], name: str) -> str | None:
    """A short text; one that is blank counts as missing."""
    value = _text(fields, name)
    return (_bounded(name, value.strip()) or None) if value else None


def _id(fields: Mapping[str, Any]) -> str | None:
    value = fields.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return _bounded("id", str(value))
    if value is not None and not isinstance(value, str):
        raise _wrong_type("id", value, "a string or an integer")
    return _label(fields, "id")


def _kind(fields: Mapping[str, Any]) -> Kind:
    value = (_text(fields, "kind") or "news").lower()
    if value == "news":
        return "news"
    if value == "comment":
        return "comment"
    raise _Refused("bad-kind", f'kind is "{value[:40]}"; it can be "news" or "comment"')


def _language(fields: Mapping[str, Any], extra: dict[str, Any]) -> str | None:
    """The primary part of a language tag (en of en-US); what is no tag is kept aside and not relied on."""
    value = (_text(fields, "lang") or "").strip()
    found = _LANGUAGE.fullmatch(value.lower())
    if found:
        return None if found[1] == "und" else found[1]
    if value:
        extra["lang"] = value
    return None


def _symbols(fields: Mapping[str, Any]) -> tuple[str, ...]:
    value = fields.get("symbols")
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _wrong_type("symbols", value, "an array of strings")
    if len(value) > MAX_SYMBOLS:
        raise _Refused("too-many", f"symbols holds {len(value)} items, more than {MAX_SYMBOLS}")
    found: dict[str, None] = {}
    for item in value:
        if not isinstance(item, str):
            raise _wrong_type("an item of symbols", item, "a string")
        symbol = item.strip().removeprefix("$").upper()
        if symbol:
            found[_bounded("symbols", symbol)] = None
    return tuple(found)


def _url(fields: Mapping[str, Any], extra: dict[str, Any]) -> str | None:
    """A link to the web; any other (javascript:, file:) is kept aside, where no page makes a link of it."""
    value = _label(fields, "url")
    if value and not value.lower().startswith(("http://", "https://")):
        extra["url"] = value
        return None
    return value


# --- time ------------------------------------------------------------------------------------------------------------


def _published_at(fields: Mapping[str, Any], settings: SourcesSettings, now: datetime) -> datetime:
    value = fields.get("published_at")
    if value is None:
        raise _Refused("no-time", "published_at is missing")
    if not isinstance(value, str):
        raise _wrong_type("published_at", value, "a string such as 2014-05-21T05:55:32Z")
    try:
        time = parse_time(value)
    except ValueError as error:
        raise _Refused("bad-time", f"published_at {error}") from None
    except OverflowError:
        raise _Refused("absurd-time", f"published_at is {value}, outside the calendar") from None
    if time < settings.earliest:
        raise _Refused("absurd-time", f"published_at is {value}, before sources.earliest ({settings.earliest.date()})")
    if time - now > settings.max_future:
        raise _Refused("absurd-time", f"published_at is {value}, more than {settings.max_future} ahead of the clock")
    return time


def parse_time(text: str) -> datetime:
    """A time with an offset (RFC 3339, with what is commonly written beside it) as UTC.

    The T may be a space, seconds may be left out, the offset may be written +0800 or +08; a leap second counts as
    the second after; digits beyond the microsecond are cut.

    >>> parse_time("2014-05-21T13:55:32.5+08:00").isoformat()
    '2014-05-21T05:55:32.500000+00:00'

    Raises:
        ValueError: it is no such time; the message goes on from the field's name.
        OverflowError: as UTC it lies outside the years 1 to 9999.
    """
    found = _TIME.fullmatch(text.strip())
    if not found:
        raise ValueError(f'is "{text[:40]}"; write it like 2014-05-21T05:55:32Z or 2014-05-21T13:55:32+08:00')
    date, minute, second, fraction, offset = found.groups()
    if not offset:
        raise ValueError(f'is "{text[:40]}" without an offset; add Z for UTC or an offset such as +08:00')
    leap = second == "60"
    stamp = f"{date}T{minute}:{'59' if leap else second or '00'}.{(fraction or '0')[:6]:0<6}"
    try:
        time = datetime.fromisoformat(stamp + offset.upper())
    except ValueError as error:
        raise ValueError(f'is "{text[:40]}", which is no time: {error}') from None
    return time.astimezone(UTC) + timedelta(seconds=leap)
