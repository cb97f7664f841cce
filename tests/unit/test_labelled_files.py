"""Labelled files of every kind read alike; what is wrong with one is told at once and clearly."""

from __future__ import annotations

import csv
import doctest
import gzip
import io
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

import training.data.encoding
import training.data.problems
from monitor.errors import InputError
from tests.labelled import choice, refused, written
from training.data.examples import Example
from training.data.problems import SHOWN, Problems
from training.data.reading import read_examples, stream_examples


def csv_text(rows: list[dict[str, Any]], separator: str = ",") -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


ROWS = [
    {
        "text": 'Profit, "adjusted",\nrises',
        "lang": "en",
        "sentiment": "positive",
        "topics": ["earnings", "dividend"],
        "entity_sentiment": {"Acme": "positive", "Bolt": "negative"},
        "published_at": "2026-05-21T05:55:32+02:00",
    },
    {"text": "净利润同比下降", "lang": "zh", "sentiment": "negative"},
    {"text": "Nothing new", "topics": []},
]
EXPECTED = [
    Example(
        'Profit, "adjusted",\nrises',
        "en",
        "positive",
        ("earnings", "dividend"),
        entities=(("Acme", "positive"), ("Bolt", "negative")),
        at=datetime(2026, 5, 21, 3, 55, 32, tzinfo=UTC),
    ),
    Example("净利润同比下降", "zh", "negative"),
    Example("Nothing new", topics=()),
]


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
def test_every_kind_of_file_gives_the_same_examples(tmp_path: Path, kind: str, ending: str) -> None:
    if kind == "jsonl":
        raw = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode()
    elif kind == "json":
        raw = json.dumps(ROWS, ensure_ascii=False, indent=2).encode()
    elif kind == "csv":
        names = dict.fromkeys(name for row in ROWS for name in row)
        cells = [
            {
                name: json.dumps(row[name]) if isinstance(row.get(name), (list, dict)) else row.get(name)
                for name in names
            }
            for row in ROWS
        ]
        raw = csv_text(cells).encode("utf-8-sig")
    else:
        table = pyarrow.Table.from_pylist(
            [row | {"entity_sentiment": json.dumps(row.get("entity_sentiment"))} for row in ROWS],
            schema=pyarrow.schema(
                [(name, pyarrow.string()) for name in ("text", "lang", "sentiment", "entity_sentiment", "published_at")]
                + [("topics", pyarrow.list_(pyarrow.string()))]
            ),
        )
        sink = io.BytesIO()
        pyarrow.parquet.write_table(table, sink)
        raw = sink.getvalue()
    packed = {"": raw, ".gz": gzip.compress(raw), ".zst": zstandard.compress(raw)}[ending]
    path = written(tmp_path, f"labels.{kind}{ending}", packed)
    assert read_examples(path) == EXPECTED


def test_origin_leads_back_to_the_line(tmp_path: Path) -> None:
    text = csv_text([{"text": "one\nmore", "label": "positive"}, {"text": "two", "label": "negative"}])
    found = read_examples(written(tmp_path, "a.csv", text))
    assert [example.origin for example in found] == ["a.csv:2", "a.csv:4"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.txt", "headline;label\nUp;positive\n"),
        ("labels.jsonl", '[{"sentence": "Up", "label": " Positive "}]'),
        ("labels.csv", '{"Text": "Up", "Sentiment": "POSITIVE"}\n'),
        ("labels", "content\tpolarity\nUp\tpositive\n"),
    ],
)
def test_content_counts_more_than_the_name_and_usual_names_are_known(tmp_path: Path, name: str, content: str) -> None:
    assert read_examples(written(tmp_path, name, content)) == [Example("Up", sentiment="positive")]


def test_fields_and_labels_say_what_a_file_means(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "Kommentar,Note,Thema\nUp,1,A\nDown,0,B\nOdd,9,A\n")
    fields = {"text": "Kommentar", "sentiment": "Note", "topics": "Thema"}
    labels = {"1": "positive", "0": "negative", "9": "", "A": "earnings", "B": "ipo"}
    assert read_examples(path, fields=fields, labels=labels) == [
        Example("Up", sentiment="positive", topics=("earnings",)),
        Example("Down", sentiment="negative", topics=("ipo",)),
        Example("Odd", topics=("earnings",)),
    ]


