"""A job: which archives are scored into which folder, by what, and how far it has come.

The folder holds `score.json`, which says what the job is, and parts: `scores-ARCHIVE-NNNNN.parquet` of so many records
each, `rejected-…` beside one in which something could not be used. A part is there whole or not at all, so a job that
was cut off goes on behind the last one, and one that was changed meanwhile is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from monitor.errors import InputError

NOTE = "score.json"
FORMAT = 1


@dataclass(frozen=True)
class Job:
    """What is to be done; the same for every process that takes part.

    Attributes:
        archives: absolute paths, each once.
        sizes: bytes and time of change (ns) of each, so that another file of the name is noticed.
        models: language → name@version.
        records: of a part.
    """

    out: str
    archives: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    models: Mapping[str, str]
    records: int
    with_text: bool

    @classmethod
    def of(
        cls, out: Path, archives: Sequence[Path], models: Mapping[str, str], *, records: int, with_text: bool
    ) -> Job:
        """Describe a job. Raises InputError where an archive is not there or is named twice."""
        paths = [path.expanduser().absolute() for path in archives]
        twice = {path for path in paths if paths.count(path) > 1}
        if twice:
            raise InputError(f"{min(twice)}: named twice")
        sizes = []
        for path in paths:
            if not path.is_file():
                raise InputError(f"{path}: there is no such file")
            status = path.stat()
            sizes.append((status.st_size, status.st_mtime_ns))
        names = tuple(str(path) for path in paths)
        return cls(str(out.expanduser().absolute()), names, tuple(sizes), dict(models), records, with_text)

    def begin(self) -> None:
        """Make the folder, or see that what is in it is of this very job.

        Raises:
            InputError: it holds another job, other files, or cannot be written.
        """
        folder = Path(self.out)
        told = json.loads(json.dumps({"format": FORMAT, **asdict(self)} | {"out": ""}))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            note = folder / NOTE
            if note.is_file():
                self._same(json.loads(note.read_text(encoding="utf-8")), told)
                return
            if any(folder.iterdir()):
                raise InputError(f"{folder}: holds other files; name a new folder with --out")
            _write(note, json.dumps(told, indent=1).encode())
        except ValueError:
            raise InputError(f"{folder / NOTE}: cannot be read; name a new folder with --out") from None
        except OSError as error:
            raise InputError(f"{folder}: cannot be written: {error.strerror or error}") from None

    def _same(self, there: Any, told: dict[str, Any]) -> None:
        differs = [key for key in told if not isinstance(there, dict) or there.get(key) != told[key]]
        if not differs:
            return
        why = {
            "archives": "of other archives",
            "sizes": "of archives that have changed since",
            "models": f"by other models ({', '.join(sorted(set(there.get('models', {}).values())))})"
            if isinstance(there, dict)
            else "",
            "records": "with another --part",
            "with_text": "with or without --with-text",
        }
        raise InputError(
            f"{self.out}: was begun {why.get(differs[0], 'by another version')}; say it as then to go on, or name a "
            "new folder with --out"
        )

    def part(self, archive: str, number: int, kind: str = "scores") -> Path:
        """The file of a part."""
        path = Path(archive)
        # Two archives of one name in different folders must not share their parts.
        mark = hashlib.sha256(archive.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        return Path(self.out) / f"{kind}-{path.name.partition('.')[0]}-{mark}-{number:05d}.parquet"

    def done(self, archive: str) -> int:
        """How many parts of an archive are there, from the first."""
        number = 0
        while self.part(archive, number).is_file():
            number += 1
        return number

    def finished(self, archive: str) -> bool:
        """Whether all of an archive has been scored."""
        return self._end(archive).is_file()

    def finish(self, archive: str, records: int) -> None:
        """Note that all of an archive has been scored."""
        _write(self._end(archive), json.dumps({"archive": archive, "records": records}).encode())

    def _end(self, archive: str) -> Path:
        return self.part(archive, 0, "end").with_suffix(".json")


def write_part(path: Path, rows: Iterable[Mapping[str, Any]], schema: Any) -> None:
    """Write a Parquet file whole or not at all."""
    import pyarrow
    import pyarrow.parquet

    sink = pyarrow.BufferOutputStream()
    table = pyarrow.Table.from_pylist(list(rows), schema=schema)
    pyarrow.parquet.write_table(table, sink, compression="zstd")
    _write(path, sink.getvalue())


def _write(path: Path, content: Any) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
