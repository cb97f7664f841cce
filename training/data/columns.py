"""Which column of a file is which field of ours: by its own name, by a usual other name, or as the recipe says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.errors import InputError
from training.data.problems import nearest

# Field of ours: the names it goes by, its own first. Only names that mean nothing else in labelled files.
ALIASES: dict[str, tuple[str, ...]] = {
    "text": ("text", "sentence", "headline", "content", "body", "tweet", "comment", "review", "message", "title"),
    "lang": ("lang", "language"),
    "sentiment": ("sentiment", "label", "polarity"),
    "topics": ("topics", "topic"),
    "negative": ("negative",),
    "entities": ("entities",),
    "negative_entities": ("negative_entities",),
    "entity_sentiment": ("entity_sentiment",),
    "published_at": ("published_at",),
    "kind": ("kind",),
}
_REMEMBERED = 1_000


class Columns:
    """Finds our fields in rows that may each hold others.

    Args:
        fields: field of ours → name in the file, dots for a way into nested objects (`text` → `data.body`).

    Raises:
        InputError: `fields` names a field that there is not.
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        for name in fields:
            if name not in ALIASES:
                near = nearest(name, ALIASES)
                meant = f"; did you mean {near}?" if near else ""
                raise InputError(f"fields: {name!r} is none of {', '.join(ALIASES)}{meant}")
        self._fields = dict(fields)
        self._unseen = set(fields)
        self._known: dict[tuple[str, ...], dict[str, str]] = {}

    def names(self, row: Mapping[str, Any]) -> Mapping[str, str]:
        """Field of ours → name in this row, for the fields it has.

        Raises:
            ValueError: several could be the text; the message names them.
        """
        key = tuple(row)
        found = self._known.get(key)
        if found is None:
            found = self._named(row)
            if len(self._known) < _REMEMBERED:
                self._known[key] = found
            self._unseen -= set(found)
        return found

    def _named(self, row: Mapping[str, Any]) -> dict[str, str]:
        folded: dict[str, str] = {}
        for name in row:
            folded.setdefault(name.strip().casefold(), name)
        taken = set(self._fields.values())
        found: dict[str, str] = {}
        for field, aliases in ALIASES.items():
            if field in self._fields:
                name = self._fields[field]
                if name in row or name.split(".")[0] in row:
                    found[field] = name
                continue
            present = [folded[name] for name in aliases if name in folded and folded[name] not in taken]
            if field in row and field not in taken:
                present = [field]
            if field == "text" and len(present) > 1 and aliases[0] not in folded:
                # A title beside a body is only a title.
                present = [name for name in present if name.strip().casefold() != "title"]
                if len(present) > 1:
                    raise ValueError(f"could be {' or '.join(present)}; say which with fields, text = {present[0]!r}")
            if present:
                found[field] = present[0]
        return found

    def unseen(self) -> dict[str, str]:
        """What `fields` names and no row had."""
        return {field: self._fields[field] for field in sorted(self._unseen)}


def value(row: Mapping[str, Any], name: str) -> Any:
    """The value under a name of the row, or down a dotted way; None where there is none."""
    if name in row:
        return row[name]
    at: Any = row
    for part in name.split("."):
        if not isinstance(at, Mapping) or part not in at:
            return None
        at = at[part]
    return at
