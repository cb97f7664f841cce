"""A new topic for a bundle from a handful of examples, without moving what it says of anything else.

The encoder stays as it is. Each class has a prototype, its mean on the encoder's pooled states (Snell et al. 2017,
"Prototypical Networks"), and a text belongs to the nearer one; how near is measured in the spread of the texts, whose
covariance is shrunk as far as so few examples ask for (Ledoit and Wolf 2004). That is a linear discriminant, so it is
one more row of the topic head. SetFit (Tunstall et al. 2022) teaches the encoder by contrast beforehand; that is left
out on purpose, because it would change every other answer of the bundle.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import InputError
from monitor.progress import progress
from monitor.understand.bundle import Bundle, load_bundle
from monitor.understand.encoders import sha256
from monitor.understand.language import detect
from monitor.understand.manifest import WEIGHTS, TrainingData, read_manifest
from monitor.understand.probabilities import sigmoid
from monitor.understand.topics import Taxonomy
from training.card import write_manifest
from training.data.examples import Example
from training.data.reading import read_examples
from training.data.taxonomy import in_taxonomy
from training.lineage import write_descent
from training.notes import noted

FOLDS = 10
"""Parts the counterexamples are left out in; the examples are left out one by one."""
FEWEST = 4
MOST = 600
"""Counterexamples taken from a background at most."""


@dataclass(frozen=True)
class Head:
    """A topic's row of the topic head, and what leaving out found: F1, precision and recall at the threshold."""

    weight: NDArray[np.float64]
    bias: float
    threshold: float
    f1: float
    precision: float
    recall: float


def examples_of(topic: str, rows: Sequence[Example], taxonomy: Taxonomy) -> tuple[list[str], list[str]]:
    """Texts of a topic, and texts that are not about it. A row without topics stands for the topic.

    Raises:
        InputError: there are fewer than FEWEST texts of the topic.
    """
    yes = [row.text for row in rows if row.topics is None or topic in map(taxonomy.resolve, row.topics)]
    no = [row.text for row in rows if row.topics is not None and topic not in map(taxonomy.resolve, row.topics)]
    if len(set(yes)) < FEWEST:
        raise InputError(f"{topic}: {len(set(yes))} examples are too few; give at least {FEWEST}, better 8 or more")
    return list(dict.fromkeys(yes)), list(dict.fromkeys(text for text in no if text not in set(yes)))


def learn(yes: NDArray[np.float32], no: NDArray[np.float32]) -> Head:
    """The head that does best when left-out texts are asked.

    Args:
        yes: pooled states (examples, hidden) of the topic's texts.
        no: those of the others.
    """
    states = np.concatenate([yes, no]).astype(np.float64)
    truth = np.r_[np.ones(len(yes), bool), np.zeros(len(no), bool)]
    parts = [np.array([row]) for row in range(len(yes))]
    shuffled = np.random.default_rng(13).permutation(np.arange(len(yes), len(states)))
    parts += [part for part in np.array_split(shuffled, FOLDS) if len(part)]
    said = np.empty(len(states))
    with progress("leaving each text out", total=len(parts)) as bar:
        for number, part in enumerate(parts):
            kept = np.ones(len(states), bool)
            kept[part] = False
            weight, bias = _fit(states[kept], truth[kept])
            said[part] = states[part] @ weight + bias
            bar.update(number + 1)
    f1, cut = _best(said, truth)
    decided = said >= cut
    right = int((decided & truth).sum())
    weight, bias = _fit(states, truth)
    slope, shift = _probability(said, truth)
    threshold = float(np.clip(sigmoid(np.array([slope * cut + shift]))[0], 0.02, 0.98))
    return Head(
        slope * weight,
        slope * bias + shift,
        round(threshold, 4),
        f1,
        right / max(1, int(decided.sum())),
        right / max(1, int(truth.sum())),
    )


