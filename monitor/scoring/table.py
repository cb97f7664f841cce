"""What is written of each document: one row of a Parquet table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from monitor.documents import Document, Received, Rejected, Understanding

if TYPE_CHECKING:
    import pyarrow


def schema(*, with_text: bool) -> pyarrow.Schema:
    """The columns of scores.

    `file` and `record` say where the document stands (the archive's name, and its number there from 0). Sentiment is
    null where no model reads the language. Probabilities are in [0, 1], rounded to four decimals.
    """
    import pyarrow as pa

    number = pa.float32()
    sentiment = [("label", pa.string()), ("negative", number), ("neutral", number), ("positive", number)]
    topic = pa.struct([("id", pa.string()), ("probability", number)])
    toward = pa.struct([("company", pa.string()), *sentiment])
    text = [("title", pa.string()), ("text", pa.string())] if with_text else []
    return pa.schema(
        [
            ("file", pa.string()),
            ("record", pa.int64()),
            ("source", pa.string()),
            ("id", pa.string()),
            ("kind", pa.string()),
            ("published_at", pa.timestamp("us", tz="UTC")),
            *text,
            ("lang", pa.string()),
            ("sentiment", pa.struct(sentiment)),
            ("topics", pa.list_(topic)),
            ("companies", pa.list_(pa.string())),
            ("companies_sentiment", pa.list_(toward)),
            ("model", pa.string()),
            ("cut", pa.bool_()),
        ]
    )


def rejected_schema() -> pyarrow.Schema:
    """The columns of what could not be used: where it stands, why, and its first bytes."""
    import pyarrow as pa

    return pa.schema(
        [
            ("file", pa.string()),
            ("record", pa.int64()),
            ("reason", pa.string()),
            ("detail", pa.string()),
            ("raw", pa.binary()),
        ]
    )


def rows(
    received: Sequence[Received], understood: Sequence[Understanding | None], *, with_text: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of scores, and rows of what was rejected."""
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for item, one in zip(received, understood, strict=True):
        place = {"file": item.origin.topic, "record": item.origin.offset}
        content = item.content
        if isinstance(content, Rejected):
            bad.append(place | {"reason": content.reason, "detail": content.detail, "raw": content.raw})
        elif one is not None:
            good.append(place | _row(content, one, with_text=with_text))
    return good, bad


def _row(document: Document, one: Understanding, *, with_text: bool) -> dict[str, Any]:
    text = {"title": document.title or None, "text": document.text or None} if with_text else {}
    return {
        "source": document.source,
        "id": document.id,
        "kind": document.kind,
        "published_at": document.published_at,
        **text,
        "lang": one.lang,
        "sentiment": one.sentiment and one.sentiment.as_dict(),
        "topics": [{"id": topic.id, "probability": topic.probability} for topic in one.topics],
        "companies": list(one.companies),
        "companies_sentiment": [{"company": symbol} | toward.as_dict() for symbol, toward in one.toward],
        "model": one.model,
        "cut": one.cut,
    }
