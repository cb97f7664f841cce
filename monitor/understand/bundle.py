"""A bundle: one model as a folder (`bundle.json`, weights, MODEL_CARD.md), checked before anything is believed.

Reading and checking a manifest needs no model library; `load_bundle` imports what the kind of network needs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from monitor.documents import LABELS
from monitor.errors import BundleError
from monitor.settings import EngineSettings
from monitor.understand.encoders import EncoderSource, find_encoder, sha256
from monitor.understand.runtimes import Runtime

MANIFEST = "bundle.json"
WEIGHTS = "weights.safetensors"
FORMAT = 1
_BUNDLES = Path(__file__).with_name("bundles")
SHIPPED: tuple[Path, ...] = (_BUNDLES / "en", _BUNDLES / "zh")
_STRICT = ConfigDict(extra="forbid")


@with_config(_STRICT)
@dataclass(frozen=True)
class Temperature:
    """What logits are divided by before softmax (sentiment) and sigmoid (topics)."""

    sentiment: float = 1.0
    topics: float = 1.0


@with_config(_STRICT)
@dataclass(frozen=True)
class Encoder:
    """The pre-trained encoder a bundle builds on, and its adapters (alpha 0: it has none)."""

    name: str
    revision: str | None
    sha256: Mapping[str, str]
    pooling: Literal["mean", "first"]
    max_tokens: int
    rank: int = 0
    alpha: float = 0.0

    @property
    def source(self) -> EncoderSource:
        """What `find_encoder` looks for."""
        return EncoderSource(self.name, self.revision, self.sha256)


@with_config(_STRICT)
@dataclass(frozen=True)
class Ngrams:
    """Hashed character n-grams: lengths `low` to `high`, into `buckets` columns."""

    low: int
    high: int
    buckets: int


@with_config(_STRICT)
@dataclass(frozen=True)
class TrainingData:
    """A file the model learned from."""

    file: str
    origin: str
    licence: str
    sha256: str
    rows: int


@with_config(_STRICT)
@dataclass(frozen=True)
class Manifest:
    """`bundle.json`, checked.

    Attributes:
        kind: "encoder" (a transformer with two heads) or "ngrams" (linear over hashed character n-grams).
        languages: ISO 639-1 codes the model may be asked about.
        thresholds: topic id → the probability from which a text is said to have the topic.
        metrics: file → what `bellwether evaluate` found on it.
        files: name → SHA-256 of every other file in the folder.
    """

    format: int
    name: str
    version: str
    kind: Literal["encoder", "ngrams"]
    languages: tuple[str, ...]
    sentiment: tuple[str, ...]
    topics: tuple[str, ...]
    temperature: Temperature
    thresholds: Mapping[str, float]
    files: Mapping[str, str]
    encoder: Encoder | None = None
    ngrams: Ngrams | None = None
    training_data: tuple[TrainingData, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """`name@version`, as it is stored with every score."""
        return f"{self.name}@{self.version}"


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a folder; the files it lists are not opened.

    Raises:
        BundleError: there is no such folder, or its manifest is not what it should be.
    """
    path = folder / MANIFEST
    try:
        manifest = TypeAdapter(Manifest).validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BundleError(f"{path}: there is no such file; set engine.bundles to model folders") from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}; see engine.bundles") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _damaged(path, f"{where}: {first['msg']}" if where else first["msg"]) from None
    wrong = _contradiction(manifest)
    if wrong:
        raise _damaged(path, wrong)
    return manifest


def _contradiction(manifest: Manifest) -> str | None:
    """What is wrong with a manifest whose types are right; None if nothing is."""
    if manifest.format != FORMAT:
        return f"format {manifest.format}; this program reads format {FORMAT}"
    if manifest.sentiment != LABELS:
        return f"sentiment: labels {list(manifest.sentiment)} instead of {list(LABELS)}"
    if len(set(manifest.topics)) != len(manifest.topics) or not manifest.topics:
        return "topics: empty or twice the same"
    if set(manifest.thresholds) != set(manifest.topics):
        return "thresholds: not for exactly the topics"
    if not all(0 < value < 1 for value in manifest.thresholds.values()):
        return "thresholds: each lies between 0 and 1"
    if not all(math.isfinite(t) and t > 0 for t in (manifest.temperature.sentiment, manifest.temperature.topics)):
        return "temperature: not positive"
    if not manifest.languages:
        return "languages: none"
    if (manifest.encoder is None) != (manifest.kind != "encoder") or (manifest.ngrams is None) == (
        manifest.kind == "ngrams"
    ):
        return f"kind {manifest.kind}: its section is missing or another is there"
    if WEIGHTS not in manifest.files:
        return f"files: {WEIGHTS} is not among them"
    if any("/" in name or "\\" in name or name in ("..", "") for name in manifest.files):
        return "files: a name leads out of the folder"
    return None


