"""A job on a Ray cluster: Ray Data hands the archives out, each worker holds the models and writes the parts itself.

All nodes must see the archives and the output folder under the same paths (a shared file system), and have the same
models; a worker that would score with others stops the job.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from monitor.errors import BellwetherError, InputError
from monitor.scoring.job import Job
from monitor.scoring.work import Counts, score_archive
from monitor.settings import Settings

log = logging.getLogger(__name__)


class Worker:
    """Scores the archives it is handed; one a Ray actor."""

    def __init__(self, job: Job, settings: Settings) -> None:
        self._job, self._settings = job, settings
        self._reader: Any = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """One archive; what came of it, or the line that says why it could not be read."""
        archive = str(row["item"])
        try:
            counts = score_archive(self._job, archive, self._settings.sources, self._models)
        except BellwetherError as error:
            return {"archive": archive, "error": str(error), **vars(Counts())}
        return {"archive": archive, "error": "", **vars(counts)}

    def _models(self) -> Any:
        if self._reader is None:
            from dataclasses import replace

            from monitor.champions import lineup_without_record
            from monitor.understand.reader import Reader

            reader = Reader(self._settings.engine, replace(lineup_without_record(self._settings), shadows=()))
            if dict(reader.engine.models) != dict(self._job.models):
                raise InputError(f"a worker has other models ({', '.join(reader.engine.models.values())})")
            self._reader = reader
        return self._reader


def score_on_cluster(
    job: Job, settings: Settings, address: str, workers: int, tell: Callable[[int, str], None]
) -> tuple[Counts, list[str]]:
    """Score a job's archives; what came of all, and lines of those that could not be read.

    Args:
        address: of the cluster (`auto`, `ray://HOST:PORT`), or `local` to start one on this machine.
        workers: actors; 0: one for each node.
        tell: called after each archive with how many are done, and its path.

    Raises:
        InputError: Ray is not installed, or the cluster cannot be reached.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(f"--ray needs more packages: pip install 'bellwether[ray]' ({error})") from None
    _knock(address)
    mine = not ray.is_initialized()
    if mine:
        try:
            ray.init(
                address=None if address == "local" else address,
                logging_level=logging.WARNING,
                include_dashboard=False if address == "local" else None,
                log_to_driver=False,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"--ray {address}: the cluster cannot be reached: {reason}") from None
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        nodes = [node for node in ray.nodes() if node["Alive"]]
        count = min(len(job.archives), workers or len(nodes))
        each = max(1.0, min(node["Resources"].get("CPU", 1.0) for node in nodes) / max(1, -(-count // len(nodes))))
        data = ray.data.from_items(list(job.archives), override_num_blocks=len(job.archives))
        found = data.map(
            Worker,  # type: ignore[arg-type]
            fn_constructor_args=(job, settings),
            num_cpus=each,
            compute=ray.data.ActorPoolStrategy(size=count),
        )
        total, problems = Counts(), []
        for done, row in enumerate(found.iter_rows(), 1):
            total += Counts(**{name: row[name] for name in vars(Counts())})
            if row["error"]:
                problems.append(row["error"])
            tell(done, row["archive"])
        return total, problems
    finally:
        if mine:
            with suppress(Exception):
                ray.shutdown()


def _knock(address: str) -> None:
    """See that somebody listens at an address: Ray itself would try for minutes. Raises InputError."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return  # local, auto, or a name that Ray knows
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except OSError as error:
        raise InputError(
            f"--ray {address}: the cluster cannot be reached: {error.strerror or error}; start it with `ray start "
            "--head`, or use --ray local"
        ) from None
