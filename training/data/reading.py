"""Labelled files: reading them, whatever tool wrote them, with all that is wrong told at once.

A plain row has `text`, and as known `lang`, `sentiment`, `topics`, `negative`, `entity_sentiment` (name → label), or
`entities` and those of them in `negative_entities`, and `published_at`. Exports of Label Studio and Argilla are
brought into that form first.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from monitor.errors import InputError
from monitor.progress import progress
from training.data.answers import Questions
from training.data.argilla import is_record, rows_of_records
from training.data.columns import Columns
from training.data.examples import Example
from training.data.files import Rows, look_into
from training.data.labelstudio import is_minimal, is_task, rows_of_minimal, rows_of_tasks
from training.data.problems import Problems, Row
from training.data.rows import Fields

log = logging.getLogger(__name__)

_LARGE = 16 << 20
"""Bytes from which on reading shows its progress."""
_STEP = 2_000


def read_examples(
    path: Path, *, fields: Mapping[str, str] | None = None, labels: Mapping[str, str] | None = None
) -> list[Example]:
    """Every example of a labelled file, in its order.

    Args:
        path: JSON lines, a JSON array, CSV or Parquet, also `.gz` and `.zst`; or an export of Label Studio (JSON,
            JSON-MIN) or Argilla. Told apart by what they hold.
        fields: field of ours → its name in the file, for names we would not know (`{"text": "kommentar"}`).
        labels: what the file says → the label or topic it means (`{"1": "positive"}`); "" stands for no label.

    Raises:
        InputError: the file cannot be read, is empty, or rows of it are not what they should be: file, line, field
            and reason of up to 20 kinds of problem, and the number of the rest.
    """
    problems = Problems(path)
    examples = list(stream_examples(path, problems, fields=fields, labels=labels))
    problems.refuse()
    if not examples:
        raise no_example(problems)
    for note, count in problems.notes.items():
        log.info("%s: %d times: %s", path, count, note)
    return examples


def stream_examples(
    path: Path,
    problems: Problems,
    *,
    fields: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Iterator[Example]:
    """The examples that can be used, one after the other; what is wrong with the others goes to `problems`.

    Only one row is held at a time. Arguments as for `read_examples`.

    Raises:
        InputError: the file as a whole cannot be read.
    """
    file = look_into(path)
    problems.unit = file.unit
    columns = Columns(fields or {})
    reader = Fields(columns, labels or {}, problems, cells=file.kind in ("CSV", "Parquet"))
    if file.size < _LARGE:
        yield from _examples(file, problems, reader, fields or {}, labels or {})
    else:
        with progress(f"reading {path.name}", file.size) as bar:
            found = _examples(file, problems, reader, fields or {}, labels or {})
            for count, example in enumerate(found, 1):
                if count % _STEP == 0:
                    bar.update(file.done, f"{count:,} examples")
                yield example
    for field, name in columns.unseen().items():
        problems.add(0, field, f"fields says it is {name!r}, and no {file.unit} has that")


def _examples(
    file: Rows, problems: Problems, reader: Fields, fields: Mapping[str, str], labels: Mapping[str, str]
) -> Iterator[Example]:
    rows = file.read(problems)
    first = next(rows, None)
    if first is None:
        return
    reader.classes = file.classes or {}
    rows, questions = _plain(first, chain([first], rows), problems, fields, labels)
    name = file.path.name
    for number, row in rows:
        example = reader.example(number, row, f"{name}:{number}")
        if example is not None:
            yield example
    if questions is not None:
        questions.finish()


def _plain(
    first: Row, rows: Iterator[Row], problems: Problems, fields: Mapping[str, str], labels: Mapping[str, str]
) -> tuple[Iterator[Row], Questions | None]:
    """The rows in plain form; which tool exported them is told by the first."""
    row = first[1]
    if is_task(row):
        questions = Questions(fields, labels, problems)
        return rows_of_tasks(rows, questions, problems), questions
    if is_minimal(row):
        questions = Questions(fields, labels, problems, loose=True)
        return rows_of_minimal(rows, questions, problems), questions
    if is_record(row):
        questions = Questions(fields, labels, problems)
        return rows_of_records(rows, questions, problems), questions
    return rows, None


def no_example(problems: Problems) -> InputError:
    """The error for a file of which nothing is left."""
    why = "".join(f"; {count:,} times: {note}" for note, count in problems.notes.items())
    return InputError(f"{problems.path}: holds no example{why}")
