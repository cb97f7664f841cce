"""`bellwether score`: archives in, Parquet out; cut off and gone on with; the same on a Ray cluster of this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from monitor.commands.score import score
from monitor.errors import ArchiveError, InputError
from tests.unit.models import make_bundle, make_encoder

WORDS = ["profit", "loss", "bank", "oil", "deal", "fraud", "bond", "market", "shares"]


def lines(count: int, *, start: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "id": f"n{number}",
            "source": "wire",
            "published_at": f"2026-03-02T00:{number // 60 % 60:02d}:{number % 60:02d}Z",
            "text": f"{WORDS[number % 9]} of the {WORDS[number // 9 % 9]} n{number}",
            "lang": "de" if number % 50 == 7 else "en",
        }
        for number in range(start, start + count)
    ]


def write_jsonl(path: Path, rows: list[dict[str, Any]], *, broken: int = 0) -> Path:
    texts = [json.dumps(row) for row in rows] + ["{not json"] * broken
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def read(out: Path, kind: str = "scores") -> list[dict[str, Any]]:
    tables = [pq.read_table(file) for file in sorted(out.glob(f"{kind}-*.parquet"))]
    rows: list[dict[str, Any]] = pa.concat_tables(tables).to_pylist() if tables else []
    return sorted(rows, key=lambda row: (row["file"], row["record"]))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("model")
    return make_bundle(root / "bundle", make_encoder(root / "encoder"))


@pytest.fixture(autouse=True)
def _data(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER_DATA_DIR", str(tmp_path_factory.getbasetemp() / "score-data"))


def run(*arguments: object) -> str:
    result = CliRunner().invoke(score, [str(argument) for argument in arguments], catch_exceptions=False)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_every_record_has_its_row_and_its_own_score(model: Path, tmp_path: Path) -> None:
    feed = write_jsonl(tmp_path / "feed.jsonl", lines(230), broken=3)
    table = write_parquet(tmp_path / "more.parquet", lines(120, start=1000))
    said = run(feed, table, "--out", tmp_path / "out", "--model", model, "--part", 100, "--with-text")
    assert "342 scored, 8 in languages no model reads, 3 rejected" in said
    found = read(tmp_path / "out")
    assert [(row["file"], row["record"]) for row in found] == [
        *(("feed.jsonl", number) for number in range(230)),
        *(("more.parquet", number) for number in range(120)),
    ]
    assert [row["id"] for row in found] == [f"n{number}" for number in (*range(230), *range(1000, 1120))]
    assert len(list((tmp_path / "out").glob("scores-*.parquet"))) == 3 + 2
    # The same as the command for single texts says.
    source = tmp_path / "some.jsonl"
    source.write_text("".join(json.dumps({"text": row["text"], "lang": "en"}) + "\n" for row in found[:40]))
    from monitor.commands.classify import classify

    single = CliRunner().invoke(classify, [str(source), "--model", str(model)])
    wanted = [json.loads(line) for line in single.stdout.splitlines()]
    for row, one in zip(found[:40], wanted, strict=True):
        if row["lang"] == "de":
            assert row["sentiment"] is None and row["model"] is None
            continue
        assert row["sentiment"]["label"] == one["sentiment"]["label"]
        assert row["sentiment"]["negative"] == pytest.approx(one["sentiment"]["negative"], abs=1e-6)
        assert [topic["id"] for topic in row["topics"]] == [topic["id"] for topic in one["topics"]]
        assert row["model"] == one["model"] == "tiny@1.2.3"
    rejected = read(tmp_path / "out", "rejected")
    assert [(row["record"], row["reason"], row["raw"]) for row in rejected] == [
        (number, "not-json", b"{not json") for number in (230, 231, 232)
    ]


def test_a_job_that_was_killed_goes_on_and_ends_the_same(model: Path, tmp_path: Path) -> None:
    feed = write_jsonl(tmp_path / "feed.jsonl", lines(60_000))
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    arguments = [str(feed), "--model", str(model), "--part", "2000"]
    run(*arguments, "--out", whole)
    command = [sys.executable, "-m", "monitor.cli", "score", *arguments, "--out", str(cut)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list(cut.glob("scores-*"))) < 3 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    parts = {file.name: file.stat().st_mtime_ns for file in cut.glob("scores-*.parquet")}
    assert 3 <= len(parts) < 30
    said = run(*arguments, "--out", cut)
    assert f"{2000 * len(parts):,} from before" in said
    assert all((cut / name).stat().st_mtime_ns == when for name, when in parts.items())
    assert read(cut) == read(whole)
    # A job that is done is done.
    assert "0 scored" in run(*arguments, "--out", cut)


def test_another_job_in_the_same_folder_is_refused(model: Path, tmp_path: Path) -> None:
    feed = write_jsonl(tmp_path / "feed.jsonl", lines(20))
    out = tmp_path / "out"
    run(feed, "--out", out, "--model", model)
    with pytest.raises(InputError, match="with or without --with-text"):
        run(feed, "--out", out, "--model", model, "--with-text")
    with pytest.raises(InputError, match="with another --part"):
        run(feed, "--out", out, "--model", model, "--part", 7)
    with pytest.raises(InputError, match="of other archives"):
        run(feed, write_jsonl(tmp_path / "other.jsonl", lines(3)), "--out", out, "--model", model)
    other = make_bundle(tmp_path / "bundle", Path(model).parent / "encoder", version="2.0.0")
    with pytest.raises(InputError, match=r"by other models \(tiny@1\.2\.3\)"):
        run(feed, "--out", out, "--model", other)
    os.utime(feed, (0, 0))
    with pytest.raises(InputError, match="archives that have changed since"):
        run(feed, "--out", out, "--model", model)


def test_wrong_use_is_one_clear_line(model: Path, tmp_path: Path) -> None:
    feed = write_jsonl(tmp_path / "feed.jsonl", lines(5))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    for arguments, line in (
        ((tmp_path / "none.parquet", "--out", tmp_path / "a"), "there is no such file"),
        ((feed, feed, "--out", tmp_path / "a"), "named twice"),
        ((feed, "--out", tmp_path / "full"), "holds other files"),
        ((feed, "--out", feed), "cannot be written"),
    ):
        with pytest.raises(InputError, match=line):
            run(*arguments, "--model", model)


def test_archive_that_breaks_off_is_told_and_the_others_are_scored(model: Path, tmp_path: Path) -> None:
    import gzip

    packed = gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in lines(3000)))
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[: len(packed) * 2 // 3])
    good = write_jsonl(tmp_path / "good.jsonl", lines(10))
    with pytest.raises(ArchiveError, match=r"cut\.jsonl\.gz"):
        run(tmp_path / "cut.jsonl.gz", good, "--out", tmp_path / "out", "--model", model, "--part", 500)
    found = read(tmp_path / "out")
    assert sum(row["file"] == "good.jsonl" for row in found) == 10
    assert sum(row["file"] == "cut.jsonl.gz" for row in found) >= 1000
    # Mended, it goes on behind what is there.


def test_ray_gives_the_same_parts(model: Path, tmp_path: Path) -> None:
    archives = [write_parquet(tmp_path / f"{day}.parquet", lines(300, start=1000 * day)) for day in range(4)]
    archives.append(write_jsonl(tmp_path / "more.jsonl", lines(100), broken=2))
    alone, together = tmp_path / "alone", tmp_path / "together"
    run(*archives, "--out", alone, "--model", model, "--part", 128)
    said = run(*archives, "--out", together, "--model", model, "--part", 128, "--ray", "local", "--workers", 2)
    assert "1,274 scored, 26 in languages no model reads, 2 rejected" in said
    assert read(together) == read(alone)
    assert read(together, "rejected") == read(alone, "rejected")
    # And goes on: of one archive the last part is missing.
    last = sorted(together.glob("scores-3-*.parquet"))[-1]
    last.unlink()
    next(together.glob("end-3-*.json")).unlink()
    again = run(*archives, "--out", together, "--model", model, "--part", 128, "--ray", "local", "--workers", 1)
    assert "44 scored" in again or "43 scored" in again
    assert read(together) == read(alone)


def test_cluster_that_is_not_there_is_one_clear_line(model: Path, tmp_path: Path) -> None:
    feed = write_jsonl(tmp_path / "feed.jsonl", lines(5))
    with pytest.raises(InputError, match=r"--ray 127\.0\.0\.1:1: the cluster cannot be reached"):
        run(feed, "--out", tmp_path / "out", "--model", model, "--ray", "127.0.0.1:1")


def test_help_teaches() -> None:
    result = CliRunner().invoke(score, ["--help"])
    assert result.exit_code == 0 and "--ray auto" in result.output and "Cut off" in result.output
