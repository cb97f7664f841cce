"""What the explore page's filters mean, the same for the list, the export and the shared address."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from dashboard import query
from dashboard.names import Names
from dashboard.ranges import RANGES, resolve
from monitor.documents import LABELS
from monitor.store.queries.documents import UNSCORED, Filter

FIELDS = ("q", "topic", "company", "label", "lang", "kind", "source", "range", "from", "to")


def bounds(given: Mapping[str, str | None]) -> tuple[datetime | None, datetime | None]:
    """The times typed in. Raises ValueError when one of them is no time."""
    return query.instant(given.get("from")), query.instant(given.get("to"))


def meant(given: Mapping[str, str | None], names: Names, extent: tuple[datetime, datetime] | None) -> Filter:
    """The filter.

    Args:
        given: what was chosen, by the names in `FIELDS`.
        extent: first and last minute of the record: a range like "24h" ends with the last.

    Raises:
        ValueError: a time that is none.
    """
    start, end = bounds(given)
    name = given.get("range")
    if name in RANGES and extent is not None and start is None and end is None:
        span = resolve(name, *extent)
        start = span.start
    topic = query.clean(given.get("topic"))
    return Filter(
        words=query.clean(given.get("q")),
        topics=names.below(topic) if topic in names.topics else (topic,) if topic else (),
        company=query.clean(given.get("company")),
        label=query.one_of(given.get("label"), (*LABELS, UNSCORED)),
        lang=query.clean(given.get("lang")),
        kind=query.clean(given.get("kind")),
        source=query.clean(given.get("source")),
        start=start,
        end=end,
    )