def check_files(folder: Path, manifest: Manifest) -> None:
    """Make sure that every file of a bundle is there and is the one its manifest lists.

    Raises:
        BundleError: one is missing or its SHA-256 differs.
    """
    for name, digest in manifest.files.items():
        file = folder / name
        try:
            found = sha256(file)
        except OSError as error:
            raise BundleError(f"{file}: cannot be read: {error.strerror}; see engine.bundles") from None
        if found != digest:
            raise _damaged(file, f"its SHA-256 is not the one {MANIFEST} lists")


def _damaged(path: Path, why: str) -> BundleError:
    return BundleError(f"{path}: {why}; put back the whole model folder or change engine.bundles")


def folders(settings: EngineSettings) -> tuple[Path, ...]:
    """The model folders the settings name; those that ship if they name none."""
    return tuple(path.expanduser() for path in settings.bundles) or SHIPPED


def check(settings: EngineSettings) -> list[Manifest]:
    """Check every bundle of the settings as far as that goes without loading one: manifests, files, languages.

    Raises:
        BundleError: a bundle is damaged, or two cover the same language.
    """
    manifests: list[Manifest] = []
    covered: dict[str, Path] = {}
    for folder in folders(settings):
        manifest = read_manifest(folder)
        check_files(folder, manifest)
        for language in manifest.languages:
            if language in covered:
                raise BundleError(
                    f"{folder} and {covered[language]} both cover {language}; keep one of them in engine.bundles"
                )
            covered[language] = folder
        manifests.append(manifest)
    return manifests


def verify(settings: EngineSettings) -> str:
    """Check every bundle and that its encoder is at hand; one line that says what there is. Raises BundleError."""
    parts = []
    for folder, manifest in zip(folders(settings), check(settings), strict=True):
        text = f"{manifest.model} ({', '.join(manifest.languages)})"
        if manifest.encoder is not None:
            text += f" on {manifest.encoder.name} at {find_encoder(manifest.encoder.source, beside=folder)}"
        parts.append(text)
    return "; ".join(parts)


@dataclass(frozen=True)
class Bundle:
    """A loaded model."""

    manifest: Manifest
    folder: Path
    runtime: Runtime

    def probabilities(self, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Calibrated probabilities of (texts, 3) sentiment classes and (texts, topics) topics.

        A text longer than a window is the mean of its windows' probabilities, weighted by their tokens.
        """
        logits = self.runtime.logits(texts)
        temperature = self.manifest.temperature
        sentiment = softmax(logits.sentiment.astype(np.float64) / temperature.sentiment)
        topics = sigmoid(logits.topics.astype(np.float64) / temperature.topics)
        return logits.pooled(sentiment), logits.pooled(topics)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row-wise softmax."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return total


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Element-wise logistic function, sound for any finite input."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def load_bundle(folder: Path, *, device: str = "auto", threads: int = 0, tokens: int = 4096) -> Bundle:
    """Load a model folder. Its files and its encoder are checked first.

    Args:
        device: auto, cpu, cuda or cuda:N; auto takes a GPU when there is one.
        threads: forward passes computed at a time on a CPU; 0: as many as there are cores. Each has one thread, and so
            has torch in this process from then on.
        tokens: padded tokens of one forward pass at most.

    Raises:
        BundleError: the folder, a file in it or its encoder is missing, damaged or does not fit.
        SettingsError: the device is not there.
    """
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    runtime: Runtime
    try:
        if manifest.kind == "encoder":
            from monitor.understand.runtimes.pytorch import EncoderRuntime

            runtime = EncoderRuntime.load(folder, manifest, device=device, threads=threads, tokens=tokens)
        else:
            from monitor.understand.runtimes.ngrams import NgramRuntime

            runtime = NgramRuntime.load(folder, manifest)
    except (KeyError, ValueError, RuntimeError, OSError) as error:
        # A file that hashes right but holds the wrong thing: made wrong, not damaged on the way.
        reason = " ".join(str(error).split())[:200]
        raise _damaged(folder / WEIGHTS, f"does not fit {MANIFEST} ({type(error).__name__}: {reason})") from error
    return Bundle(manifest, folder, runtime)
