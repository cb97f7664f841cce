"""`engine.model = "fast"`: the small student reads its language, the full model the others."""

from __future__ import annotations

from monitor.settings import EngineSettings, load
from monitor.understand.bundle import FAST, SHIPPED
from monitor.understand.engine import Engine
from monitor.understand.lineup import shipped, standing, verify
from monitor.understand.manifest import read_manifest


def test_setting_chooses_the_student_where_there_is_one() -> None:
    full = {language: seat.model for language, seat in standing(EngineSettings()).by_language.items()}
    fast = {language: seat.model for language, seat in standing(EngineSettings(model="fast")).by_language.items()}
    assert set(full) == set(fast) == {"en", "zh"}
    assert fast["en"].startswith("bellwether-en-fast@") and full["en"].startswith("bellwether-en@")
    assert fast["zh"] == full["zh"]
    assert load({"BELLWETHER_ENGINE_MODEL": "fast"}).settings.engine.model == "fast"


def test_languages_that_champions_read_are_left_to_them() -> None:
    assert [seat.languages for seat in shipped(without={"en"}, fast=True)] == [("zh",)]
    assert [seat.languages for seat in shipped(without={"zh"}, fast=True)] == [("en",)]


def test_student_knows_what_its_teacher_knows_and_needs_nobody() -> None:
    (folder,) = FAST
    student, teacher = read_manifest(folder), read_manifest(SHIPPED[0])
    assert student.topics == teacher.topics and student.toward and student.languages == teacher.languages
    assert student.encoder is not None and student.encoder.form == "whole"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 12_000_000
    assert "bellwether-en-fast@" in verify(EngineSettings(model="fast"))


def test_plain_news_gets_the_sentiment_any_reader_would_give() -> None:
    engine = Engine(EngineSettings(model="fast", device="cpu"))
    texts = [
        "Shares of Halvern Bank plunge after profit warning and fraud probe",
        "Orlane Foods raises its outlook after record quarterly profit, shares surge",
        "Board declares a quarterly dividend of $0.25",
    ]
    bad, good, plain = engine.score(texts, ["en"] * 3)
    assert bad is not None and good is not None and plain is not None
    assert (bad.sentiment.label, good.sentiment.label) == ("negative", "positive")
    assert plain.topics[0].id == "dividend"