def _probability(said: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and shift that make left-out scores probabilities (Platt 1999), of texts as mixed as these."""
    from sklearn.linear_model import LogisticRegression

    spread = float(said.std()) or 1.0
    model = LogisticRegression().fit((said / spread)[:, None], truth)
    return max(float(model.coef_[0, 0]), 1e-3) / spread, float(model.intercept_[0])


def _fit(states: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    # Equal priors: the spread of the few counts as much as that of the many.
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[0.5, 0.5])
    model.fit(states, truth)
    return model.coef_[0], float(model.intercept_[0])


def _best(said: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """The best F1 and the middle of the gap it is reached in."""
    order = np.argsort(-said)
    hits = np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(said) + 1) + truth.sum())
    place = int(f1.argmax())
    below = said[order[place + 1]] if place + 1 < len(said) else said[order[place]] - 1.0
    return float(f1[place]), float((said[order[place]] + below) / 2)


def add_topic(
    folder: Path,
    out: Path,
    topic: str,
    rows: Sequence[Example],
    background: Sequence[str],
    taxonomy: Taxonomy,
    *,
    file: Path,
    least: float = 0.6,
    version: str | None = None,
) -> tuple[Bundle, Head]:
    """Write the bundle of `folder` with one more topic into `out`.

    Args:
        rows: labelled texts (`examples_of`).
        background: texts of which hardly any is about the topic.
        file: where the rows came from, for the record.
        least: F1 over left-out texts below which nothing is written.
        version: of the new bundle; None: the old one's, its last number raised by one.

    Raises:
        InputError: the topic is unknown, known to the bundle already, cannot be told apart, or the bundle is linear.
    """
    from safetensors.numpy import load_file, save_file

    from monitor.understand.runtimes.encoder import EncoderRuntime
    from monitor.understand.runtimes.wide import WideRuntime, with_blank_topic

    name = taxonomy.resolve(topic)
    if name is None:
        raise InputError(f"{topic} is no topic of {taxonomy.path}; add it there (or to a copy named with --topics)")
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: is not empty; name another folder with --out")
    bundle = load_bundle(folder)
    manifest = bundle.manifest
    runtime = bundle.runtime.deep if isinstance(bundle.runtime, WideRuntime) else bundle.runtime
    if not isinstance(runtime, EncoderRuntime):
        raise InputError(f"{folder}: is a linear bundle; a topic can be added to one with an encoder")
    if name in manifest.topics:
        raise InputError(f"{folder}: knows {name} already; train on with [continual] to make it better")
    yes, no = examples_of(name, in_taxonomy(rows, taxonomy, (), file), taxonomy)
    no = list(dict.fromkeys([*no, *(text for text in background if text not in set(yes))]))
    if len(no) < 2 * FOLDS:
        raise InputError(f"{name}: {len(no)} counterexamples are too few; name a file of other texts with --background")
    states = runtime.pooled([*yes, *no])
    head = learn(states[: len(yes)], states[len(yes) :])
    if head.f1 < least:
        raise InputError(
            f"{name}: cannot be told apart: F1 {head.f1:.2f} over left-out texts (precision {head.precision:.2f}, "
            f"recall {head.recall:.2f}) of {len(yes)} examples against {len(no)} others, and at least {least:g} is "
            "asked; give more or clearer examples, or lower --least"
        )
    tensors = load_file(folder / WEIGHTS)
    # What the service divides topics' logits by is undone for this one: its threshold was found without.
    warm = manifest.temperature.topics
    kind = tensors["topics.weight"].dtype
    tensors["topics.weight"] = np.concatenate([tensors["topics.weight"], (warm * head.weight[None]).astype(kind)])
    tensors["topics.bias"] = np.append(tensors["topics.bias"], np.array(warm * head.bias).astype(kind))
    if manifest.wide is not None:  # beside the encoder's head for it stands one that says nothing
        tensors = with_blank_topic(tensors, manifest.wide, len(manifest.topics))
    shutil.copytree(folder, out, dirs_exist_ok=True)
    save_file(tensors, out / WEIGHTS)
    (out / WEIGHTS).chmod(0o644)
    manifest = replace(
        manifest,
        version=version or _next(manifest.version),
        topics=(*manifest.topics, name),
        thresholds={**manifest.thresholds, name: head.threshold},
        files={**manifest.files, WEIGHTS: sha256(out / WEIGHTS)},
        training_data=(
            *manifest.training_data,
            TrainingData(file.name, f"examples of {name}", "not stated", sha256(file), len(rows)),
        ),
        metrics={**_without_topics(manifest.metrics), f"{name}, left out": _numbers(head)},
    )
    write_manifest(out, manifest)
    write_descent(out, folder, [*yes, *no])
    lines = [
        f"`{name}` was added to {bundle.manifest.model} from {len(yes)} examples and {len(no)} other texts; encoder "
        f"and other heads are untouched. Over left-out texts: F1 {head.f1:.3f}, precision {head.precision:.3f}, recall "
        f"{head.recall:.3f}; threshold {head.threshold:g}. The numbers on topics below were measured before it.",
    ]
    return noted(replace(load_bundle(out), manifest=manifest), f"Topic added: {name}", lines), head


def _numbers(head: Head) -> dict[str, float]:
    return {"f1": round(head.f1, 4), "precision": round(head.precision, 4), "recall": round(head.recall, 4)}


def _without_topics(metrics: Any) -> dict[str, Any]:
    """What was measured, less what a new topic may have changed."""
    return {
        file: {name: value for name, value in numbers.items() if not name.startswith("topics_")}
        for file, numbers in metrics.items()
    }


def _next(version: str) -> str:
    found = re.fullmatch(r"(.*?)(\d+)", version)
    return f"{found[1]}{int(found[2]) + 1}" if found else f"{version}.1"


def background_of(file: Path | None, bundle: Path) -> list[str]:
    """Texts of a file, or of the sample feed in the languages of a bundle; MOST at most, drawn evenly.

    Raises:
        InputError: the file cannot be read.
        BundleError: there is no such bundle.
    """
    if file is not None:
        texts = [row.text for row in read_examples(file)]
    else:
        languages = read_manifest(bundle).languages
        sample = Path(str(resources.files("monitor.sample") / "feed.jsonl.gz"))
        with gzip.open(sample, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        said = [(row.get("text") or row.get("title") or "", row.get("lang")) for row in rows]
        texts = [text for text, lang in said if detect(text, lang) in languages]
    texts = list(dict.fromkeys(text for text in texts if text.strip()))
    return texts[:: max(1, -(-len(texts) // MOST))]
