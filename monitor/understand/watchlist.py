"""The file that names the companies to watch.

Each company is one `[[company]]` of a TOML file:

    symbol     its id everywhere: AAPL, 0700.HK, 600519.SH
    en, zh     its names as shown (one may be missing); both are searched for
    exchange, sector   free words, to group by (optional)
    aliases    further names, found in any case
    cased      those names, listed above or only here, that are also common words: found as written ("Apple"), in
               capitals, or beside a company word ("apple shares")
    ambiguous  those whose capital proves nothing either ("Target", "美的"): the text must otherwise show that the
               company is meant
    codes      its other codes: the old ticker, another listing (GOOG, 9988.HK, HSBA.L)
    except     phrases that hold a name and are something else ("apple pie", "平安夜")
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from monitor.errors import SettingsError

SHIPPED_WATCHLIST = Path(__file__).with_name("watchlist.toml")

_TEXTS = ("symbol", "en", "zh", "exchange", "sector")
_LISTS = ("aliases", "cased", "ambiguous", "codes", "except")


@dataclass(frozen=True, slots=True)
class Company:
    """One company of the watch list; the fields are those of its file."""

    symbol: str
    en: str = ""
    zh: str = ""
    exchange: str = ""
    sector: str = ""
    aliases: tuple[str, ...] = ()
    cased: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()

    def name(self, lang: str) -> str:
        """The name in `lang`; the other one, or the symbol, where there is none."""
        first, second = (self.zh, self.en) if lang == "zh" else (self.en, self.zh)
        return first or second or self.symbol

    def names(self) -> tuple[str, ...]:
        """All names the company goes by, once each."""
        return tuple(
            dict.fromkeys(name for name in (self.en, self.zh, *self.aliases, *self.cased, *self.ambiguous) if name)
        )


def read_companies(path: Path) -> list[Company]:
    """The companies of a watch list, in the file's order.

    Raises:
        SettingsError: the file of `engine.watchlist` cannot be read, or an entry in it is not what it should be.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read ({error.strerror}); set engine.watchlist to a watch list"
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: not readable as TOML: {error}; see engine.watchlist") from None
    entries = content.pop("company", [])
    if content:
        raise SettingsError(f"{path}: unknown key {min(content)!r}; each company is a [[company]] (engine.watchlist)")
    if not isinstance(entries, list) or not entries:
        raise SettingsError(f"{path}: no [[company]] in it; see engine.watchlist")
    found: dict[str, Company] = {}
    for number, entry in enumerate(entries, 1):
        company = _company(entry, number, path)
        if company.symbol in found:
            raise refused(path, company.symbol, "is listed twice")
        found[company.symbol] = company
    return list(found.values())


def refused(path: Path, company: str, why: str) -> SettingsError:
    """The error for an entry that cannot be used."""
    return SettingsError(f"{path}: company {company}: {why} (engine.watchlist)")


def _company(entry: Any, number: int, path: Path) -> Company:
    if not isinstance(entry, dict):
        raise refused(path, f"number {number}", "write it as [[company]] with symbol, en, zh")
    symbol = entry.get("symbol")
    if not isinstance(symbol, str) or not symbol.strip():
        raise refused(path, f"number {number}", "needs a symbol, such as AAPL, 0700.HK or 600519.SH")
    # A symbol is part of a series' printed form, topic/company/lang with * for any.
    if symbol != symbol.strip().upper() or any(sign in symbol for sign in "/* \t\n"):
        raise refused(path, symbol, "a symbol is in capitals, without spaces, / and *")
    unknown = set(entry) - {*_TEXTS, *_LISTS}
    if unknown:
        raise refused(path, symbol, f"unknown key {min(unknown)!r}")
    values: dict[str, Any] = {}
    for name in _TEXTS:
        value = entry.get(name, "")
        if not isinstance(value, str):
            raise refused(path, symbol, f"{name} is a text in quotes")
        values[name] = value.strip()
    for name in _LISTS:
        value = entry.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
            raise refused(path, symbol, f"{name} is a list of texts")
        values["exceptions" if name == "except" else name] = tuple(item.strip() for item in value)
    company = Company(**{field.name: values[field.name] for field in fields(Company)})
    if not company.names():
        raise refused(path, symbol, "needs a name: en or zh")
    for name in company.names():
        if len(name) < 2:
            raise refused(path, symbol, f"the name {name!r} is too short to be found safely")
    return company
