"""The explore page's list as a CSV file that a spreadsheet opens and that cannot act in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, request, stream_with_context

from dashboard import query, search
from dashboard.context import Context
from monitor.errors import DatabaseUnavailable, InputError
from monitor.store.queries import curves, documents
from monitor.store.queries.documents import Filter, Found

MOST_ROWS = 20_000
_STEP = 1_000
_HEAD = (
    "published_at",
    "source",
    "kind",
    "lang",
    "label",
    "negative",
    "neutral",
    "positive",
    "topics",
    "companies",
    "companies_sentiment",
    "title",
    "text",
    "url",
    "author",
    "id",
    "model",
)
# What a spreadsheet takes for the beginning of a formula, the full-width forms among them.
_DANGEROUS = tuple("=+-@\t\r\n＝＋－＠|%")


def harmless(value: Any) -> str:
    """A cell that a spreadsheet shows and never runs.

    >>> harmless("=1+1"), harmless("  @SUM(A1)"), harmless("Shares - up"), harmless(None)
    ("'=1+1", "'  @SUM(A1)", 'Shares - up', '')
    """
    text = "" if value is None else str(value).replace("\x00", "")
    return f"'{text}" if text.startswith(_DANGEROUS) or text.lstrip().startswith(_DANGEROUS) else text


def install(server: Flask, context: Context) -> None:
    """Serve `/export.csv` with the explore page's query."""

    @server.get("/export.csv")
    def export() -> Response:
        given = query.parse(request.query_string.decode("ascii", "replace"))
        try:
            with context.database.transaction() as connection:
                wanted = search.meant(given, context.names, curves.extent(connection))
                first = documents.page(connection, wanted, limit=_STEP)
        except (ValueError, InputError) as error:
            return Response(f"{error}\n", 400, mimetype="text/plain")
        except DatabaseUnavailable:
            return Response("the database cannot be reached right now\n", 503, mimetype="text/plain")
        return Response(
            stream_with_context(_lines(context, wanted, first)),
            mimetype="text/csv",
            headers={"Content-Disposition": 'attachment; filename="bellwether-documents.csv"'},
        )


def _lines(context: Context, wanted: Filter, first: list[Found]) -> Iterator[bytes]:
    # The mark tells Excel that this is UTF-8.
    yield "\ufeff".encode() + _encoded([_HEAD])
    left, found = MOST_ROWS, first
    while found:
        yield _encoded(_row(item) for item in found[:left])
        left -= len(found)
        if len(found) < _STEP or left <= 0:
            return
        with context.database.transaction() as connection:
            found = documents.page(connection, wanted, limit=_STEP, before=found[-1].cursor)


def _encoded(rows: Any) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerows([harmless(cell) for cell in row] for row in rows)
    return buffer.getvalue().encode("utf-8", "replace")


def _row(item: Found) -> tuple[Any, ...]:
    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.4f}"

    return (
        f"{item.published_at:%Y-%m-%dT%H:%M:%SZ}",
        item.source,
        item.kind,
        item.lang,
        item.label or "unscored",
        share(item.negative),
        share(item.neutral),
        share(item.positive),
        "; ".join(f"{topic.id} {topic.probability:.2f}" for topic in item.topics),
        "; ".join(item.companies),
        "; ".join(f"{score.company} {score.label} {getattr(score, score.label):.2f}" for score in item.toward),
        item.title,
        item.text,
        item.url,
        item.author,
        item.id,
        item.model,
    )
