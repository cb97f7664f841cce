"""Rows of JSON: an object a line, or an array of objects that is never held as a whole."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import BinaryIO

from monitor.errors import InputError
from training.data.encoding import guessed
from training.data.lines import LONGEST, read_lines
from training.data.problems import Problems, Row


def json_lines(stream: BinaryIO, problems: Problems) -> Iterator[Row]:
    for number, line, sound in read_lines(stream, problems):
        if not sound or not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", "nested too deep")
            problems.add(number, "", f"not JSON: {reason} at column {getattr(error, 'colno', 1)}", kind="not JSON")
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            problems.add(number, "", "not a JSON object")


def json_array(stream: BinaryIO, problems: Problems) -> Iterator[Row]:
    """The objects of an array, without ever holding more of it than one object and a piece."""
    decode = codecs.getincrementaldecoder("utf-8-sig")()
    decoder = json.JSONDecoder()
    buffer, at, ended, number, want = "", 0, False, 0, 1 << 16
    bytes_before = 0

    def more() -> None:
        nonlocal buffer, at, ended, bytes_before
        raw = stream.read(want)
        ended = not raw
        try:
            text = decode.decode(raw, final=ended)
        except UnicodeDecodeError as error:
            wrong = error.object[error.start : error.start + 400]
            encoding = guessed(wrong)
            place = bytes_before + len(raw) - len(error.object) + error.start
            raise InputError(
                f"{problems.path}: record {number + 1} or a little later: not UTF-8 at byte {place:,} of the file "
                f"(0x{wrong[0]:02x}); it looks like {encoding}; convert it with iconv -f {encoding} -t UTF-8"
            ) from None
        bytes_before += len(raw)
        buffer, at = buffer[at:] + text, 0

    def peek() -> str:
        """The next character that is not white space; "" at the end."""
        nonlocal at
        while True:
            while at < len(buffer) and buffer[at].isspace():
                at += 1
            if at < len(buffer):
                return buffer[at]
            if ended:
                return ""
            more()

    peek()
    at += 1  # the opening bracket
    while (sign := peek()) != "]":
        if not sign:
            raise InputError(f"{problems.path}: ends in the middle, after record {number}: it was cut off")
        want = 1 << 16
        while True:
            try:
                value, end = decoder.raw_decode(buffer, at)
                # A number or word that touches the end of the buffer may go on.
                if end < len(buffer) or ended:
                    break
            except (ValueError, RecursionError) as error:
                if ended and _cut_off(error, buffer):
                    raise InputError(
                        f"{problems.path}: ends in the middle of record {number + 1}: it was cut off"
                    ) from None
                if ended or len(buffer) - at > LONGEST:
                    raise InputError(
                        f"{problems.path}: record {number + 1}: not JSON: {getattr(error, 'msg', 'nested too deep')}"
                    ) from None
            want = min(2 * want, LONGEST)
            more()
        at = end
        number += 1
        if isinstance(value, dict):
            yield number, value
        else:
            problems.add(number, "", "not a JSON object")
        sign = peek()
        if sign == ",":
            at += 1
        elif sign and sign != "]":
            raise InputError(f"{problems.path}: after record {number}: not JSON: expected , or ]")
    at += 1
    if rest := peek():
        raise InputError(f"{problems.path}: after the array's end there is more, from {rest!r} on")


def _cut_off(error: Exception, buffer: str) -> bool:
    """Whether JSON ends before it is complete, rather than being wrong."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.msg.startswith("Unterminated") or error.pos >= len(buffer.rstrip()) - 1
