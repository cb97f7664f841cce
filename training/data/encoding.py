"""Text that is not UTF-8: where it starts, and what it most likely is."""

from __future__ import annotations

import re

_HIGH = re.compile(rb"[\x80-\xff]+")
_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32LE",
    b"\x00\x00\xfe\xff": "UTF-32BE",
    b"\xff\xfe": "UTF-16LE",
    b"\xfe\xff": "UTF-16BE",
}
_FOREIGN = {b"PK\x03\x04": "a zip archive or an Excel file", b"\xd0\xcf\x11\xe0": "an old Excel file", b"%PDF": "a PDF"}
# The narrow GB2312 before Big5, for nearly any bytes pass as the wide GB18030.
_CHINESE_FIRST = (("gb2312", "GB18030"), ("big5", "BIG5"), ("gb18030", "GB18030"), ("shift_jis", "SHIFT_JIS"))

# What wrong decoding leaves behind: UTF-8 read as Windows-1252, UTF-8 read as GB18030, and characters given up.
_GARBLED = re.compile("Ã[\u0080-\u00bf]|â€[\u0080-\u2122]|ï¿½|锟斤拷|\ufffd")


def marked(beginning: bytes) -> str | None:
    """The encoding that a file's first bytes name, if it is one of two or four bytes a character."""
    found = next((name for mark, name in _MARKS.items() if beginning.startswith(mark)), None)
    if found is None and len(beginning) >= 8 and b"\x00" in beginning[:64]:
        even, odd = beginning[:64:2].count(0), beginning[1:64:2].count(0)
        found = "UTF-16LE" if odd > 8 > even else "UTF-16BE" if even > 8 > odd else None
    return found


def foreign(beginning: bytes) -> str | None:
    """What kind of file it is that can never be labelled text, by its first bytes."""
    return next((name for mark, name in _FOREIGN.items() if beginning.startswith(mark)), None)


def guessed(raw: bytes) -> str:
    """The likeliest encoding of bytes that are not UTF-8, under the name `iconv` knows.

    Letters of Western languages stand alone among ASCII; the bytes of Chinese characters come in even runs.

    >>> guessed("Société Générale".encode("latin-1")), guessed("净利润同比下降".encode("gb18030"))
    ('WINDOWS-1252', 'GB18030')
    """
    runs = [len(run) for run in _HIGH.findall(raw)]
    if max(runs, default=0) >= 2 and sum(runs) >= 1.5 * len(runs):
        for codec, name in _CHINESE_FIRST:
            try:
                raw.decode(codec)
            except UnicodeDecodeError:
                continue
            return name
    try:
        raw.decode("cp1252")
    except UnicodeDecodeError:
        return "ISO-8859-1"
    return "WINDOWS-1252"


def garbled(text: str) -> bool:
    """Whether the text carries the signs of having been decoded wrongly before it was written."""
    return not text.isascii() and _GARBLED.search(text) is not None
