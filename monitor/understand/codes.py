"""The ways in which feeds write a listed company's code.

`600519.SH` is also SH600519, 600519.SS and (600519); `0700.HK` is 700.HK, 00700.HK and HKEX:700; `AAPL` is $AAPL,
NASDAQ:AAPL, (AAPL), AAPL.US and, where it is no word of English, a bare AAPL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum


class Rule(IntEnum):
    """What must hold, beyond word boundaries, for a found pattern to be a mention; the laxest first."""

    ANY = 0  # nothing more
    CASED = 1  # written as listed or in capitals, or a company word stands beside it
    CAPITALS = 2  # written in capitals
    AMBIGUOUS = 3  # as listed, and the context says that the company is meant
    DIGITS = 4  # six bare digits: a Chinese text, and no amount
    EXCEPT = 5  # no mention at all: the phrase only shields what it covers


_MAINLAND = re.compile(r"(\d{6})\.(SH|SZ|BJ)")
_HONG_KONG = re.compile(r"0*(\d{1,5})\.HK")
_TICKER = re.compile(r"([A-Z]{1,5})(?:[.\-/]([A-D]))?(?:\.US)?")

# What stands before the colon in NASDAQ:AAPL.
_US_EXCHANGES = ("nasdaq", "nyse", "nysearca", "nyseamerican", "amex", "cboe", "纳斯达克", "纽交所")
_HK_EXCHANGES = ("hkex", "hkg", "sehk", "hkse")
_MAINLAND_NAMES = {
    "SH": (("sh", "sha", "sse", "shse", "上交所"), ("sh", "ss", "xshg")),
    "SZ": (("sz", "she", "szse", "深交所"), ("sz", "xshe")),
    "BJ": (("bj", "bse", "北交所"), ("bj", "xbse")),
}


def forms(code: str) -> Iterator[tuple[str, Rule]]:
    """Every way to write `code`, in lower case, and what must hold for it to count.

    A code of a shape not known here (`HSBA.L`, `7203.T`) is found only as it stands, in capitals.

    >>> sorted(form for form, rule in forms("0700.HK") if form.endswith(".hk"))
    ['00700.hk', '0700.hk', '700.hk']
    """
    if found := _MAINLAND.fullmatch(code):
        yield from _mainland(found[1], found[2])
    elif found := _HONG_KONG.fullmatch(code):
        yield from _hong_kong(found[1])
    elif found := _TICKER.fullmatch(code):
        ticker, share_class = found[1].lower(), (found[2] or "").lower()
        for written in [ticker + separator + share_class for separator in ".-/"] if share_class else [ticker]:
            yield from _ticker(written)
    else:
        yield code.lower(), Rule.CAPITALS


def key(symbol: str) -> str:
    """A symbol as a source declares it, brought to the form under which `forms` lists it."""
    return symbol.strip().lstrip("$#").strip("()").lower().replace(": ", ":")


def _mainland(digits: str, market: str) -> Iterator[tuple[str, Rule]]:
    exchanges, suffixes = _MAINLAND_NAMES[market]
    for suffix in suffixes:
        yield f"{digits}.{suffix}", Rule.ANY
    for exchange in exchanges:
        yield f"{exchange}:{digits}", Rule.ANY
        yield f"{exchange}: {digits}", Rule.ANY
    yield market.lower() + digits, Rule.ANY
    yield f"{market.lower()}.{digits}", Rule.ANY
    yield f"({digits})", Rule.ANY
    yield f"{digits} ch", Rule.CAPITALS
    yield digits, Rule.DIGITS


def _hong_kong(digits: str) -> Iterator[tuple[str, Rule]]:
    lengths = sorted({digits, digits.zfill(4), digits.zfill(5)}, key=len)
    for number in lengths:
        yield f"{number}.hk", Rule.ANY
        yield f"{number} hk equity", Rule.ANY
        for exchange in _HK_EXCHANGES:
            yield f"{exchange}:{number}", Rule.ANY
            yield f"{exchange}: {number}", Rule.ANY
        if len(number) >= 4:
            yield f"hk{number}", Rule.ANY
            yield f"hk.{number}", Rule.ANY
            yield f"hk:{number}", Rule.ANY
    # Four digits in brackets may be a year.
    yield f"({lengths[-1]})", Rule.ANY


def _ticker(ticker: str) -> Iterator[tuple[str, Rule]]:
    long = len(ticker) >= 3
    yield f"${ticker}", Rule.ANY if long else Rule.CAPITALS
    yield f"{ticker}.us", Rule.ANY if long else Rule.CAPITALS
    yield f"us.{ticker}", Rule.CAPITALS
    yield f"{ticker} us equity", Rule.ANY
    for exchange in _US_EXCHANGES:
        yield f"{exchange}:{ticker}", Rule.ANY
        yield f"{exchange}: {ticker}", Rule.ANY
    for suffix in (".o", ".oq", ".n"):
        yield ticker + suffix if long else f"({ticker}{suffix})", Rule.CAPITALS
    if long:
        yield f"({ticker})", Rule.CAPITALS
        if ticker not in _WORDS:
            yield f"#{ticker}", Rule.ANY
            yield ticker, Rule.CAPITALS


# Three to five letters that are words of English, or abbreviations of something else: bare, they are no ticker,
# however they are written. Longer than any list of companies here needs, for users bring their own.
_ORDINARY = """
ace act add ads age ago aid aim air all alt and ant any api app apr apt are arm art ask ate atm auto avg avid away axe
baby back bad bag bake ball band bang bank bar bars base bat bath bay beam bear beat bed bee beer bell best bet bid big
bike bill bird bit bite blue board boat bob body bold bond book boom boot born boss both bow box boy bro brake bread
buck bud bug build bull burn bus busy but buy buzz bye cab cafe cage cake call calm came camp can cap cape car card
care cars cart case cash cast cat cave ceo cfo chat chef chip city clay clean clear club cnn coal coat code coin cold
come cool coo cop copy core corn cost cow cpi crop cry cup cure cut cute cute cyber daily dare dark data date day dead
deal dear debt deck deep den desk dew dial dice did die diet dig dip dirt dis dish dog dolls done door dose down draw
drop drug dry due dug duo dust duty each ear earn ease east easy eat ebit ech ecb edge edit egg ego elf else emma end
epa eps era esg etc etf eth eur eva even ever exit eye face fact fade fail fair fall fan far farm fast fat fda fear
feat fed fee feel feet few file fill film find fine fire fish fit five fix flag flat flex flow fly fold folk fomc fomo
food foot for fork form fort four fox free from fuel full fun fund fur gain game gap gas gate gave gdp gear gem get
gift girl give glad glow gnp goal god going gold golf gone good got grab gray great green grew grid grow guess gulf
gun guy had hail hair half hall ham hand hang hard has hat hate have hay head heal hear heat held hell help her here
hero hey hide high hike hill him hint hip his hit hold hole home hood hope host hot hour how hub hug huge hunt hurt
ice icon idea ifrs imf inc inch ink inn into ion ipo iron its jack jam jan jet job join joke joy jpy jul jump jun june
just keen keep kept key kick kid kids kill kind king knee knew know lab lack lady laid lake lamp land lane last late
law lay lazy lead leaf leak lean left leg lend less let lie life lift light like line link lion lip list live load loan
lock log lol long look loop lord lose loss lost lot loud love low luck mad made mail main make man many map mar mark
mart mass mat max may meal mean meat meet men mess met mid might mild milk mind mine mint miss mix mob mode mom moo
moon more most move much mug must nail name nav near neat neck need nest net never new news next nice nine nod none
noon nor nose not note nov now nut oak odd off oil okay old one only opec open oral our out oven over own pace pack
page paid pain pair pal palm pan par park part pass past path pay peak pen pep per pet pick pie pig pin pipe pit plan
play plot plug plus pod poll pool poor pop port post pot pour ppi press pro pull pump pure push put quit race rail rain
ram ran rare rate raw ray read real red rent rest rich ride right ring rip rise risk road rock roe roi role roll room
root rope rose row rub rug rule run rush sad safe said sail sale salt same sand sat save saw say sea seat sec see seed
seek seem self sell send sent sep set shop short show shut sick side sign silk sir sit site six size skin sky slow smart
snap snow soap sock soft sold son song soon sort soul spot spy star stay stem step stop such suit sum sun sure swap
swim tag tail take talk tall tan tank tap task tax tea team tech tell ten tent term test text than that the them then
they thin this tie till time tin tip tire toll tom ton too took tool top tour town toy trade tree trip true try tube
tug turn twin two type ugly unit until upon ups urban usa usd use used van vat very via view visa vol vote wage wait
wake walk wall want war warm was wash way weak wear web week well went were west wet what when who whom why wide wife
wild will win wind wine wing wise wish with wolf won wood word work world worn wrap yard yeah year yen yes yet yolo
you young your zero zone zoo
bbl bch chl dis hon lfc mdt ppl ptr snp sre tgt tot
"""
_WORDS = frozenset(_ORDINARY.split())
