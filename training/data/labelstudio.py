"""Exports of Label Studio: its full JSON, a task with its annotations, and JSON-MIN, a row an annotation.

In the full form the choices of a region (`perRegion`) carry the region's id, as does its own label: both say
something of the same entity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from training.data.answers import Answered, Entities, Questions, flat
from training.data.problems import Problems, Row

_CHOSEN = ("choices", "taxonomy", "rating", "number")
_OWN = frozenset({"id", "annotator", "annotation_id", "lead_time", "created_at", "updated_at", "agreement"})


def is_task(row: Mapping[str, Any]) -> bool:
    """Whether a record is a task of the full export."""
    return isinstance(row.get("data"), dict) and isinstance(row.get("annotations", row.get("completions")), list)


def is_minimal(row: Mapping[str, Any]) -> bool:
    """Whether a record is an annotation of JSON-MIN."""
    return "annotation_id" in row and "lead_time" in row


def rows_of_tasks(tasks: Iterable[Row], questions: Questions, problems: Problems) -> Iterator[Row]:
    """A plain row for each task that somebody has annotated."""
    for number, task in tasks:
        if not is_task(task):
            problems.add(number, "", "no task of Label Studio: it lacks data or annotations")
            continue
        given = task.get("annotations", task.get("completions")) or ()
        valid = [
            item
            for item in given
            if isinstance(item, dict) and not item.get("was_cancelled") and not item.get("skipped")
        ]
        valid = [item for item in valid if item.get("ground_truth")] or valid
        if not valid:
            problems.notes["tasks without an annotation are left out"] += 1
            continue
        valid.sort(key=lambda item: str(item.get("updated_at") or item.get("created_at") or ""), reverse=True)
        answered = Answered(task["data"])
        for annotation in valid:
            results = annotation.get("result")
            _add(answered, [item for item in results if isinstance(item, dict)] if isinstance(results, list) else [])
        yield number, questions.row(number, answered)


def _add(answered: Answered, results: Iterable[Mapping[str, Any]]) -> None:
    """Put one annotator's results in."""
    chosen: dict[str, list[Any]] = {}
    regions: dict[Any, tuple[str | None, list[str]]] = {}
    for place, result in enumerate(results):
        value = result.get("value")
        if not isinstance(value, dict):
            continue
        picked = next((value[key] for key in _CHOSEN if key in value), None)
        if "start" in value and "end" in value:
            named = value.get("labels") if isinstance(value.get("labels"), list) else []
            said = [*(named or ()), *(picked if isinstance(picked, list) else ())]
            name, before = regions.get(result.get("id", place), (None, []))
            text = value.get("text")
            if not isinstance(text, str):
                text = _cut(answered.data, value)
            regions[result.get("id", place)] = (name or text, [*before, *map(str, said)])
        elif picked is not None:
            chosen.setdefault(str(result.get("from_name")), []).extend(picked if isinstance(picked, list) else [picked])
    _note(answered, chosen, regions.values())


def _note(answered: Answered, chosen: Mapping[str, list[Any]], regions: Iterable[tuple[str | None, list[str]]]) -> None:
    for question, values in chosen.items():
        answered.answers.setdefault(question, []).append(flat(values))
    entities: Entities = {}
    for name, said in regions:
        if name and name.strip():
            entities[name.strip()] = (*entities.get(name.strip(), ()), *said)
    if entities:
        answered.entities.append(entities)


def _cut(data: Mapping[str, Any], value: Mapping[str, Any]) -> str | None:
    """The marked piece of the text, where the export leaves it out and the project has one text only."""
    texts = [item for item in data.values() if isinstance(item, str)]
    start, end = value["start"], value["end"]
    if len(texts) != 1 or not isinstance(start, int) or not isinstance(end, int):
        return None
    return texts[0][start:end]


def rows_of_minimal(rows: Iterable[Row], questions: Questions, problems: Problems) -> Iterator[Row]:
    """A plain row for each task; the rows of one task, an annotation each, stand together in the file."""
    pending: tuple[int, Any, Answered] | None = None
    for number, row in rows:
        if not is_minimal(row):
            problems.add(number, "", "no row of Label Studio's JSON-MIN: it lacks annotation_id or lead_time")
            continue
        if pending is None or row.get("id") is None or row.get("id") != pending[1]:
            if pending is not None:
                yield pending[0], questions.row(pending[0], pending[2])
            pending = (number, row.get("id"), Answered({}))
        _add_minimal(pending[2], row)
    if pending is not None:
        yield pending[0], questions.row(pending[0], pending[2])


def _add_minimal(answered: Answered, row: Mapping[str, Any]) -> None:
    chosen: dict[str, list[Any]] = {}
    regions: dict[Any, tuple[str | None, list[str]]] = {}
    for name, value in row.items():
        if name in _OWN:
            continue
        parts = value if isinstance(value, list) else [value]
        if any(isinstance(part, dict) and {*_CHOSEN, "labels"} & part.keys() for part in parts):
            for place, part in enumerate(parts):
                if not isinstance(part, dict):
                    chosen.setdefault(name, []).append(part)
                    continue
                one: Any = next((part[key] for key in _CHOSEN if key in part), [])
                picked: list[Any] = one if isinstance(one, list) else [one]
                if "start" in part and "end" in part:
                    text = part.get("text") if isinstance(part.get("text"), str) else None
                    key = (part["start"], part["end"], text)
                    before = regions.get(key, (text, []))[1]
                    regions[key if text else (name, place)] = (text, [*before, *map(str, part.get("labels") or picked)])
                else:
                    chosen.setdefault(name, []).extend(picked)
            continue
        answered.data.setdefault(name, value)
        # A choice and a field of the task look alike here; the questions tell them apart by name or content.
        if all(isinstance(part, (str, int, float)) for part in parts):
            chosen[name] = parts
    _note(answered, chosen, regions.values())
