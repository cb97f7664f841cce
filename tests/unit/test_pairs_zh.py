"""The Chinese pairs: schema, balance, and what is examined kept apart from everything that is taught.

What holds for every language is tested in test_pairs.py; here stands what only the Chinese files have.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

from monitor.documents import LABELS
from monitor.understand.novelty import WITHIN, distance
from monitor.understand.novelty import fingerprint as simhash
from monitor.understand.topics import load_taxonomy
from training.data.doubles import fingerprint
from training.data.reading import read_examples
from training.evaluation.bias import SWAPS, read_swaps
from training.evaluation.pairs import PAIRS, paraphrases_for

TAUGHT = ("zh.train.jsonl", "zh.news.jsonl", "zh.toward.jsonl", "zh.topics.jsonl")
# Pairs of characters that an examined and a taught text may share, of those of both.
ALIKE = 0.5
# The topics that zh.topics.jsonl says everything about: absent means that a text is not about it.
TOPICS = {
    "analyst_update",
    "central_banks",
    "corporate_debt",
    "crypto",
    "currencies",
    "dividend",
    "earnings",
    "ipo",
    "legal_regulation",
    "m_and_a",
    "metals_materials",
    "personnel",
    "real_estate",
    "stock_commentary",
    "stock_movement",
}


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (PAIRS / name).read_text(encoding="utf-8").splitlines()]


def taught() -> list[str]:
    return [row["text"] for name in TAUGHT for row in rows(name)]


def examined() -> list[str]:
    pairs = [row[key] for row in rows("zh.exam.jsonl") for key in ("bad", "good", "neutral") if key in row]
    paraphrases = [row[key] for row in rows("paraphrases.zh.jsonl") for key in ("a", "b")]
    return pairs + paraphrases + [row["text"] for row in rows("zh.toward.exam.jsonl")]


def pieces(text: str) -> set[str]:
    plain = fingerprint(text)
    return {plain[at : at + 2] for at in range(len(plain) - 1)}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("zh.train.jsonl", {"text", "lang", "sentiment", "pair", "kind"}),
        ("zh.news.jsonl", {"text", "lang", "sentiment", "kind"}),
        ("zh.exam.jsonl", {"id", "lang", "bad", "good", "kind"}),
        ("zh.toward.jsonl", {"text", "lang", "entity_sentiment"}),
        ("zh.toward.exam.jsonl", {"text", "lang", "entity_sentiment"}),
        ("zh.topics.jsonl", {"text", "lang", "topics"}),
        ("paraphrases.zh.jsonl", {"lang", "a", "b"}),
    ],
)
def test_every_row_has_its_fields_and_nothing_unfinished(name: str, fields: set[str]) -> None:
    longest = 220 if name in ("zh.news.jsonl", "zh.toward.jsonl", "zh.topics.jsonl") else 90
    for row in rows(name):
        assert set(row) - {"neutral"} == fields, row
        assert row["lang"] == "zh", row
        for key in ("text", "bad", "good", "neutral", "a", "b"):
            if key in row:
                assert row[key] == row[key].strip() and len(row[key]) <= longest, row
                # What an unfinished line would leave behind.
                assert not re.search(r"[{}|<>\ufffd]", row[key]), row


def test_taught_texts_are_varied_and_of_every_kind() -> None:
    texts = rows("zh.train.jsonl")
    kinds = Counter(row["kind"] for row in texts)
    assert min(kinds.values()) >= 10
    assert all(row["sentiment"] in LABELS for row in texts)
    lengths = np.array([len(row["text"]) for row in texts + rows("zh.news.jsonl")])
    assert np.quantile(lengths, 0.1) <= 10 and np.quantile(lengths, 0.9) >= 45 and lengths.max() >= 120
    # Forum comments and news each hold every sentiment, so that the register alone does not tell.
    for register in (True, False):
        here = Counter(row["sentiment"] for row in texts if (row["kind"] == "social") is register)
        assert min(here[label] for label in LABELS) >= 40


def test_examined_kinds_are_taught_or_only_longer() -> None:
    taught_kinds = {row["kind"] for row in rows("zh.train.jsonl")}
    assert {row["kind"] for row in rows("zh.exam.jsonl")} <= taught_kinds | {"long"}


def test_no_text_stands_twice() -> None:
    counts = Counter(map(fingerprint, taught() + examined()))
    assert [key for key, count in counts.items() if count > 1] == []
    assert "" not in counts


def test_nothing_examined_is_near_to_what_is_taught() -> None:
    known = taught()
    marks = np.array([simhash(text) & 0xFFFF_FFFF_FFFF_FFFF for text in known], dtype=np.uint64)
    sizes = [len(pieces(text)) for text in known]
    holding: dict[str, list[int]] = {}
    for place, text in enumerate(known):
        for piece in pieces(text):
            holding.setdefault(piece, []).append(place)
    near = []
    for text in examined():
        mark = simhash(text)
        for place in np.flatnonzero(
            np.bitwise_count(marks ^ np.uint64(mark & 0xFFFF_FFFF_FFFF_FFFF)) <= WITHIN
        ).tolist():
            near.append((text, known[place], distance(mark, simhash(known[place]))))
        here = pieces(text)
        shared = Counter(place for piece in here for place in holding.get(piece, ()))
        near += [
            (text, known[place], count)
            for place, count in shared.items()
            if count >= ALIKE * (len(here) + sizes[place] - count)
        ]
    assert near == []


def test_companies_of_the_exam_are_not_those_of_training() -> None:
    named = {name for row in rows("zh.toward.jsonl") for name in row["entity_sentiment"]}
    assert [n for row in rows("zh.toward.exam.jsonl") for n in row["entity_sentiment"] if n in named] == []


@pytest.mark.parametrize("name", ["zh.toward.jsonl", "zh.toward.exam.jsonl"])
def test_place_in_the_text_does_not_tell_who_gains(name: str) -> None:
    first: Counter[str] = Counter()
    for row in rows(name):
        toward = row["entity_sentiment"]
        labels = [toward[company] for company in sorted(toward, key=row["text"].index)]
        if set(labels) == {"positive", "negative"}:
            first[labels[0]] += 1
    assert first.total() >= 60
    assert 0.4 < first["positive"] / first.total() < 0.6


def test_topics_are_of_the_taxonomy_and_each_is_taught() -> None:
    taxonomy = load_taxonomy()
    assert all(taxonomy.resolve(topic) == topic for topic in TOPICS)
    texts = rows("zh.topics.jsonl")
    counts = Counter(topic for row in texts for topic in row["topics"])
    assert set(counts) == TOPICS
    assert min(counts.values()) >= 15
    assert all(row["topics"] and len(set(row["topics"])) == len(row["topics"]) for row in texts)
    assert len(texts) >= 300
    assert len(read_examples(PAIRS / "zh.topics.jsonl")) == len(texts)


def test_paraphrases_say_it_in_other_words() -> None:
    pairs = paraphrases_for(["zh"])
    assert len(pairs) >= 120
    shares = [len(pieces(p.a) & pieces(p.b)) / max(1, len(pieces(p.a) | pieces(p.b))) for p in pairs]
    assert np.median(shares) < 0.3


def test_swaps_cover_companies_places_and_gender() -> None:
    swaps = {swap.group: swap for swap in read_swaps(PAIRS / SWAPS) if swap.lang == "zh"}
    assert len(swaps["company"].templates) >= 30 and len(swaps["company"].words) >= 50
    assert len(swaps["country"].templates) >= 20 and len(swaps["country"].words) >= 25
    assert len(swaps["gender"].templates) >= 15 and len(swaps["person"].words) >= 20
    for swap in swaps.values():
        texts = list(swap.texts())
        assert len(set(texts)) == len(texts), f"{swap.group}: a word makes no difference"
