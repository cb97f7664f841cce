"""Archives give the same documents in every format and compression, and never stop at a broken record."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import sys
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from monitor.documents import Document, Rejected
from monitor.errors import ArchiveError, InputError
from monitor.settings import SourcesSettings
from monitor.sources.archive import STDIN, open_archive, read_feeds
from tests.broken import BROKEN, GOOD, MAX_BYTES, message

SETTINGS = SourcesSettings()
ROWS: list[dict[str, Any]] = [
    {
        "id": f"n{number}",
        "published_at": f"2024-07-01T11:{number % 60:02}:00Z",
        "title": "Apple, Google",
        "text": f'They said "sell"\nand 苹果 fell {number}',
        "symbols": ["AAPL", "GOOG"],
        "lang": "en",
        "desk": "tech",
    }
    for number in range(200)
]


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(row | {"symbols": "; ".join(row["symbols"])} for row in rows)
    return text.getvalue().encode()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    times = pa.array([datetime.fromisoformat(row["published_at"]) for row in rows], pa.timestamp("ns", "UTC"))
    table = pa.Table.from_pylist([row | {"published_at": None} for row in rows])
    table = table.set_column(table.column_names.index("published_at"), "published_at", times)
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def plain(content: bytes) -> bytes:
    return content


FORMATS = {"jsonl": jsonl, "csv": as_csv, "parquet": parquet}
COMPRESSIONS = {"": plain, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}


def saved(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def documents(path: Path, **options: Any) -> list[Document]:
    with open_archive(path, SETTINGS, **options) as archive:
        contents = [received.content for received in archive]
    assert all(isinstance(content, Document) for content in contents), contents
    return contents  # type: ignore[return-value]


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_and_compression_gives_the_same_documents(kind: str, suffix: str, tmp_path: Path):
    path = saved(tmp_path / f"wire.2024.{kind}{suffix}", COMPRESSIONS[suffix](FORMATS[kind](ROWS)))
    found = documents(path)
    assert [document.id for document in found] == [row["id"] for row in ROWS]
    assert found[7] == Document(
        id="n7",
        source="wire.2024",
        kind="news",
        published_at=datetime(2024, 7, 1, 11, 7, tzinfo=UTC),
        title="Apple, Google",
        text='They said "sell"\nand 苹果 fell 7',
        lang="en",
        symbols=("AAPL", "GOOG"),
        extra={"desk": "tech"},
    )


@pytest.mark.parametrize("kind", FORMATS)
def test_reading_starts_at_the_given_record(kind: str, tmp_path: Path):
    path = saved(tmp_path / f"a.{kind}", FORMATS[kind](ROWS))
    with open_archive(path, SETTINGS, start=150) as archive:
        rest = list(archive)
    assert [received.origin.offset for received in rest] == list(range(150, 200))
    assert rest[0].content.id == "n150"  # type: ignore[union-attr]
    assert rest[0].origin.topic == path.name


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize("kind", FORMATS)
def test_position_goes_from_zero_to_the_size(kind: str, suffix: str, tmp_path: Path):
    path = saved(tmp_path / f"a.{kind}{suffix}", COMPRESSIONS[suffix](FORMATS[kind](ROWS)))
    with open_archive(path, SETTINGS) as archive:
        assert archive.position < archive.size == path.stat().st_size
        positions = [archive.position for _ in archive]
        assert positions == sorted(positions)
        assert archive.position == archive.size


def test_compressed_file_is_known_by_its_content(tmp_path: Path):
    assert len(documents(saved(tmp_path / "a.jsonl", gzip.compress(jsonl(ROWS))))) == 200


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_several_frames_in_one_file_are_all_read(suffix: str, tmp_path: Path):
    pack = COMPRESSIONS[suffix]
    content = pack(jsonl(ROWS[:50])) + pack(b"") + pack(jsonl(ROWS[50:]))
    assert len(documents(saved(tmp_path / f"a.jsonl{suffix}", content))) == 200


def test_broken_lines_are_rejected_and_the_good_ones_around_them_kept(tmp_path: Path):
    lines = [raw for _, raw, reason in BROKEN if reason != "empty" and b"\n" not in raw]
    assert len(lines) > 200
    path = saved(tmp_path / "a.jsonl", b"".join(GOOD + b"\n" + raw + b"\r\n" for raw in lines))
    with open_archive(path, SETTINGS) as archive:
        found = list(archive)
    assert len(found) == 2 * len(lines)
    assert all(isinstance(received.content, Document) for received in found[::2])
    assert [received.origin.offset for received in found] == list(range(len(found)))
    for raw, received in zip(lines, found[1::2], strict=True):
        assert isinstance(received.content, Rejected), raw[:50]
        assert received.content.raw == raw.rstrip(b"\r\n")[: SETTINGS.keep_raw]
    assert {received.content.size for received in found[1::2] if received.content.reason == "too-large"} >= {5_000_000}  # type: ignore[union-attr]


def test_blank_lines_count_as_nothing(tmp_path: Path):
    assert len(documents(saved(tmp_path / "a.jsonl", b"\n\n" + GOOD + b"\r\n\r\n \n" + GOOD))) == 2


def test_huge_line_does_not_fill_the_memory(tmp_path: Path):
    path = tmp_path / "a.jsonl.zst"
    with zstandard.open(path, "wb") as file:
        file.write(GOOD + b"\n")
        for _ in range(300):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + GOOD)
    tracemalloc.start()
    with open_archive(path, SETTINGS) as archive:
        first, huge, last = archive
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(first.content, Document)
    assert isinstance(last.content, Document)
    assert isinstance(huge.content, Rejected)
    assert (huge.content.reason, huge.content.size) == ("too-large", 300_000_000)
    assert peak < 150_000_000


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_truncated_archive_delivers_what_came_before_and_then_says_so(suffix: str, tmp_path: Path):
    # Random texts, so that the cut falls among many small blocks.
    maker = random.Random(1)
    rows = [row | {"text": str(maker.getrandbits(2_000))} for row in ROWS * 5]
    whole = COMPRESSIONS[suffix](jsonl(rows))
    path = saved(tmp_path / f"a.jsonl{suffix}", whole[: len(whole) * 3 // 4])
    found = []
    with open_archive(path, SETTINGS) as archive, pytest.raises(ArchiveError) as caught:
        for received in archive:
            found.append(received)
    assert 400 < len(found) < 1_000
    assert all(isinstance(received.content, Document) for received in found)
    assert str(caught.value) == f"{path} ends in the middle: it was cut off (after {len(found)} records)"


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_damaged_archive_says_so(suffix: str, tmp_path: Path):
    whole = bytearray(COMPRESSIONS[suffix](jsonl(ROWS * 50)))
    whole[len(whole) // 2 : len(whole) // 2 + 40] = b"\xaa" * 40
    path = saved(tmp_path / f"a.jsonl{suffix}", bytes(whole))
    with open_archive(path, SETTINGS) as archive, pytest.raises(ArchiveError, match=r"is damaged|cut off"):
        list(archive)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl.gz", GOOD, "is not compressed, though its name ends in .gz"),
        ("a.jsonl.zst", b"", "is empty"),
        ("a.xlsx", b"PK", "its name must end in .jsonl, .csv or .parquet"),
        ("a", b"", "its name must end in"),
        ("a.gz", gzip.compress(GOOD), "its name must end in"),
        ("a.parquet", b"PAR1 not really", "is no Parquet file"),
        ("a.parquet", b"", "is no Parquet file"),
        ("a.csv", b"", "has no columns published_at and text (or title); it has nothing"),
        ("a.csv", b"id,when,body\n1,2,3\n", "has no columns published_at and text (or title); it has id, when, body"),
    ],
)
def test_file_that_is_no_archive_says_what_is_wrong_in_one_line(name: str, content: bytes, words: str, tmp_path: Path):
    path = saved(tmp_path / name, content)
    with pytest.raises(ArchiveError) as caught, open_archive(path, SETTINGS) as archive:
        list(archive)
    assert words in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder_say_so(tmp_path: Path):
    with pytest.raises(ArchiveError, match="there is no such file"):
        open_archive(tmp_path / "none.jsonl", SETTINGS)
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(ArchiveError, match="cannot be opened: Is a directory"):
        open_archive(tmp_path / "folder.jsonl", SETTINGS)


def test_empty_file_of_lines_is_an_empty_feed(tmp_path: Path):
    assert documents(saved(tmp_path / "a.jsonl", b"")) == []


def test_csv_rows_that_cannot_be_read_are_rejected_alone(tmp_path: Path):
    good = "n1,2024-07-01T11:00:00Z,fell,AAPL\n"
    content = (
        (
            "\ufeffid,published_at,text,symbols\n"
            + good
            + "n2,2024-07-01T11:00:00Z,one,AAPL,too many,cells\n"
            + good
            + 'n3,2024-07-01T11:00:00Z,"quote"s,\n'
            + good
        ).encode()
        + b"n4,2024-07-01T11:00:00Z,Soci\xe9t\xe9,\n\n"
        + good.encode()
        + b"n5,2024-07-01T11:00:00Z\n"
    )
    with open_archive(saved(tmp_path / "a.csv", content), SETTINGS) as archive:
        found = [received.content for received in archive]
    kinds = ["good" if isinstance(content, Document) else content.reason for content in found]
    assert kinds == ["good", "bad-row", "good", "bad-row", "good", "not-utf8", "good", "no-text"]
    assert isinstance(found[1], Rejected)
    assert found[1].raw == b"n2,2024-07-01T11:00:00Z,one,AAPL,too many,cells"


def test_quote_never_closed_costs_a_bounded_part_of_a_csv(tmp_path: Path):
    row = "n1,2024-07-01T11:00:00Z,fell\n"
    settings = SourcesSettings(max_bytes=10_000)
    content = ("id,published_at,text\n" + row + 'n2,2024-07-01T11:00:00Z,"open\n' + row * 1_000).encode()
    with open_archive(saved(tmp_path / "a.csv", content), settings) as archive:
        found = [received.content for received in archive]
    assert [content.reason for content in found if isinstance(content, Rejected)] == ["too-large"]
    assert len(found) > 600


def test_parquet_cells_of_other_types_become_what_json_can_hold(tmp_path: Path):
    table = pa.table(
        {
            "published_at": pa.array([datetime(2024, 7, 1, 11), None], pa.timestamp("ms")),  # noqa: DTZ001
            "text": ["fell", "fell"],
            "symbols": ["aapl goog", None],
            "price": [float("nan"), 2.5],
            "day": pa.array([timedelta(days=19_000)] * 2, pa.duration("s")),
            "blob": [b"\xff", b"a"],
            "nested": [{"a": [1, None]}, None],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    with open_archive(tmp_path / "a.parquet", SETTINGS) as archive:
        first, second = (received.content for received in archive)
    assert isinstance(first, Document)
    assert first.published_at == datetime(2024, 7, 1, 11, tzinfo=UTC)
    assert first.symbols == ("AAPL", "GOOG")
    assert first.extra == {"day": 1_641_600_000.0, "blob": "\\xff", "nested": {"a": [1, None]}}
    assert isinstance(second, Rejected)
    assert second.reason == "no-time"


def test_parquet_times_outside_the_calendar_are_rejected_alone(tmp_path: Path):
    times = pa.array([2**62, 1_719_831_600_000_000], pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"published_at": times, "text": ["fell", "fell"]}), tmp_path / "a.parquet")
    with open_archive(tmp_path / "a.parquet", SETTINGS) as archive:
        first, second = (received.content for received in archive)
    assert isinstance(first, Rejected)
    assert first.reason == "bad-time"
    assert isinstance(second, Document)


def test_several_feeds_are_merged_by_event_time_and_can_be_resumed(tmp_path: Path):
    def feed(name: str, minutes: list[int]) -> Path:
        rows = [{"id": f"{name}{m}", "published_at": f"2024-07-01T11:{m:02}:00Z", "text": "fell"} for m in minutes]
        return saved(tmp_path / f"{name}.jsonl", jsonl(rows))

    paths = [feed("a", [1, 3, 3, 9]), feed("b", [2, 3, 1, 8, 10])]
    with read_feeds(paths, SETTINGS) as stream:
        whole = list(stream)
    assert [received.content.id for received in whole] == ["a1", "b2", "a3", "a3", "b3", "b1", "b8", "a9", "b10"]  # type: ignore[union-attr]
    assert [received.origin.offset for received in whole] == list(range(9))
    assert {received.origin.topic for received in whole} == {"a.jsonl+b.jsonl"}
    assert [received.content.source for received in whole[:2]] == ["a", "b"]  # type: ignore[union-attr]
    with read_feeds(paths, SETTINGS, start=4) as stream:
        assert list(stream) == whole[4:]
        assert stream.position == stream.size == sum(path.stat().st_size for path in paths)


def test_rejected_record_keeps_its_place_in_a_merge(tmp_path: Path):
    first = saved(tmp_path / "a.jsonl", b"not json\n" + message(id="a", published_at="2024-07-01T11:05:00Z"))
    second = saved(tmp_path / "b.jsonl", message(id="b", published_at="2024-07-01T11:01:00Z") + b"\nnot json\n")
    with read_feeds([first, second], SETTINGS) as stream:
        found = [getattr(received.content, "id", "rejected") for received in stream]
    assert found == ["rejected", "b", "rejected", "a"]


def test_one_feed_is_resumed_without_reading_what_came_before(tmp_path: Path):
    path = saved(tmp_path / "a.jsonl", jsonl(ROWS))
    with read_feeds([path], SETTINGS, start=199) as stream:
        (last,) = stream
    assert last.origin.offset == 199
    assert last.content.id == "n199"  # type: ignore[union-attr]


def test_no_feed_is_an_input_error():
    with pytest.raises(InputError, match="no archive is given"):
        read_feeds([], SETTINGS)


@pytest.mark.parametrize("pack", [plain, gzip.compress])
def test_standard_input_is_read_as_lines(pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch):
    pipe = io.BufferedReader(io.BytesIO(pack(GOOD + b"\nnot json\n")))  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
    with open_archive(STDIN, SETTINGS) as archive:
        good, bad = archive
        assert archive.size == archive.position == 0
    assert good.origin.topic == "stdin"
    assert isinstance(good.content, Document)
    assert isinstance(bad.content, Rejected)
    assert not pipe.closed


def test_raw_bytes_of_an_entry_are_what_was_in_the_file(tmp_path: Path):
    assert len(GOOD) < MAX_BYTES
    odd = b'{"text": "fell",  "published_at":"2024-07-01T11:00:00Z"}'
    with open_archive(saved(tmp_path / "a.jsonl", odd + b"\r\nbroken\n"), SETTINGS) as archive:
        assert [entry.raw for entry in archive.entries()] == [odd, b"broken"]