def test_fields_may_lead_into_objects(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"doc": {"body": "Up"}, "gold": {"tone": "positive"}}\n')
    found = read_examples(path, fields={"text": "doc.body", "sentiment": "gold.tone"})
    assert found == [Example("Up", sentiment="positive")]


def test_parquet_that_names_its_classes_needs_no_mapping(tmp_path: Path) -> None:
    features = {"label": {"names": ["negative", "neutral", "positive"], "_type": "ClassLabel"}}
    table = pyarrow.table({"text": ["Up", "Down"], "label": [2, 0]}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert [example.sentiment for example in read_examples(tmp_path / "a.parquet")] == ["positive", "negative"]
    pyarrow.parquet.write_table(table.replace_schema_metadata(), tmp_path / "b.parquet")
    assert "row 1: sentiment: 2 is a number" in refused(tmp_path / "b.parquet")


# --- what is wrong ---------------------------------------------------------------------------------------------------


def test_all_problems_are_told_with_line_field_reason_and_nearest_label(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "a.csv",
        "text,label,published_at\nUp,postive,\nDown,negative,yesterday\nFlat,bullish,\nOdd,1,\na,b,c,d\n,neutral,\n",
    )
    said = refused(path)
    assert said.splitlines()[0] == f"{path}: 6 problems"
    assert "line 2: sentiment: 'postive' is none of negative, neutral, positive; did you mean positive?" in said
    assert "line 3: published_at: 'yesterday' is no time" in said
    assert "line 4: sentiment: 'bullish' is none of" in said
    assert 'labels = { "bullish" = "positive" }' in said
    assert "line 5: sentiment: 1 is a number" in said
    assert "line 6: 4 cells where the header has 3" in said
    assert "line 7: text: missing" in said


def test_same_problem_is_told_once_with_its_count(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"text {n}", "sentiment": "postive" if n % 2 else "negative"}) for n in range(1000)]
    said = refused(written(tmp_path, "a.jsonl", "\n".join(lines)))
    assert "line 2: sentiment: 'postive'" in said
    assert "(and 499 more: line 4, 6, 8 …)" in said
    assert len(said.splitlines()) == 1


def test_at_most_twenty_kinds_of_problem_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    lines = [json.dumps({"text": "a", "sentiment": f"word{n}"}) for n in range(5000)]
    said = refused(written(tmp_path, "a.jsonl", "\n".join(lines)))
    assert said.startswith(f"{tmp_path / 'a.jsonl'}: 5,000 problems")
    assert said.count("sentiment:") == SHOWN
    assert f"and {5000 - SHOWN:,} more" in said


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("text,label\nSociété,negative\n".encode("latin-1"), "line 2: not UTF-8 at byte 15 of the file (0xe9)"),
        ("text,label\nSociété,negative\n".encode("latin-1"), "iconv -f WINDOWS-1252"),
        ("text,label\n净利润同比下降,negative\n".encode("gb18030"), "it looks like GB18030"),
        ("text,label\n淨利潤同比下降兩成,negative\n".encode("big5"), "it looks like BIG5"),
        ("text,label\nUp,positive\n".encode("utf-16"), "looks like UTF-16LE"),
        ("text,label\nUp,positive\n".encode("utf-16-be"), "looks like UTF-16BE"),
        (b'[{"text": "Up"}, {"text": "Soci\xe9t\xe9"}]', "not UTF-8 at byte 31 of the file (0xe9)"),
    ],
)
def test_other_encoding_is_named_with_the_byte_it_shows_at(tmp_path: Path, raw: bytes, said: str) -> None:
    assert said in refused(written(tmp_path, "a.csv", raw))


