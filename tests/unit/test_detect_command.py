"""`bellwether detect`: a CSV of counts in, surges out."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from monitor.commands.detect import detect
from monitor.errors import InputError

START = datetime(2026, 3, 2, tzinfo=UTC)


def run(text: str, tmp_path: Path, *options: str) -> list[dict[str, str]]:
    path = tmp_path / "counts.csv"
    path.write_text(text, encoding="utf-8")
    found = CliRunner().invoke(detect, [str(path), *options], catch_exceptions=False)
    return list(csv.DictReader(io.StringIO(found.stdout)))


def hourly(days: int, surge: range = range(0), *, busy: range = range(0), name: str | None = None) -> Iterator[str]:
    """Rows of hourly counts: 2 to 6 negatives of 20 to 24; 40 more negatives in a surge, 200 more of all if busy."""
    for hour in range(days * 24):
        negative, total = 2 + hour * 7 % 5, 20 + hour * 3 % 5
        if hour in surge:
            negative, total = negative + 40, total + 40
        if hour in busy:
            negative, total = negative * 10, total * 10
        row = f"{(START + timedelta(hours=hour)).isoformat()},{negative},{total}"
        yield row if name is None else f"{row},{name}"


HEADER = "timestamp,negative,total\n"


def test_planted_surge_opens_and_resolves_once(tmp_path: Path) -> None:
    found = run(HEADER + "\n".join(hourly(20, range(400, 403))), tmp_path)
    assert [(row["event"], row["timestamp"]) for row in found] == [
        ("open", "2026-03-18T16:00:00Z"),
        ("resolve", "2026-03-18T19:00:00Z"),
    ]
    assert int(found[0]["observed"]) > 40 > 10 > float(found[0]["expected"]) > 1
    assert float(found[0]["p_value"]) < 1e-6
    assert found[0]["severity"] == "critical"


def test_mere_busyness_is_no_surge_when_totals_are_known(tmp_path: Path) -> None:
    rows = list(hourly(20, busy=range(400, 403)))
    assert run(HEADER + "\n".join(rows), tmp_path) == []
    without = [",".join(row.split(",")[:2]) for row in rows]
    assert run("timestamp,negative\n" + "\n".join(without), tmp_path) != []


def test_each_series_is_judged_by_its_own_past(tmp_path: Path) -> None:
    quiet, loud = hourly(20, name="quiet, plain"), hourly(20, range(400, 403), name="A/B")
    text = "timestamp,negative,total,series\n" + "\n".join(
        line.replace("quiet, plain", '"quiet, plain"') for pair in zip(quiet, loud, strict=True) for line in pair
    )
    assert {row["series"] for row in run(text, tmp_path)} == {"A/B"}


def test_daily_counts_are_judged_by_the_day(tmp_path: Path) -> None:
    rows = [f"2026-{1 + day // 28:02}-{1 + day % 28:02},{60 if day == 70 else 5 + day % 3}" for day in range(84)]
    found = run("timestamp,negative\n" + "\n".join(rows), tmp_path)
    assert [row["event"] for row in found] == ["open", "resolve"]
    assert found[0]["timestamp"] == "2026-03-15T00:00:00Z"


def test_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    rows = list(hourly(20, range(400, 403)))
    assert run(HEADER + "\n".join(rows[::-1]), tmp_path) == run(HEADER + "\n".join(rows), tmp_path)


def test_setting_can_be_changed_for_one_run(tmp_path: Path) -> None:
    text = HEADER + "\n".join(hourly(20, range(400, 403)))
    assert run(text, tmp_path, "--set", "detection.min_negative=500") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows"),
        (HEADER, "no rows"),
        ("time,count\n1,2\n", "line 1: no column timestamp"),
        (HEADER + "yesterday,1,2\n", "line 2, column timestamp: 'yesterday'"),
        (HEADER + "2026-03-02,many,2\n", "line 2, column negative: 'many'"),
        (HEADER + "2026-03-02,-1,2\n", "line 2, column negative: '-1'"),
        (HEADER + "2026-03-02,1.5,2\n", "line 2, column negative: '1.5'"),
        (HEADER + "2026-03-02,nan,2\n", "line 2, column negative: 'nan'"),
        (HEADER + "2026-03-02,1\n", "line 2, column total"),
        (HEADER + "2026-03-02,3,2\n", "line 2: total 2 is less"),
        (HEADER + "2026-03-02,1,2\n2026-03-02,1,2\n", "line 3: the same time and series as line 2"),
        (HEADER + "2026-03-02,1,2\n2026-03-09,1,2\n", "rows are 10080 minutes apart"),
        (HEADER + "2026-03-02T00:00:30Z,1,2\n", "not on a whole minute"),
        (HEADER + "0001-01-01T00:00:00+10:00,1,2\n", "line 2, column timestamp"),
        (HEADER + "2026-03-02,inf,2\n", "line 2, column negative: 'inf'"),
        (HEADER + "2026-03-02,\n", "line 2, column negative: ''"),
        ("timestamp;negative\n2026-03-02;1\n", "no column timestamp"),
        ("timestamp,negative,negative\n", "column negative is there twice"),
    ],
)
def test_bad_file_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=r"counts\.csv") as caught:
        run(text, tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_file_that_is_no_text_or_cannot_be_opened_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_bytes(b"timestamp,negative\n2026-03-02,\xff\n")
    with pytest.raises(InputError, match="not UTF-8"):
        CliRunner().invoke(detect, [str(path)], catch_exceptions=False)
    with pytest.raises(InputError, match="cannot be written"):
        run(HEADER + "\n".join(hourly(3)), tmp_path, "--out", str(tmp_path / "no" / "such.csv"))
    with pytest.raises(InputError, match="KEY=VALUE"):
        run(HEADER + "\n".join(hourly(3)), tmp_path, "--set", "detection.min_negative")


def test_missing_rows_are_quiet_intervals_and_offsets_are_understood(tmp_path: Path) -> None:
    rows = [row.split(",") for row in hourly(20, range(400, 403))]
    gaps = [[time, "0", "0"] if at % 9 == 4 else [time, *counts] for at, (time, *counts) in enumerate(rows)]
    whole = HEADER + "\n".join(map(",".join, gaps))
    shanghai = timezone(timedelta(hours=8))
    sparse = HEADER + "\n".join(
        f"{datetime.fromisoformat(time).astimezone(shanghai).isoformat(' ')},{negative},{total}"
        for time, negative, total in gaps
        if total != "0"
    )
    assert run(sparse, tmp_path) == run(whole, tmp_path) != []


def test_surge_at_the_end_of_the_file_is_resolved_after_it(tmp_path: Path) -> None:
    found = run(HEADER + "\n".join(hourly(20, range(478, 480))), tmp_path)
    assert [row["event"] for row in found] == ["open", "resolve"]
    assert found[1]["timestamp"] >= "2026-03-22T00:00:00Z"


def test_output_file_holds_what_standard_output_would(tmp_path: Path) -> None:
    text = HEADER + "\n".join(hourly(20, range(400, 403)))
    out = tmp_path / "surges.csv"
    assert run(text, tmp_path, "--out", str(out)) == []
    with out.open(encoding="utf-8", newline="") as lines:
        assert list(csv.DictReader(lines)) == run(text, tmp_path)


def test_young_record_raises_nothing_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text(HEADER + "\n".join(hourly(1, range(20, 23))), encoding="utf-8")
    found = CliRunner().invoke(detect, [str(path)], catch_exceptions=False)
    assert found.stdout.count("\n") == 1
    assert "detection.min_history" in found.stderr


def test_standard_input_gives_the_same_bytes_each_time() -> None:
    text = (HEADER + "\n".join(hourly(20, range(400, 403)))).encode()
    command = [sys.executable, "-m", "monitor.cli", "detect", "-"]
    answers = {subprocess.run(command, input=text, capture_output=True, check=True).stdout for _ in range(2)}
    assert len(answers) == 1
    assert answers.pop().count(b"\n") == 3


def test_importing_the_command_loads_no_numerics() -> None:
    code = "import sys, monitor.commands.detect; print([m for m in ('numpy', 'scipy', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"[]"
