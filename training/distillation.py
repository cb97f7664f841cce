"""What teachers say of the texts of a run, for a student to learn from (Hinton, Vinyals and Dean 2015)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.errors import InputError
from monitor.progress import progress
from monitor.understand.bundle import Bundle, load_bundle
from monitor.understand.manifest import read_manifest
from monitor.understand.probabilities import sigmoid, softmax
from training.data.examples import Example
from training.placing import placed
from training.recipe import Distillation
from training.rows import Advice

log = logging.getLogger(__name__)
CHUNK = 512


def check_teachers(distil: Distillation, topics: Sequence[str], *, toward: bool = False) -> None:
    """Make sure that the teachers are there and know the topics, before any work is done.

    Raises:
        InputError: a teacher lacks a topic the student is to learn, or cannot read texts marked for a company
            (`toward`).
        BundleError: a teacher's folder is none.
    """
    for folder in distil.teachers:
        manifest = read_manifest(Path(folder))
        lacking = [topic for topic in topics if topic not in manifest.topics]
        if lacking:
            raise InputError(f"teacher {folder}: does not know the topics {', '.join(lacking)}")
        if toward and not manifest.toward:
            raise InputError(
                f"teacher {folder}: was not taught sentiment toward each of several companies, and would be asked "
                "for it; name another teacher, or leave toward = true out"
            )


def advice_of(
    distil: Distillation, examples: Sequence[Example], topics: Sequence[str], workplace: Path
) -> Advice | None:
    """The teachers' probabilities, averaged, softened by the recipe's temperature; None without teachers.

    They are kept in the workplace, so a run that goes on does not ask the teachers again.

    Raises:
        InputError: see `check_teachers`.
        BundleError: a teacher cannot be loaded.
    """
    if not distil.teachers:
        return None
    seed = hashlib.sha256("\x00".join([*topics, *(example.text for example in examples)]).encode("utf-8", "replace"))
    kept = workplace / f"advice-{seed.hexdigest()[:12]}.npz"
    if kept.is_file():
        with np.load(kept) as found:
            return Advice(found["sentiment"], found["topics"])
    total = np.zeros((len(examples), 3 + len(topics)))
    for folder in distil.teachers:
        total += _asked(load_bundle(Path(folder)), examples, topics, distil.temperature)
    mean = (total / len(distil.teachers)).astype(np.float32)
    advice = Advice(mean[:, :3], mean[:, 3:])
    workplace.mkdir(parents=True, exist_ok=True)
    with placed(kept) as part, part.open("wb") as file:
        np.savez(file, sentiment=advice.sentiment, topics=advice.topics)
    return advice


def _asked(teacher: Bundle, examples: Sequence[Example], topics: Sequence[str], soft: float) -> NDArray[np.float64]:
    manifest = teacher.manifest
    columns = [manifest.topics.index(topic) for topic in topics]
    # Texts of like length together: a teacher's passes are padded to the longest.
    order = sorted(range(len(examples)), key=lambda index: len(examples[index].text))
    found = np.zeros((len(examples), 3 + len(topics)))
    with progress(f"asking {manifest.model}", total=len(order)) as bar:
        for begin in range(0, len(order), CHUNK):
            part = order[begin : begin + CHUNK]
            logits = teacher.runtime.logits([examples[index].text for index in part])
            sentiment = softmax(logits.sentiment.astype(np.float64) / (manifest.temperature.sentiment * soft))
            # A topic is a yes or a no of its own; softening it would make every topic half true.
            said = sigmoid(logits.topics.astype(np.float64) / manifest.temperature.topics)
            found[part, :3] = logits.pooled(sentiment)
            found[part, 3:] = logits.pooled(said)[:, columns]
            bar.update(begin + len(part))
    return found
