"""One plain row of a labelled file to one example, with every value checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from sys import intern
from typing import Any

from monitor.documents import LABELS, Kind, Label
from monitor.understand.language import normalised
from training.data.columns import Columns, value
from training.data.encoding import garbled
from training.data.examples import Example
from training.data.problems import Problems, nearest, shown

# Words that often stand for a label. They are only proposed: whether "bullish" is meant so is for its owner to say.
_USUAL: dict[Label, str] = {
    "negative": "neg bad bearish sell unfavourable unfavorable 负面 消极 利空 看空 负向 悲观",
    "neutral": "neu none hold mixed 中性 中立",
    "positive": "pos good bullish buy favourable favorable 正面 积极 利好 看多 正向 乐观",
}
_MEANT = {word: label for label, words in _USUAL.items() for word in words.split()}


def _mapped(item: object, meant: str) -> tuple[str, str]:
    """The advice to say what a label of the file means."""
    return (
        "labels",
        f'mend the file, or say what its labels mean, such as labels = {{ "{item}" = "{meant}" }} beside the file in '
        f"a recipe, --label {item}={meant} on the command line",
    )


class Wrong(ValueError):
    """A value cannot be used: which field's, why, and what to do (see `Problems.add`)."""

    def __init__(self, field: str, reason: str, advice: tuple[str, str] | None = None) -> None:
        super().__init__(field, reason)
        self.field, self.reason, self.advice = field, reason, advice


