"""Opens an archive's bytes, plain, gzip or zstd, so that a cut-off or damaged file never passes for a whole one."""

from __future__ import annotations

import io
import zlib
from typing import Any, BinaryIO, cast

SUFFIXES = (".gz", ".zst")
"""Suffixes that stand for a compression."""

_MAGIC = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}
_PIECE = 2_048
"""Compressed bytes taken at a time: zstd can unfold them 30,000-fold, and that much must fit in memory."""


class Broken(Exception):
    """The data ends in the middle or cannot be decompressed; the message says which, to follow the file's name."""


def compression(beginning: bytes, suffix: str) -> str:
    """`.gz`, `.zst` or "" for a file that begins with these bytes; the content is believed rather than the name.

    Raises:
        Broken: the name says that it is compressed, and it is not.
    """
    found = next((kind for magic, kind in _MAGIC.items() if beginning.startswith(magic)), "")
    if suffix in SUFFIXES and not found:
        raise Broken(f"is not compressed, though its name ends in {suffix}" if beginning else "is empty")
    return found


def decompressed(raw: BinaryIO, kind: str) -> BinaryIO:
    """A stream of what `raw` holds unpacked; reading it raises `Broken` where the data ends too soon or is damaged."""
    return cast(BinaryIO, io.BufferedReader(_Unpacking(raw, kind), 1 << 16)) if kind else raw


class _Unpacking(io.RawIOBase):
    """Reads frame after frame: files made by `cat a.gz b.gz` or by parallel compressors hold several."""

    def __init__(self, raw: BinaryIO, kind: str) -> None:
        self._raw = raw
        self._kind = kind
        # zlib's and zstandard's decompressors share the few members used here.
        self._frame: Any = None
        self._packed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            self._packed = self._packed or self._raw.read(_PIECE)
            if not self._packed:
                if self._frame is not None:
                    raise Broken("ends in the middle: it was cut off")
                return 0
            self._advance()
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _advance(self) -> None:
        if self._frame is None:
            # Zero bytes between and after frames are padding.
            self._packed = self._packed.lstrip(b"\x00")
            if not self._packed:
                return
            self._frame = _frame(self._kind)
        packed, self._packed = self._packed, b""
        try:
            self._ready = memoryview(self._frame.decompress(packed))
        except Exception as error:  # zlib.error and zstandard.ZstdError share no base
            raise Broken(f"is damaged: {error}") from None
        if self._frame.eof:
            self._packed = self._frame.unused_data
            self._frame = None


def _frame(kind: str) -> Any:
    if kind == ".gz":
        return zlib.decompressobj(wbits=31)
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj()
