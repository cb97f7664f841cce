"""`bellwether classify`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import click

from monitor.champions import lineup_without_record
from monitor.documents import Document, Understanding
from monitor.errors import ArchiveError, InputError
from monitor.progress import progress
from monitor.settings import load
from monitor.sources.compression import Broken, compression, decompressed

if TYPE_CHECKING:
    from monitor.understand.reader import Reader

BATCH = 512
_UNDATED = datetime(1970, 1, 1, tzinfo=UTC)


@click.command()
@click.argument("file", default="-", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--out", type=click.Path(dir_okay=False), help="Write here instead of standard output.")
@click.option(
    "--model", type=click.Path(exists=True, file_okay=False), multiple=True, help="A model folder (repeatable)."
)
def classify(file: str, out: str | None, model: tuple[str, ...]) -> None:
    """Score texts: JSON lines in, the same lines out with what was found.

    A line needs `text` or `title`; `lang` and `symbols` are used when they are there. FILE may be plain, .gz
    or .zst; - is standard input. To each line are added lang, sentiment, topics, companies and model; where a
    text concerns several companies and the model tells them apart, also companies_sentiment: the sentiment toward
    each, by symbol; where a text is longer than the model reads, also "cut": true. A line that cannot be used comes
    back as {"error": …, "line": N}, the rest goes on, and the exit status is 1. The champions of the registry read
    (see `bellwether models`), or the folders of --model.

    \b
    echo '{"text": "Halvern Bank halts withdrawals"}' | bellwether classify
    """
    settings = load(overrides={"engine.bundles": ",".join(model)} if model else None).settings
    with contextlib.ExitStack() as stack:
        lines, size, position = _open(stack, file)
        from monitor.understand.reader import Reader

        reader = Reader(settings.engine, replace(lineup_without_record(settings), shadows=()))
        sink: IO[str] = stack.enter_context(Path(out).open("w", encoding="utf-8")) if out else sys.stdout
        bar = stack.enter_context(progress("classify", size)) if size else None
        done = failed = 0
        while batch := list(islice(lines, BATCH)):
            for result in _classified(batch, done + 1, reader):
                failed += "error" in result and "sentiment" not in result
                sink.write(json.dumps(result, ensure_ascii=False) + "\n")
            done += len(batch)
            sink.flush()
            if bar:
                bar.update(position(), f"{done} texts")
    if failed:
        raise InputError(f'{failed} of {done} lines could not be used; each is marked with "error" in the output')


def _open(stack: contextlib.ExitStack, file: str) -> tuple[Iterator[bytes], int, Any]:
    """The lines of a file, its size on disk (0: unknown) and a function that says how much of it was read."""
    if file == "-":
        return iter(sys.stdin.buffer), 0, None
    path = Path(file)
    raw = stack.enter_context(path.open("rb"))
    try:
        stream: BinaryIO = decompressed(raw, compression(raw.peek(8)[:8], path.suffix))
    except Broken as error:
        raise ArchiveError(f"{path} {error}") from None

    def lines() -> Iterator[bytes]:
        try:
            yield from stream
        except Broken as error:
            raise ArchiveError(f"{path} {error}") from None

    return lines(), path.stat().st_size, raw.tell


def _classified(lines: Iterable[bytes], first: int, reader: Reader) -> Iterator[dict[str, Any]]:
    parsed = [_parsed(line, number) for number, line in enumerate(lines, first) if line.strip()]
    understood = iter(reader.read([document for _, document in parsed if document is not None]))
    for fields, document in parsed:
        yield fields if document is None else fields | _found(next(understood))


def _parsed(line: bytes, number: int) -> tuple[dict[str, Any], Document | None]:
    def wrong(what: str) -> tuple[dict[str, Any], None]:
        return {"error": what, "line": number}, None

    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        return wrong(f"not JSON: {error}")
    if not isinstance(fields, dict):
        return wrong("not a JSON object")
    title, text, lang = fields.get("title") or "", fields.get("text") or "", fields.get("lang")
    symbols = fields.get("symbols") or []
    if not isinstance(title, str) or not isinstance(text, str) or not (title.strip() or text.strip()):
        return wrong('no "text" (or "title") that is a string')
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
        return wrong('"symbols" is no list of strings')
    known = lang if isinstance(lang, str) else None
    return fields, Document("", "", "news", _UNDATED, title, text, known, tuple(symbols))


def _found(understanding: Understanding) -> dict[str, Any]:
    found: dict[str, Any] = {
        "lang": understanding.lang,
        "sentiment": understanding.sentiment and understanding.sentiment.as_dict(),
        "topics": [{"id": topic.id, "probability": topic.probability} for topic in understanding.topics],
        "companies": list(understanding.companies),
        "model": understanding.model,
    }
    if understanding.toward:
        found["companies_sentiment"] = {symbol: sentiment.as_dict() for symbol, sentiment in understanding.toward}
    if understanding.cut:
        found["cut"] = True
    return found
