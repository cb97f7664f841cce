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
from training.data.examples import Example
from training.data.problems import SHOWN, Problems
from training.data.reading import read_examples, stream_examples


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path: Path, **how: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_examples(path, **how)
    return str(caught.value)


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


# --- Label Studio ----------------------------------------------------------------------------------------------------


def choice(name: str, *values: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": list(values)}}


def region(id_: str, start: int, end: int, text: str, **value: list[str]) -> dict[str, Any]:
    kind = next(iter(value))
    return {"id": id_, "from_name": kind, "type": kind, "value": {"start": start, "end": end, "text": text, **value}}


def test_label_studio_export(tmp_path: Path) -> None:
    text = "Acme gains as Bolt recalls"
    tasks = [
        {
            "id": 1,
            "data": {"text": text, "lang": "en"},
            "annotations": [
                {
                    "result": [
                        choice("tone", "Neutral"),
                        choice("topics", "earnings", "legal_regulation"),
                        region("r1", 0, 4, "Acme", labels=["Company"]),
                        region("r1", 0, 4, "Acme", choices=["Positive"]),
                        region("r2", 14, 18, "Bolt", labels=["Negative"]),
                        region("r3", 5, 10, "gains", labels=["Company"]),
                    ],
                    "was_cancelled": False,
                },
                {"result": [choice("tone", "Positive")], "was_cancelled": True},
            ],
            "predictions": [{"result": [choice("tone", "Negative")]}],
        },
        {"id": 2, "data": {"text": "Not done yet"}, "annotations": []},
    ]
    path = written(tmp_path, "project-1.json", json.dumps(tasks))
    assert read_examples(path) == [
        Example(
            text,
            "en",
            "neutral",
            ("earnings", "legal_regulation"),
            entities=(("Acme", "positive"), ("Bolt", "negative"), ("gains", None)),
        )
    ]


def test_label_studio_annotators_vote_and_ground_truth_wins(tmp_path: Path) -> None:
    def task(*said: str, truth: int | None = None) -> dict[str, Any]:
        return {
            "data": {"text": "a"},
            "annotations": [
                {"result": [choice("sentiment", label)], "updated_at": f"2026-01-0{n}", "ground_truth": n == truth}
                for n, label in enumerate(said)
            ],
        }

    tasks = [
        task("positive", "negative", "positive"),
        task("positive", "negative"),
        task("neutral", "negative", "negative", truth=0),
    ]
    path = written(tmp_path, "a.json", json.dumps(tasks))
    problems = Problems(path)
    found = [example.sentiment for example in stream_examples(path, problems)]
    assert found == ["positive", "negative", "neutral"]  # a tie goes to the newer
    assert [count for note, count in problems.notes.items() if "disagree" in note] == [2]


def test_label_studio_minimal_export(tmp_path: Path) -> None:
    own = {"annotator": 1, "annotation_id": 1, "created_at": "x", "updated_at": "y", "lead_time": 2.5}
    rows = [
        {"text": "a", "id": 1, "tone": "Positive", "topic": {"choices": ["ipo", "earnings"]}, **own},
        {"text": "b", "id": 2, "tone": "Negative", "who": [{"start": 0, "end": 1, "text": "b", "labels": ["Neutral"]}]}
        | own,
        {"text": "c", "id": 3, "tone": "Negative", **own},
        {"text": "c", "id": 3, "tone": "Positive", **own},
        {"text": "c", "id": 3, "tone": "Positive", **own},
    ]
    assert read_examples(written(tmp_path, "a.json", json.dumps(rows))) == [
        Example("a", sentiment="positive", topics=("ipo", "earnings")),
        Example("b", sentiment="negative", entities=(("b", "neutral"),)),
        Example("c", sentiment="positive"),
    ]


def test_misspelt_choice_is_found_even_before_its_question_is_understood(tmp_path: Path) -> None:
    tasks = [
        {"data": {"text": "a"}, "annotations": [{"result": [choice("q7", "Postive")]}]},
        {"data": {"text": "b"}, "annotations": [{"result": [choice("q7", "Negative")]}]},
    ]
    assert "record 1: q7: 'Postive' is none of" in refused(written(tmp_path, "a.json", json.dumps(tasks)))


def test_export_whose_questions_are_unknown_asks_for_their_names(tmp_path: Path) -> None:
    tasks = [{"data": {"text": "a"}, "annotations": [{"result": [choice("q7", "ipo")]}]}]
    path = written(tmp_path, "a.json", json.dumps(tasks))
    assert "none of its questions (q7)" in refused(path)
    assert read_examples(path, fields={"topics": "q7"}) == [Example("a", topics=("ipo",))]


# --- Argilla ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["nested", "first", "flat", "hub"])
def test_argilla_export_in_its_forms(tmp_path: Path, form: str) -> None:
    if form == "nested":
        rows: list[dict[str, Any]] = [
            {
                "id": "1",
                "fields": {"text": "Up"},
                "metadata": {"lang": "en"},
                "suggestions": {"sentiment": {"value": "neutral", "score": 0.4, "agent": "model"}},
                "responses": {
                    "sentiment": [{"value": "positive", "user_id": "u"}],
                    "topics": [{"value": ["ipo", "earnings"], "user_id": "u"}],
                },
                "vectors": {},
                "_server_id": "s",
            }
        ]
    elif form == "first":
        rows = [
            {
                "fields": {"text": "Up"},
                "metadata": {"lang": "en"},
                "responses": [
                    {
                        "values": {"sentiment": {"value": "positive"}, "topics": {"value": ["ipo", "earnings"]}},
                        "status": "submitted",
                    },
                    {"values": {"sentiment": {"value": "negative"}}, "status": "draft"},
                ],
                "suggestions": [{"question_name": "sentiment", "value": "neutral"}],
            }
        ]
    elif form == "flat":
        rows = [
            {
                "id": "1",
                "text": "Up",
                "lang": "en",
                "sentiment.responses": ["negative", "positive"],
                "sentiment.responses.users": ["v", "u"],
                "sentiment.responses.status": ["discarded", "submitted"],
                "sentiment.suggestion": "neutral",
                "sentiment.suggestion.score": 0.4,
                "topics.responses": [["ipo", "earnings"]],
            }
        ]
    else:
        rows = [
            {
                "text": "Up",
                "lang": "en",
                "sentiment": [{"user_id": "u", "value": "positive", "status": "submitted"}],
                "sentiment-suggestion": "neutral",
                "topics": [{"user_id": "u", "value": ["ipo", "earnings"], "status": "submitted"}],
            }
        ]
    path = written(tmp_path, "a.json", json.dumps(rows))
    assert read_examples(path) == [Example("Up", "en", "positive", ("ipo", "earnings"))]


def test_argilla_suggestions_stand_in_where_nobody_responded(tmp_path: Path) -> None:
    proposed = {"sentiment": {"value": "negative", "score": 0.9, "agent": "model"}}
    rows = [
        {"fields": {"text": "a"}, "suggestions": proposed, "responses": {}},
        {"fields": {"text": "b"}, "suggestions": {}, "responses": {}},
        {"fields": {"text": "c"}, "suggestions": proposed, "responses": [{"values": {}, "status": "discarded"}]},
    ]
    path = written(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    problems = Problems(path)
    assert list(stream_examples(path, problems)) == [Example("a", sentiment="negative")]
    assert sorted(problems.notes.values()) == [1, 1, 1]


def test_argilla_spans_are_entities(tmp_path: Path) -> None:
    spans = [{"start": 0, "end": 4, "label": "negative"}, {"start": 9, "end": 13, "label": "ORG"}]
    row = {"fields": {"text": "Acme and Bolt"}, "responses": {"who": [{"value": spans, "user_id": "u"}]}}
    path = written(tmp_path, "a.json", json.dumps([row]))
    assert read_examples(path) == [Example("Acme and Bolt", entities=(("Acme", "negative"), ("Bolt", None)))]


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


@pytest.mark.parametrize("odd", [1, 2, 3])
def test_annotators_agree_on_topics_in_whatever_order_they_chose_them(tmp_path: Path, odd: int) -> None:
    own = {"annotator": 1, "created_at": "x", "lead_time": 2.5, "id": 1, "text": "a"}
    agreed = iter((["ipo", "earnings"], ["earnings", "ipo"]))
    rows = [
        own | {"annotation_id": number, "updated_at": f"2026-01-0{number}", "topics": {"choices": chosen}}
        for number in (1, 2, 3)
        for chosen in [["macro", "ipo"] if number == odd else next(agreed)]
    ]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows))
    (found,) = read_examples(path)
    assert set(found.topics or ()) == {"ipo", "earnings"}
