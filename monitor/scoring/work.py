"""One archive of a job, scored part after part by one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from monitor.documents import Document, Received
from monitor.scoring.job import Job, write_part
from monitor.scoring.table import rejected_schema, rows, schema
from monitor.settings import SourcesSettings
from monitor.sources.archive import open_archive
from monitor.understand.reader import Reader

BATCH = 2_000
"""Documents the models read at a time; the next so many are read and decoded meanwhile."""


@dataclass
class Counts:
    """What came of an archive, or of several."""

    records: int = 0
    scored: int = 0
    unscored: int = 0
    rejected: int = 0
    skipped: int = 0

    def __iadd__(self, other: Counts) -> Counts:
        for name in vars(other):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


def score_archive(
    job: Job,
    archive: str,
    sources: SourcesSettings,
    reader: Callable[[], Reader],
    tell: Callable[[float, int], None] = lambda *_: None,
) -> Counts:
    """Score what is left of an archive; `skipped` are records of parts that were there.

    Args:
        reader: gives the models; asked only when there is something to score.
        tell: called after each batch with the bytes of the file read so far and the records done.

    Raises:
        ArchiveError: the file cannot be read, or ends too soon; what stands before that is written.
    """
    counts = Counts()
    if job.finished(archive):
        return counts
    number = job.done(archive)
    counts.skipped = number * job.records
    path = Path(archive)
    with open_archive(path, sources, start=counts.skipped) as opened:
        part = Part(job, archive, number)
        for batch in _ahead(iter(opened)):
            documents = [item.content for item in batch if isinstance(item.content, Document)]
            understood = iter(reader().read(documents))
            answers = [next(understood) if isinstance(item.content, Document) else None for item in batch]
            for item, answer in zip(batch, answers, strict=True):
                part = part.add(item, answer)
                counts.records += 1
                counts.rejected += answer is None
                counts.scored += answer is not None and answer.sentiment is not None
                counts.unscored += answer is not None and answer.sentiment is None
            tell(opened.position, counts.records)
        part.close()
    job.finish(archive, counts.skipped + counts.records)
    return counts


class Part:
    """The records of a part as they gather."""

    def __init__(self, job: Job, archive: str, number: int) -> None:
        self._job, self._archive, self._number = job, archive, number
        self._received: list[Received] = []
        self._answers: list[Any] = []

    def add(self, item: Received, answer: Any) -> Part:
        """Take a record in; the part the next one goes into."""
        self._received.append(item)
        self._answers.append(answer)
        if len(self._received) < self._job.records:
            return self
        self.close()
        return Part(self._job, self._archive, self._number + 1)

    def close(self) -> None:
        """Write what there is; nothing where nothing is, unless it is the archive's first part."""
        if not self._received and self._number:
            return
        good, bad = rows(self._received, self._answers, with_text=self._job.with_text)
        # The scores come last: where they are, the part is done.
        if bad:
            write_part(self._job.part(self._archive, self._number, "rejected"), bad, rejected_schema())
        write_part(self._job.part(self._archive, self._number), good, schema(with_text=self._job.with_text))


def _ahead(records: Iterator[Received]) -> Iterator[list[Received]]:
    """Batches of records, one read ahead by a thread of its own."""
    with ThreadPoolExecutor(1, thread_name_prefix="read") as thread:

        def take() -> tuple[list[Received], Exception | None]:
            batch: list[Received] = []
            try:
                for item in islice(records, BATCH):
                    batch.append(item)
            except Exception as error:
                return batch, error  # what stands before the damage is still scored
            return batch, None

        coming: Future[tuple[list[Received], Exception | None]] = thread.submit(take)
        while True:
            batch, error = coming.result()
            if error is None and batch:
                coming = thread.submit(take)
            if batch:
                yield batch
            if error is not None:
                raise error
            if not batch:
                return
