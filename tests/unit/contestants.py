"""Two tiny models and exams in which one of them is right: the labels are what it says itself."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

from monitor.documents import LABELS
from monitor.understand.bundle import load_bundle
from tests.unit.models import WORDS, make_bundle, make_encoder


def make_models(folder: Path, versions: Sequence[str], *, name: str = "tiny") -> dict[str, Path]:
    """Bundles of one encoder, a version each, all with heads of their own."""
    encoder = make_encoder(folder / "encoder")
    return {
        version: make_bundle(folder / version, encoder, seed=number, name=name, version=version)
        for number, version in enumerate(versions, 1)
    }


def texts(count: int, seed: int = 0) -> list[str]:
    """Texts of the tiny vocabulary, no two alike."""
    dice = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found[" ".join(dice.choices(WORDS, k=8))] = None
    return list(found)


def write_exam(path: Path, bundle: Path, *, count: int = 240, seed: int = 0, lang: str = "en") -> Path:
    """An exam whose right answers are those of one bundle."""
    asked = texts(count, seed)
    sentiment, _ = load_bundle(bundle, device="cpu", threads=1).probabilities(asked)
    rows = [
        {"text": text, "lang": lang, "sentiment": LABELS[place]}
        for text, place in zip(asked, sentiment.argmax(1).tolist(), strict=True)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
