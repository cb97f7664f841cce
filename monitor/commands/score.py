"""`bellwether score`."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.champions import lineup_without_record
from monitor.errors import ArchiveError
from monitor.progress import progress
from monitor.scoring.job import Job
from monitor.settings import Settings, load

if TYPE_CHECKING:
    from monitor.scoring.work import Counts


@click.command()
@click.argument("archives", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the scores (Parquet).")
@click.option("--with-text", is_flag=True, help="Write title and text beside the scores.")
@click.option("--part", default=50_000, show_default=True, type=click.IntRange(min=1), help="Records of one file.")
@click.option(
    "--model", type=click.Path(exists=True, file_okay=False), multiple=True, help="A model folder (repeatable)."
)
@click.option("--ray", "address", metavar="ADDRESS", help="Score on a Ray cluster: auto, ray://HOST:PORT, or local.")
@click.option("--workers", default=0, type=click.IntRange(min=0), help="Ray: processes with models; 0: one a node.")
def score(
    archives: tuple[Path, ...],
    out: Path,
    with_text: bool,
    part: int,
    model: tuple[str, ...],
    address: str | None,
    workers: int,
) -> None:
    """Score archives of any size without a database: files in, Parquet out.

    ARCHIVES are what `replay` reads too: .parquet, .jsonl, .csv, plain, .gz or .zst. Into the folder of --out go
    files scores-*.parquet (where the record stands, its identity, lang, sentiment, topics, companies, model) and, where
    records could not be used, rejected-*.parquet with the reason. The champions of the registry read, or the folders of
    --model.

    Cut off, the same command goes on where it was. With --ray, Ray Data hands the archives out to a cluster whose nodes
    all see them and the folder under the same paths; split one large archive into several to share it out.

    \b
    Examples:
      bellwether score 2014/*.parquet --out scores
      bellwether score feed.jsonl.zst --out scores --with-text
      bellwether score /data/news/*.parquet --out /data/scores --ray auto
    """
    settings = load(overrides={"engine.bundles": ",".join(model)} if model else None).settings
    lineup = replace(lineup_without_record(settings), shadows=())
    models = {language: seat.model for language, seat in lineup.by_language.items()}
    job = Job.of(out, archives, models, records=part, with_text=with_text)
    job.begin()
    begun = time.monotonic()
    if address is not None:
        from monitor.scoring.cluster import score_on_cluster

        with progress("scoring", len(job.archives)) as bar:
            counts, problems = score_on_cluster(job, settings, address, workers, lambda done, at: bar.update(done, at))
    else:
        counts, problems = _here(job, settings)
    seconds = time.monotonic() - begun
    click.echo(
        f"{counts.scored:,} scored, {counts.unscored:,} in languages no model reads, {counts.rejected:,} rejected, "
        f"{counts.skipped:,} from before; {counts.records / max(seconds, 1e-9):,.0f} records/s; {job.out}"
    )
    if problems:
        raise ArchiveError("; ".join(problems))


def _here(job: Job, settings: Settings) -> tuple[Counts, list[str]]:
    from monitor.scoring.work import Counts, score_archive
    from monitor.understand.reader import Reader

    loaded: list[Reader] = []

    def reader() -> Reader:
        # Only when there is something to score: a finished job ends at once.
        if not loaded:
            loaded.append(Reader(settings.engine, replace(lineup_without_record(settings), shadows=())))
        return loaded[0]

    total, problems = Counts(), []
    with progress("scoring", sum(size for size, _ in job.sizes)) as bar:
        before = 0
        for archive, (size, _) in zip(job.archives, job.sizes, strict=True):

            def tell(read: float, records: int, before: int = before, so_far: int = total.records) -> None:
                bar.update(before + read, f"{so_far + records:,} records")

            try:
                total += score_archive(job, archive, settings.sources, reader, tell)
            except ArchiveError as error:
                problems.append(str(error))
            before += size
            bar.update(before)
    return total, problems
