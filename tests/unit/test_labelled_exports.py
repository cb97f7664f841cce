"""Exports of annotation tools: what the annotators said comes out, whatever form it was written in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.labelled import choice, refused, written
from training.data.examples import Example
from training.data.problems import Problems
from training.data.reading import read_examples, stream_examples

# --- Label Studio ----------------------------------------------------------------------------------------------------


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
