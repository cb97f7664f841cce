"""A recipe: everything that decides what a training run makes, in one TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from monitor.errors import InputError

RECIPES = Path(__file__).with_name("recipes")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataFile(_Part):
    """A labelled file, by its name in the data folder, and what a model card must say of it."""

    file: str
    origin: str
    licence: str


class TopicChoice(_Part):
    """Which topics are taught."""

    ignore: list[str] = Field(default_factory=list, description="topics of the files that are not taught")
    exclusive: bool = Field(False, description="the files give one topic each: accuracy is that of the likeliest")


class EncoderChoice(_Part):
    """The pre-trained encoder to start from."""

    name: str
    revision: str | None = None
    pooling: Literal["mean", "first"] = "mean"
    max_tokens: int = Field(128, ge=16, le=8192, description="tokens of one window at run time")


class FineTuning(_Part):
    """How the encoder's adapters and the heads are taught."""

    epochs: float = Field(4, gt=0)
    batch: int = Field(32, ge=1)
    rate: float = Field(1e-3, gt=0, description="peak learning rate of the adapters")
    head_rate: float = Field(2e-3, gt=0, description="peak learning rate of the heads")
    warmup: float = Field(0.06, ge=0, lt=1, description="share of the steps over which the rate rises")
    weight_decay: float = Field(0.01, ge=0)
    rank: int = Field(16, ge=1, description="rank of the adapters")
    alpha: int = Field(32, ge=1, description="adapters count alpha / rank")
    adapt: list[str] = Field(
        ["query", "key", "value", "dense"], description="endings of the names of the matrices that are adapted"
    )
    sentiment_weight: float = Field(1.0, gt=0, description="what the sentiment loss counts beside that of the topics")
    dropout: float = Field(0.1, ge=0, lt=1)
    max_tokens: int = Field(96, ge=8, description="texts are cut here in training")
    held_out: float = Field(0.08, gt=0, lt=0.5, description="share kept back for calibration and thresholds")
    bf16: bool = Field(True, description="multiply in bfloat16 (weights stay float32)")
    threads: int = Field(0, ge=0, description="CPU threads; 0: as many as there are cores")
    seed: int = 13


class LinearTraining(_Part):
    """How the linear model over hashed character n-grams is taught."""

    low: int = Field(1, ge=1, description="shortest n-gram, in characters")
    high: int = Field(4, ge=1, le=8, description="longest n-gram")
    buckets: int = Field(2**18, ge=2**8, le=2**22, description="hash buckets of the sentiment model")
    sentiment_c: float = Field(0.3, gt=0, description="inverse strength of regularisation")
    topics_c: float = Field(4.0, gt=0)
    negative_weight: float = Field(0.0, ge=0, description="weight of texts known only to be negative or not")
    least: int = Field(2, ge=1, description="an n-gram's bucket counts when at least so many texts fill it")
    words: str | None = Field(None, description="word list (TOML) that labels texts without a sentiment weakly")
    words_weight: float = Field(0.0, ge=0, description="weight of texts labelled by the word list")
    each_word: float = Field(0.0, ge=0, description="weight of each word of the list as a text of its own")
    held_out: float = Field(0.1, gt=0, lt=0.5)
    seed: int = 13


class Recipe(_Part):
    """One training run."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    kind: Literal["encoder", "ngrams"]
    languages: list[str] = Field(min_length=1)
    summary: str = ""
    chosen: str = Field("", description="how its values were arrived at, and what was seen of the test files meanwhile")
    limits: list[str] = Field(default_factory=list, description="what the card warns of")
    train: list[DataFile] = Field(min_length=1)
    test: list[DataFile] = Field(default_factory=list)
    topics: TopicChoice = TopicChoice()
    encoder: EncoderChoice | None = None
    finetune: FineTuning = FineTuning()
    linear: LinearTraining = LinearTraining()


def read_recipe(name: str, settings: Mapping[str, str] | None = None) -> Recipe:
    """Read a recipe by the name of one that ships (`en`, `zh`) or by the path of a file.

    Args:
        settings: `section.key` → value in TOML's form, put over what the file says (`finetune.epochs` → `2`).

    Raises:
        InputError: no such recipe, or a value in it cannot be used.
    """
    path = RECIPES / f"{name}.toml" if not name.endswith(".toml") and "/" not in name else Path(name)
    if not path.is_file():
        shipped = ", ".join(sorted(file.stem for file in RECIPES.glob("*.toml")))
        raise InputError(f"there is no recipe {name}; name a file or one of {shipped}")
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: not readable as TOML: {error}") from None
    for dotted, value in (settings or {}).items():
        _put(tree, dotted, value)
    try:
        recipe = Recipe.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "recipe"
        raise InputError(f"{path}: {where}: {first['msg']}") from None
    if recipe.kind == "encoder" and recipe.encoder is None:
        raise InputError(f"{path}: encoder: a recipe of this kind names the encoder to start from")
    return recipe


def _put(tree: dict[str, Any], dotted: str, value: str) -> None:
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    *sections, key = dotted.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise InputError(f"--set {dotted}: {section} is no section of the recipe")
    tree[key] = parsed
