"""Lines of UTF-8, and what to say of those that are not."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from monitor.errors import InputError
from training.data.encoding import guessed
from training.data.problems import Problems

LONGEST = 16 << 20
"""Bytes (or characters) of one line or record at most."""


def read_lines(stream: BinaryIO, problems: Problems) -> Iterator[tuple[int, str, bool]]:
    """Each line with its number, and whether it was UTF-8; of one that was not, what could be read.

    How a file's lines are encoded is judged at its end: one other encoding throughout, or a mixture.
    """
    offset = beyond_ascii = 0
    guesses: dict[str, int] = {}
    try:
        for number, raw in enumerate(iter(lambda: stream.readline(LONGEST + 1), b""), 1):
            if len(raw) > LONGEST:
                raise InputError(
                    f"{problems.path}: line {number}: longer than {LONGEST >> 20} MiB; is this one example a line?"
                )
            if number == 1:
                raw, offset = raw.removeprefix(codecs.BOM_UTF8), len(raw) - len(raw.removeprefix(codecs.BOM_UTF8))
            try:
                line = raw.decode("utf-8")
                beyond_ascii += not line.isascii()
                yield number, line, True
            except UnicodeDecodeError as error:
                encoding = guessed(raw)
                guesses[encoding] = guesses.get(encoding, 0) + 1
                problems.add(
                    number,
                    "",
                    f"not UTF-8 at byte {offset + error.start:,} of the file (0x{raw[error.start]:02x}); "
                    f"it looks like {encoding}",
                    kind=f"encoding {encoding}",
                )
                yield number, raw.decode("utf-8", "replace"), False
            offset += len(raw)
    finally:
        if guesses:
            wrong = sum(guesses.values())
            name, first = problems.path.name, next(iter(guesses))
            if beyond_ascii or len(guesses) > 1:
                problems.advice["encoding"] = (
                    f"the file mixes encodings: {beyond_ascii:,} lines hold UTF-8 beyond ASCII and {wrong:,} do not "
                    f"({', '.join(guesses)}); export it anew, or convert these lines by themselves"
                )
            else:
                unpacked = " (unpacked first)" if problems.path.suffix in (".gz", ".zst") else ""
                problems.advice["encoding"] = f"convert it: iconv -f {first} -t UTF-8 {name} > utf8-{name}{unpacked}"