class Fields:
    """Makes examples of the rows of one file.

    Args:
        labels: what the file says → the label or topic it means; "" for none.
        cells: lists, objects and truth may be written as text in a cell, as in CSV.

    Attributes:
        classes: column → names of the classes whose numbers it holds, where the file itself says so.
    """

    def __init__(self, columns: Columns, labels: Mapping[str, str], problems: Problems, *, cells: bool) -> None:
        self._columns = columns
        self._labels = dict(labels)
        self._problems = problems
        self._cells = cells
        self.classes: Mapping[str, Sequence[str]] = {}

    def example(self, number: int, row: Mapping[str, Any], origin: str) -> Example | None:
        """The example of a row, or None when something of it is wrong, which is noted."""
        try:
            names = self._columns.names(row)
        except ValueError as error:
            self._problems.add(number, "text", str(error))
            return None
        found: dict[str, Any] = {}
        sound = True
        for field, read in (
            ("text", self._text),
            ("lang", self._lang),
            ("sentiment", self._sentiment),
            ("topics", self._topics),
            ("negative", self._negative),
            ("entities", self._entities),
            ("at", self._at),
            ("kind", self._kind),
        ):
            try:
                found[field] = read(row, names)
            except Wrong as wrong:
                sound = False
                self._problems.add(number, wrong.field, wrong.reason, advice=wrong.advice)
        if not sound:
            return None
        if garbled(found["text"]):
            self._problems.notes["texts look wrongly decoded (such as Ã©, 锟斤拷 or \N{REPLACEMENT CHARACTER})"] += 1
        return Example(**found, origin=origin)

    def _value(self, row: Mapping[str, Any], names: Mapping[str, str], field: str) -> Any:
        """The field's value; the number of a class becomes its name, what `labels` lists becomes what it means."""
        name = names.get(field)
        if name is None:
            return None
        found = value(row, name)
        if name in self.classes and isinstance(found, int) and 0 <= found < len(self.classes[name]):
            found = self.classes[name][found]
        if isinstance(found, float) and found != found:
            return None
        return found

    def _meant(self, item: Any) -> Any:
        """What `labels` says an item means; None where it says that it means nothing."""
        if not self._labels or item is None:
            return item
        key = str(int(item)) if isinstance(item, float) and item.is_integer() else str(item).strip()
        key = key.lower() if isinstance(item, bool) else key
        if key not in self._labels and key.endswith(".0"):
            key = key[:-2]
        return (self._labels[key] or None) if key in self._labels else item

    def _text(self, row: Mapping[str, Any], names: Mapping[str, str]) -> str:
        if "text" not in names:
            has = ", ".join(map(str, row))
            raise Wrong("text", f"missing; there is {shown(has, 80)}, name the right one with fields, text = …")
        text = value(row, names["text"])
        if not isinstance(text, str) or not text.strip():
            raise Wrong("text", "missing, empty or not a text")
        whole = text.encode("utf-8", "replace").decode("utf-8").replace("\x00", " ")
        if whole != text:  # such as an emoji cut in half; no file, page or database takes it
            self._problems.notes["texts hold half a character or a NUL; a ? or a blank stands in its place"] += 1
        return whole

    def _lang(self, row: Mapping[str, Any], names: Mapping[str, str]) -> str | None:
        lang = self._value(row, names, "lang")
        if lang is None:
            return None
        if not isinstance(lang, str):
            raise Wrong("lang", f"{shown(lang)} is no language code")
        code = normalised(lang)
        # Codes such as `und`, `qme` or `zxx` say that nobody knows; a whole word is a mistake.
        if code is None and len(lang.strip()) > 3:
            raise Wrong("lang", f"{shown(lang)} is no language code such as en or zh")
        return code and intern(code)

    def label(self, field: str, item: Any) -> Label | None:
        """A value as a label of sentiment; case and blanks around it do not matter."""
        item = self._meant(item)
        if item is None:
            return None
        if isinstance(item, str):
            folded = item.strip().casefold()
            for label in LABELS:
                if folded == label:
                    return label
            if not folded.lstrip("+-").replace(".", "", 1).isdigit():
                near = nearest(item, LABELS)
                meant = near or _MEANT.get(folded)
                said = f"{shown(item)} is none of {', '.join(LABELS)}" + (f"; did you mean {meant}?" if meant else "")
                raise Wrong(field, said, None if near or not meant else _mapped(item.strip(), meant))
        elif not isinstance(item, (int, float)):
            raise Wrong(field, f"{shown(item)} is none of {', '.join(LABELS)}")
        if isinstance(item, bool):
            raise Wrong(field, f"{shown(item)} is none of {', '.join(LABELS)}")
        raise Wrong(field, f"{item} is a number, and what it stands for is not said", _mapped(item, "LABEL"))

    def _sentiment(self, row: Mapping[str, Any], names: Mapping[str, str]) -> Label | None:
        try:
            return self.label("sentiment", self._value(row, names, "sentiment"))
        except Wrong as wrong:
            name = names["sentiment"]
            if wrong.advice is None and name != "sentiment" and "did you mean" not in wrong.reason:
                wrong.advice = ("role", f'if {name} holds topics, say so: fields = {{ topics = "{name}" }}')
            raise

    def _topics(self, row: Mapping[str, Any], names: Mapping[str, str]) -> tuple[str, ...] | None:
        given = self._value(row, names, "topics")
        if given is None:
            return None
        if isinstance(given, str) and (self._cells or names["topics"] != "topics"):
            given = self._listed("topics", given)
        elif isinstance(given, (int, float)):
            given = [given]
        if not isinstance(given, list):
            raise Wrong("topics", "not a list of topic ids")
        found = []
        for item in given:
            topic = self._meant(item)
            if topic is None and item is not None:
                continue
            if isinstance(topic, (int, float)) and not isinstance(topic, bool):
                raise Wrong(
                    "topics", f"{topic} is a number, and what it stands for is not said", _mapped(topic, "TOPIC")
                )
            if not isinstance(topic, str) or not topic.strip():
                raise Wrong("topics", "not a list of topic ids")
            found.append(intern(topic.strip()))
        return tuple(dict.fromkeys(found))

    def _listed(self, field: str, cell: str) -> Any:
        """The list that a cell holds: JSON, or names with semicolons between them."""
        if cell.lstrip().startswith("["):
            try:
                return json.loads(cell)
            except ValueError:
                raise Wrong(field, f"{shown(cell)} is no list: write it as JSON or with semicolons") from None
        if cell.strip() in self._labels:
            return [cell]
        return [part for part in cell.split(";") if part.strip()]

    def _negative(self, row: Mapping[str, Any], names: Mapping[str, str]) -> bool | None:
        given = self._meant(self._value(row, names, "negative"))
        if isinstance(given, str) and (self._cells or self._labels) and given.strip().casefold() in ("true", "false"):
            return given.strip().casefold() == "true"
        if given is not None and not isinstance(given, bool):
            raise Wrong("negative", f"{shown(given)} is neither true nor false")
        return given

    def _entities(
        self, row: Mapping[str, Any], names: Mapping[str, str]
    ) -> tuple[tuple[str, Label | bool | None], ...]:
        scored = self._value(row, names, "entity_sentiment")
        if isinstance(scored, str) and self._cells:
            try:
                scored = json.loads(scored)
            except ValueError:
                raise Wrong("entity_sentiment", f"{shown(scored)} is no JSON object") from None
        if scored is not None:
            if not isinstance(scored, dict):
                raise Wrong("entity_sentiment", f"not an object of names and {', '.join(LABELS)}")
            return tuple((name, self.label("entity_sentiment", item)) for name, item in scored.items())
        lists = {}
        for field in ("entities", "negative_entities"):
            given = self._value(row, names, field)
            if isinstance(given, str) and self._cells:
                given = self._listed(field, given)
            if given is not None and not (isinstance(given, list) and all(isinstance(name, str) for name in given)):
                raise Wrong(field, "not a list of names")
            lists[field] = given
        named, bad = lists["entities"], lists["negative_entities"]
        if bad is None:
            return tuple((name, None) for name in dict.fromkeys(named or ()))
        return tuple((name, name in bad) for name in dict.fromkeys([*(named or ()), *bad]))

    def _kind(self, row: Mapping[str, Any], names: Mapping[str, str]) -> Kind | None:
        given = self._value(row, names, "kind")
        return given if given in ("news", "comment") else None  # other files mean other things by it

    def _at(self, row: Mapping[str, Any], names: Mapping[str, str]) -> datetime | None:
        given = self._value(row, names, "published_at")
        if given is None or given == "":
            return None
        try:
            if not isinstance(given, str):
                raise ValueError
            at = datetime.fromisoformat(given.strip())
            # Labelled sets mostly give a day; an hour more or less changes no split by time.
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            raise Wrong("published_at", f"{shown(given)} is no time such as 2026-05-21T05:55:32Z") from None
