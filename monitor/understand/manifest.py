"""`bundle.json`: what a model folder says of itself, and that the folder holds what it says.

Needs no model library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from monitor.documents import LABELS
from monitor.errors import BundleError
from monitor.understand.encoders import EncoderSource, sha256

MANIFEST = "bundle.json"
WEIGHTS = "weights.safetensors"
FORMAT = 1
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
    """The pre-trained encoder a bundle builds on, and in what form it stores what was taught (see `stored.py`).

    Attributes:
        sha256: of the base's files; empty when the bundle holds all of the encoder itself.
        rank, alpha: of the adapters; 0: there are none.
        bits: of stored matrices (16: float16).
    """

    name: str
    revision: str | None
    sha256: Mapping[str, str]
    pooling: Literal["mean", "first"]
    max_tokens: int
    rank: int = 0
    alpha: float = 0.0
    form: Literal["adapters", "delta", "whole"] = "adapters"
    bits: Literal[4, 5, 6, 8, 16] = 16

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
class Wide:
    """Linear heads over hashed n-grams whose logits are added to the encoder's (see `runtimes/wide.py`).

    Attributes:
        sentiment, topics: what their logits are multiplied by before.
        toward: the same for the sentiment of a text that is marked for one company.
    """

    ngrams: Ngrams
    sentiment: float = 0.0
    topics: float = 0.0
    toward: float = 0.0


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
        toward: the network was taught on texts marked for one company, too (`toward.aimed`), and is asked about them.
        wide: linear heads beside the encoder's; None: there are none.
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
    toward: bool = False
    wide: Wide | None = None

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
        raise damaged(path, f"{where}: {first['msg']}" if where else first["msg"]) from None
    wrong = _contradiction(manifest)
    if wrong:
        raise damaged(path, wrong)
    return manifest


def _contradiction(manifest: Manifest) -> str | None:
    """What is wrong with a manifest whose types are right; None if nothing is."""
    if manifest.format != FORMAT:
        return f"format {manifest.format}; this program reads format {FORMAT}"
    if manifest.sentiment != LABELS:
        return f"sentiment: labels {list(manifest.sentiment)} instead of {list(LABELS)}"
    if len(set(manifest.topics)) != len(manifest.topics):
        return "topics: twice the same"
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
    wide = manifest.wide
    if wide is not None and manifest.encoder is None:
        return "wide: there is no encoder to stand beside"
    if wide is not None and not all(math.isfinite(x) and x >= 0 for x in (wide.sentiment, wide.topics, wide.toward)):
        return "wide: a share is negative or no number"
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
            raise damaged(file, f"its SHA-256 is not the one {MANIFEST} lists")


def damaged(path: Path, why: str) -> BundleError:
    """The error for a folder that is not what its manifest says."""
    return BundleError(f"{path}: {why}; put back the whole model folder or change engine.bundles")
