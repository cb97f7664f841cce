"""The record's labels on their way out: plain rows of what is agreed on, or tasks with everybody's answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from monitor.labelling.majority import Settled, settle
from monitor.store.queries.labels import UNDATED, Given
from monitor.understand.companies import Watchlist
from training.labels.settled import entities
from training.labels.writing import Answers, Format, Task, write_rows, write_tasks


def export(path: Path, given: Sequence[Given], watchlist: Watchlist, format: Format, *, each: bool) -> list[Settled]:
    """Write labels to a file.

    Args:
        given: in the order in which they are to stand in the file.
        each: a row for every person's labels of a document instead of what most agree on (plain formats).

    Returns: what the rows or tasks were made of.

    Raises:
        InputError: the file cannot be written.
    """
    if format in ("label-studio", "argilla"):
        settled = settle(given)
        by_document: dict[object, list[Given]] = {}
        for one in given:
            by_document.setdefault(one.key, []).append(one)
        write_tasks(path, [task(one, by_document[one.key], watchlist) for one in settled], format)
        return settled
    if each:
        apart: dict[tuple[object, str], list[Given]] = {}
        for one in given:
            apart.setdefault((one.key, one.actor), []).append(one)
        settled = [one for said in apart.values() for one in settle(said)]
    else:
        settled = settle(given)
    write_rows(path, [row(one, watchlist) for one in settled if one.says], format)
    return settled


def row(settled: Settled, watchlist: Watchlist) -> dict[str, Any]:
    """A plain row; what nobody said, or nobody has the majority for, is left out."""
    found: dict[str, Any] = {"key": str(settled.key), "text": settled.body, "lang": settled.lang}
    if settled.sentiment is not None:
        found["sentiment"] = settled.sentiment
    if settled.topics is not None:
        found["topics"] = list(settled.topics)
    if named := entities(settled, watchlist):
        found["entity_sentiment"] = dict(named)
    if settled.published_at != UNDATED:
        found["published_at"] = settled.published_at.isoformat()
    if settled.kind is not None:
        found["kind"] = settled.kind
    found["actors"] = list(settled.actors)
    return found


def task(settled: Settled, given: Iterable[Given], watchlist: Watchlist) -> Task:
    """A task with each person's answers."""
    said: dict[str, list[Given]] = {}
    for one in given:
        said.setdefault(one.actor, []).append(one)
    symbols = sorted({one.company for ones in said.values() for one in ones if one.company})
    data = {"lang": settled.lang}
    if settled.published_at != UNDATED:
        data["published_at"] = settled.published_at.isoformat()
    if settled.kind is not None:
        data["kind"] = settled.kind
    return Task(
        str(settled.key),
        settled.body,
        data,
        spans=watchlist.spans(settled.body, symbols) if symbols else (),
        answers=[_answers(actor, ones) for actor, ones in said.items()],
    )


def _answers(actor: str, given: Sequence[Given]) -> Answers:
    whole = next((one for one in given if not one.company), None)
    return Answers(
        actor,
        sentiment=whole.sentiment if whole else None,
        topics=whole.topics if whole else None,
        companies={one.company: one.sentiment for one in given if one.company and one.sentiment},
        at=max(one.labelled_at for one in given),
    )
