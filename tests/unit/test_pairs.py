"""The pairs that ship: what is taught and what is examined is sound, balanced, and kept apart."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import training
from monitor.documents import LABELS
from monitor.understand.novelty import WITHIN, normalise
from monitor.understand.novelty import fingerprint as simhash
from training.data.doubles import fingerprint
from training.data.reading import read_examples

PAIRS = Path(training.__file__).parent / "pairs"
LANGUAGES = ("en", "zh")
# Of the words (Chinese: pairs of characters) of two texts together, the share in both from which on a taught text
# would give an examined one away.
ALIKE = {"en": 0.6, "zh": 0.75}


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (PAIRS / name).read_text(encoding="utf-8").splitlines()]


def taught(lang: str) -> list[str]:
    """Every text that training may see."""
    return [row["text"] for name in ("train", "news", "toward", "topics") for row in rows(f"{lang}.{name}.jsonl")]


def examined(lang: str) -> list[str]:
    """Every text that none may see."""
    found = [row[key] for row in rows(f"{lang}.exam.jsonl") for key in ("bad", "good", "neutral") if key in row]
    found += [row["text"] for row in rows(f"{lang}.toward.exam.jsonl")]
    return found + [row[key] for row in rows(f"paraphrases.{lang}.jsonl") for key in ("a", "b")]


def pieces(text: str, lang: str) -> set[str]:
    """The words of a text, or its pairs of characters where words are not set apart."""
    plain = normalise(text)
    return {plain[at : at + 2] for at in range(len(plain) - 1)} if lang == "zh" else set(plain.split())


@pytest.mark.parametrize("lang", LANGUAGES)
def test_taught_texts_are_read_by_training_and_hold_every_class(lang: str) -> None:
    examples = read_examples(PAIRS / f"{lang}.train.jsonl")
    counts = Counter(example.sentiment for example in examples)
    assert len(examples) >= 1000
    assert set(counts) == set(LABELS)
    assert all(example.lang == lang and example.text == example.text.strip() for example in examples)
    assert 0.9 < counts["positive"] / counts["negative"] < 1.1
    assert counts["neutral"] >= 0.15 * len(examples)
    assert all(row["kind"] for row in rows(f"{lang}.train.jsonl"))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_taught_news_is_plain_and_balanced(lang: str) -> None:
    texts = rows(f"{lang}.news.jsonl")
    counts = Counter(row["sentiment"] for row in texts)
    assert len(texts) >= 1000 and set(counts) == set(LABELS)
    assert max(counts.values()) < 0.45 * len(texts) and min(counts.values()) > 0.2 * len(texts)
    assert all(set(row) == {"text", "lang", "sentiment", "kind"} and row["lang"] == lang for row in texts)
    # Written line by line: no few words begin many of them.
    begin = 8 if lang == "en" else 4
    assert Counter(row["text"][:begin].casefold() for row in texts).most_common(1)[0][1] < 0.02 * len(texts)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_taught_pairs_hold_one_good_and_one_bad_text_that_differ_in_little(lang: str) -> None:
    pairs: dict[str, dict[str, str]] = {}
    for row in rows(f"{lang}.train.jsonl"):
        if row["pair"] is not None:
            sides = pairs.setdefault(row["pair"], {})
            assert row["sentiment"] not in sides, row
            sides[row["sentiment"]] = row["text"]
    assert len(pairs) >= {"en": 400, "zh": 300}[lang]
    assert all(set(sides) == {"positive", "negative"} for sides in pairs.values())
    shared = [_alike(sides["positive"], sides["negative"], lang) for sides in pairs.values()]
    assert np.median(shared) > 0.5


@pytest.mark.parametrize("lang", LANGUAGES)
def test_examined_pairs_are_whole(lang: str) -> None:
    pairs = rows(f"{lang}.exam.jsonl")
    assert len(pairs) >= 300
    assert len({pair["id"] for pair in pairs}) == len(pairs)
    assert all(pair["lang"] == lang and pair["kind"] for pair in pairs)
    assert all(fingerprint(pair["good"]) != fingerprint(pair["bad"]) for pair in pairs)
    assert np.median([_alike(pair["good"], pair["bad"], lang) for pair in pairs]) > 0.4
    assert sum("neutral" in pair for pair in pairs) >= 30


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_text_stands_twice(lang: str) -> None:
    twice = [key for key, count in Counter(map(fingerprint, taught(lang) + examined(lang))).items() if count > 1]
    assert not twice


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_examined_text_is_near_a_taught_one(lang: str) -> None:
    known, asked = taught(lang), examined(lang)
    old, new = (np.array([simhash(text) for text in texts]).view(np.uint64) for texts in (known, asked))
    near = np.bitwise_count(new[:, None] ^ old[None, :]) <= WITHIN
    parts = [pieces(text, lang) for text in known + asked]
    place = {piece: at for at, piece in enumerate(sorted(set().union(*parts)))}
    columns = [place[piece] for part in parts for piece in part]
    ends = np.cumsum([0, *map(len, parts)])
    held = csr_array((np.ones(len(columns), np.int32), columns, ends), shape=(len(parts), len(place)))
    sizes = np.diff(ends)
    shared = (held[len(known) :] @ held[: len(known)].T).toarray()
    near |= shared >= ALIKE[lang] * (sizes[len(known) :, None] + sizes[None, : len(known)] - shared)
    assert not [(asked[row], known[column]) for row, column in zip(*np.nonzero(near), strict=True)]


@pytest.mark.parametrize("name", [f"{lang}.toward{part}.jsonl" for lang in LANGUAGES for part in ("", ".exam")])
def test_sentiment_toward_companies_names_each_as_the_text_does(name: str) -> None:
    disagreeing = 0
    for row in rows(name):
        toward, text = row["entity_sentiment"], row["text"]
        assert len(toward) >= 2, row
        assert set(toward.values()) <= set(LABELS), row
        assert all(company in text for company in toward), row
        # A name within another would be marked where the other is meant.
        assert not any(a != b and a in b for a in toward for b in toward), row
        disagreeing += len(set(toward.values())) > 1
    assert disagreeing > 0.5 * len(rows(name))
    assert len(read_examples(PAIRS / name)) == len(rows(name))


def test_place_in_the_sentence_does_not_tell_who_gains() -> None:
    first: Counter[str] = Counter()
    for row in rows("en.toward.jsonl"):
        labels = [row["entity_sentiment"][name] for name in sorted(row["entity_sentiment"], key=row["text"].index)]
        if set(labels) == {"positive", "negative"}:
            first[labels[0]] += 1
    assert 0.4 < first["positive"] / first.total() < 0.6


@pytest.mark.parametrize("lang", LANGUAGES)
def test_paraphrases_say_it_in_other_words(lang: str) -> None:
    pairs = rows(f"paraphrases.{lang}.jsonl")
    assert len(pairs) >= {"en": 150, "zh": 100}[lang]
    assert np.median([_alike(pair["a"], pair["b"], lang) for pair in pairs]) < 0.4


def test_swaps_cover_companies_countries_and_gender() -> None:
    swaps = {
        swap["group"]: swap
        for swap in tomllib.loads((PAIRS / "swaps.toml").read_text(encoding="utf-8"))["swap"]
        if swap["lang"] == "en"
    }
    assert len(swaps["company"]["templates"]) >= 40 and len(swaps["company"]["words"]) >= 60
    assert len(swaps["country"]["templates"]) >= 25 and len(swaps["country"]["words"]) >= 30
    assert len(swaps["gender"]["templates"]) + len(swaps["person"]["templates"]) >= 20
    for swap in swaps.values():
        words = [{"": word} if isinstance(word, str) else word for word in swap["words"]]
        texts = [_filled(template, word) for template, word in product(swap["templates"], words)]
        assert len(set(texts)) == len(texts), f"{swap['group']}: a word makes no difference"


def _filled(template: str, word: dict[str, str]) -> str:
    return re.sub(r"\{(\w*)\}", lambda slot: word[slot[1]], template)


def _share(a: set[str], b: set[str]) -> float:
    return len(a & b) / max(1, len(a | b))


def _alike(a: str, b: str, lang: str) -> float:
    return _share(pieces(a, lang), pieces(b, lang))


def test_every_file_is_described() -> None:
    described = (PAIRS / "README.md").read_text(encoding="utf-8")
    for path in PAIRS.glob("*l"):
        name = re.sub(r"\b(en|zh)\b", "LANG", path.name)
        assert f"`{name}`" in described, path.name
