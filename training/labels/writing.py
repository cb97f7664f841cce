"""Labelled texts to files: plain rows (JSON lines, CSV, Parquet), and what Label Studio and Argilla take in.

Plain rows hold what the labellers agree on, in the form `training.data.reading` reads. The two tools get each
person's answers apart, since there disagreement can be talked over.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal, get_args
from uuid import NAMESPACE_OID, uuid5

from monitor.errors import InputError
from training.labels.entities import Spans
from training.placing import placed

Format = Literal["jsonl", "csv", "parquet", "label-studio", "argilla"]
FORMATS: tuple[Format, ...] = get_args(Format)
_BY_NAME: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}


@dataclass(frozen=True, slots=True)
class Answers:
    """What one person, or a model, says of a text; `companies` by symbol."""

    actor: str
    sentiment: str | None = None
    topics: Sequence[str] | None = None
    companies: dict[str, str] = field(default_factory=dict)
    at: datetime | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A text for an annotation tool: its data, where it mentions companies, answers given and a model's guess."""

    key: str
    text: str
    data: dict[str, Any]
    spans: Spans = ()
    answers: Sequence[Answers] = ()
    guess: Answers | None = None


def format_of(path: Path, chosen: str | None) -> Format:
    """The format that was chosen, or the one the file's name says.

    Raises:
        InputError: nothing was chosen and the name ends in nothing known.
    """
    for known in FORMATS:
        if chosen == known:
            return known
    name = path.name.lower()
    for packed in (".gz", ".zst"):
        name = name.removesuffix(packed)
    for ending, known in _BY_NAME.items():
        if name.endswith(ending):
            return known
    raise InputError(
        f"{path}: cannot tell the format from the name; end it in .jsonl, .csv or .parquet, or give --format"
    )


def write_rows(path: Path, rows: Sequence[dict[str, Any]], format: Format) -> None:
    """Write plain rows. Lists and objects are JSON in a cell of CSV; objects are in Parquet.

    Raises:
        InputError: the file cannot be written.
    """
    if format == "parquet":
        _parquet(path, rows)
        return
    with _opened(path) as stream:
        if format == "csv":
            columns = list(dict.fromkeys(name for row in rows for name in row))
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
        else:
            stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_tasks(path: Path, tasks: Sequence[Task], format: Format) -> None:
    """Write a JSON array that Label Studio or Argilla takes in. Raises InputError as `write_rows` does."""
    make = _label_studio if format == "label-studio" else _argilla
    with _opened(path) as stream:
        stream.write("[\n" + ",\n".join(json.dumps(make(task), ensure_ascii=False) for task in tasks) + "\n]\n")


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    """The file for writing, packed as its name says; it takes the old one's place only when it is whole."""
    try:
        with placed(path) as part, _stream(part, path.suffix.lower()) as stream:
            yield stream
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None


def _stream(path: Path, packed: str) -> IO[str]:
    if packed == ".gz":
        return gzip.open(path, "wt", encoding="utf-8", newline="")
    if packed == ".zst":
        import zstandard

        return zstandard.open(path, "wt", encoding="utf-8", newline="")
    return path.open("w", encoding="utf-8", newline="")


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def _parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import pyarrow
    import pyarrow.parquet

    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = pyarrow.table(
        {
            name: [_cell(value) if isinstance(value := row.get(name), dict) else value for row in rows]
            for name in columns
        }
    )
    try:
        with placed(path) as part:
            pyarrow.parquet.write_table(table, part)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None


def _label_studio(task: Task) -> dict[str, Any]:
    found: dict[str, Any] = {"data": {"text": task.text, "key": task.key, **task.data}}
    found["annotations"] = [
        {"result": _results(task, one), "actor": one.actor, **({"created_at": one.at.isoformat()} if one.at else {})}
        for one in task.answers
    ]
    if task.guess is not None:
        guess = {"model_version": task.guess.actor, "result": _results(task, task.guess)}
        found["predictions"] = [guess if task.guess.score is None else guess | {"score": task.guess.score}]
    return found


def _results(task: Task, answers: Answers) -> list[dict[str, Any]]:
    def chosen(name: str, values: Sequence[str]) -> dict[str, Any]:
        return {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": list(values)}}

    found = [chosen("sentiment", [answers.sentiment])] if answers.sentiment else []
    if answers.topics is not None:
        found.append(chosen("topics", answers.topics))
    for number, (start, end, symbol) in enumerate(task.spans):
        if symbol in answers.companies:
            value = {"start": start, "end": end, "text": task.text[start:end], "labels": [answers.companies[symbol]]}
            found.append(
                {"id": f"span{number}", "from_name": "toward", "to_name": "text", "type": "labels", "value": value}
            )
    return found


def _argilla(task: Task) -> dict[str, Any]:
    responses: dict[str, list[dict[str, Any]]] = {}
    for answers in task.answers:
        user = {"user_id": str(uuid5(NAMESPACE_OID, answers.actor)), "status": "submitted"}
        for question, value in _values(task, answers):
            responses.setdefault(question, []).append({"value": value, **user})
    suggestions = {}
    if task.guess is not None:
        for question, value in _values(task, task.guess):
            suggestions[question] = {"value": value, "agent": task.guess.actor, "score": None}
        if "sentiment" in suggestions:
            suggestions["sentiment"]["score"] = task.guess.score
    return {
        "id": task.key,
        "fields": {"text": task.text},
        "metadata": {"key": task.key, **task.data},
        "responses": responses,
        "suggestions": suggestions,
    }


def _values(task: Task, answers: Answers) -> Iterator[tuple[str, Any]]:
    if answers.sentiment:
        yield "sentiment", answers.sentiment
    if answers.topics is not None:
        yield "topics", list(answers.topics)
    marked = [
        {"start": start, "end": end, "label": answers.companies[symbol]}
        for start, end, symbol in task.spans
        if symbol in answers.companies
    ]
    if marked:
        yield "toward", marked