def test_mixed_encodings_are_called_so(tmp_path: Path) -> None:
    raw = b"text,label\n" + "Société,negative\n".encode() * 3 + "Société,negative\n".encode("latin-1")
    said = refused(written(tmp_path, "a.csv", raw))
    assert "line 5: not UTF-8" in said
    assert "mixes encodings: 3 lines hold UTF-8 beyond ASCII and 1 do not (WINDOWS-1252)" in said


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("a.jsonl", b"", "is empty"),
        ("a.csv", b"\n \n", "is empty"),
        ("a.csv", b"text,label\n", "holds no example"),
        ("a.json", b"[]", "holds no example"),
        ("a.json", b'[{"text": "a"}, {"te', "ends in the middle of record 2: it was cut off"),
        ("a.json", b'[{"text": "a"}, {"text": }]', "record 2: not JSON"),
        ("a.json", b'[{"text": "a"}] [', "after the array's end"),
        ("a.json", b'{\n  "text": "a"\n}\n', "spread over several lines"),
        ("a.jsonl", gzip.compress(b'{"text": "a"}\n' * 9)[:-9], "cut off"),
        ("a.parquet", b"text", "no Parquet file, though its name"),
        ("a.parquet", b"PAR1 and then nothing", "no Parquet file that can be read"),
        ("a.xlsx", b"PK\x03\x04....", "Excel"),
        (
            "a.csv",
            b'text,label\n"never closed,positive\nb,negative\n',
            "line 2: a quote is opened here and never closed",
        ),
        ("a.csv", b"text,text\na,b\n", "names 'text' twice"),
        ("a.jsonl", b'{"headline": "a", "body": "b"}', "could be headline or body"),
        ("a.jsonl", b'{"words": "a"}', "text: missing; there is 'words'"),
        ("a.jsonl", b'{"text": "a", "label": "earnings"}', 'fields = { topics = "label" }'),
        ("a.jsonl", b'{"text": "a", "topics": [3]}', "topics: 3 is a number"),
        ("a.jsonl", b'{"text": "a", "lang": "english"}', "'english' is no language code"),
    ],
)
def test_unusable_file_gets_one_clear_answer(tmp_path: Path, name: str, raw: bytes, said: str) -> None:
    path = written(tmp_path, name, raw)
    assert said in refused(path)
    assert refused(path).startswith(str(path))


def test_wrong_fields_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"text": "a"}')
    assert "did you mean sentiment?" in refused(path, fields={"sentimnt": "x"})
    assert "sentiment: fields says it is 'tone', and no line has that" in refused(path, fields={"sentiment": "tone"})
    assert "there is no such file" in refused(tmp_path / "b.jsonl")


def test_wrongly_decoded_texts_are_noted(tmp_path: Path) -> None:
    problems = Problems(path := written(tmp_path, "a.jsonl", '{"text": "SociÃ©tÃ©"}\n{"text": "é"}\n'))
    assert len(list(stream_examples(path, problems))) == 2
    assert [count for note, count in problems.notes.items() if "wrongly decoded" in note] == [1]


def test_fifty_thousand_rows_are_streamed(tmp_path: Path) -> None:
    lines = (json.dumps({"text": f"Company {n} reports", "label": "neutral"}) for n in range(50_000))
    path = written(tmp_path, "a.jsonl", "\n".join(lines))
    problems = Problems(path)
    rows = stream_examples(path, problems)
    assert next(rows).origin == "a.jsonl:1"
    assert sum(1 for _ in rows) == 49_999
    array = written(tmp_path, "a.json", "[" + path.read_text().replace("\n", ",") + "]")
    assert read_examples(array) == read_examples(path)


def test_no_bytes_break_the_reader(tmp_path: Path) -> None:
    seeds = [
        b'{"text": "a", "sentiment": "positive"}\n{"text": "b"}\n',
        b'[{"text": "a"}, {"text": "b", "topics": ["x"]}]',
        b'text,label\n"a",positive\nb,negative\n',
        json.dumps([{"data": {"text": "a"}, "annotations": [{"result": [choice("t", "Positive")]}]}]).encode(),
        json.dumps([{"fields": {"text": "a"}, "responses": {"s": [{"value": "positive"}]}}]).encode(),
    ]
    draw = random.Random(7)
    for number in range(600):
        raw = bytearray(draw.choice(seeds))
        for _ in range(draw.randint(1, 6)):
            at = draw.randrange(len(raw))
            raw[at : at + draw.choice((0, 1, 3))] = draw.choice(
                [b"\xff", b"\x00", b'"', b"[", b"}", b",", b"null", b"1", b"{}", b"\\ud800", b"\n", b"\xe4\xb8"]
            )
        path = written(tmp_path, f"{number % 7}.json", bytes(raw))
        try:
            read_examples(path)
        except InputError as error:
            assert str(error).startswith(str(path))


@pytest.mark.parametrize("module", [training.data.encoding, training.data.problems])
def test_examples_in_the_documentation_hold(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
