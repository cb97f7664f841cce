"""Exports of Argilla: the records of version 2, nested or flattened, those of version 1 and of the server's API.

Only submitted responses count. Where nobody has responded, a record's suggestions do; they are mostly a model's, so
how many there were is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from training.data.answers import Answered, Entities, Questions, flat
from training.data.problems import Problems, Row

_RESPONSES, _SUGGESTION = ".responses", ".suggestion"


def is_record(row: Mapping[str, Any]) -> bool:
    """Whether a row is a record of Argilla, in any of its forms."""
    if isinstance(row.get("fields"), dict):
        return "responses" in row or "suggestions" in row
    return any(name.endswith((_RESPONSES, _SUGGESTION)) or _is_answers(row[name]) for name in row)


def _is_answers(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and {"value", "user_id"} <= item.keys() for item in value)
    )


def rows_of_records(records: Iterable[Row], questions: Questions, problems: Problems) -> Iterator[Row]:
    """A plain row for each record that has a response or a suggestion."""
    for number, record in records:
        if isinstance(record.get("fields"), dict):
            responses, suggestions = _nested(record)
            metadata = record.get("metadata")
            data = {**(metadata if isinstance(metadata, dict) else {}), **record["fields"]}
        else:
            responses, suggestions, data = _flattened(record)
        if not responses and _discarded(record):
            problems.notes["discarded records are left out"] += 1
            continue
        if not responses and suggestions:
            problems.notes["records nobody responded to are taken with their suggestions"] += 1
            responses = {question: [value] for question, value in suggestions.items()}
        if not responses:
            problems.notes["records without a response or a suggestion are left out"] += 1
            continue
        answered = Answered(data)
        for question, values in responses.items():
            for value in values:
                _add(answered, question, value)
        yield number, questions.row(number, answered)


def _nested(record: Mapping[str, Any]) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Responses (question → one value an annotator) and suggestions (question → value) of a record."""
    found: dict[str, list[Any]] = {}
    given = record.get("responses") or {}
    if isinstance(given, dict):  # version 2: question → its responses
        for question, items in given.items():
            for item in items if isinstance(items, list) else [items]:
                _take(found, question, item)
    elif isinstance(given, list):  # version 1 and the API: a user's responses to all questions
        for item in given:
            if isinstance(item, dict) and item.get("status") in (None, "submitted"):
                values = item.get("values") or {}
                for question, value in values.items() if isinstance(values, dict) else ():
                    _take(found, question, value)
    proposed = record.get("suggestions") or {}
    suggestions = {}
    if isinstance(proposed, dict):
        suggestions = {name: item.get("value") for name, item in proposed.items() if isinstance(item, dict)}
    elif isinstance(proposed, list):
        suggestions = {
            str(item.get("question_name")): item.get("value")
            for item in proposed
            if isinstance(item, dict) and item.get("question_name")
        }
    return found, {name: value for name, value in suggestions.items() if value is not None}


def _take(found: dict[str, list[Any]], question: str, item: Any) -> None:
    if isinstance(item, dict) and item.get("status") in (None, "submitted") and item.get("value") is not None:
        found.setdefault(question, []).append(item["value"])


def _flattened(record: Mapping[str, Any]) -> tuple[dict[str, list[Any]], dict[str, Any], dict[str, Any]]:
    """The same of a record whose questions stand among its fields: `label.responses`, or `label` with answers."""
    found: dict[str, list[Any]] = {}
    suggestions: dict[str, Any] = {}
    data: dict[str, Any] = {}
    for name, value in record.items():
        if name.endswith(_RESPONSES):
            statuses = record.get(name + ".status") or []
            for place, item in enumerate(value or []):
                if item is not None and (place >= len(statuses) or statuses[place] in (None, "submitted")):
                    found.setdefault(name.removesuffix(_RESPONSES), []).append(item)
        elif name.endswith((_SUGGESTION, "-suggestion")):
            if value is not None:
                suggestions[name[: -len(_SUGGESTION)]] = value
        elif _is_answers(value):
            for item in value:
                _take(found, name, item)
        elif _RESPONSES + "." not in name and _SUGGESTION + "." not in name and "-suggestion-" not in name:
            data[name] = value
    return found, suggestions, data


def _discarded(record: Mapping[str, Any]) -> bool:
    """Whether somebody looked at the record and threw it out."""
    given = record.get("responses")
    if record.get("status") == "discarded":
        return True
    if isinstance(given, dict):
        given = [item for items in given.values() if isinstance(items, list) for item in items]
    if isinstance(given, list):
        return any(isinstance(item, dict) and item.get("status") == "discarded" for item in given)
    return any(name.endswith(_RESPONSES + ".status") and "discarded" in (value or []) for name, value in record.items())


def _add(answered: Answered, question: str, value: Any) -> None:
    """Put one annotator's answer to one question in: a label, several, or spans of the text."""
    values = value if isinstance(value, list) else [value]
    spans = [item for item in values if isinstance(item, dict) and "start" in item and "end" in item]
    if not spans:
        answered.answers.setdefault(question, []).append(flat(values))
        return
    entities: Entities = {}
    texts = [item for item in answered.data.values() if isinstance(item, str)]
    for span in spans:
        text = answered.data.get("text", texts[0] if len(texts) == 1 else None)
        name = span.get("text") or (text[span["start"] : span["end"]] if isinstance(text, str) else "")
        if name.strip():
            entities[name.strip()] = (*entities.get(name.strip(), ()), str(span.get("label", "")))
    answered.entities.append(entities)
