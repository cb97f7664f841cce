"""A recipe: everything that decides what a training run makes, in one TOML file."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from monitor.errors import InputError

RECIPES = Path(__file__).with_name("recipes")
_GONE = {"topics.exclusive": "it did nothing", "near_leaks": "each [[test]] file says it of itself"}
"""Keys that recipes of older bundles still have, and why they went."""
_ENCODERS = (
    "augment", "average", "continual", "distil", "encoder", "ensemble", "loss", "pretrain", "storage",
    "student", "toward_share", "tuning", "unlabelled",
)  # fmt: skip
Method = Literal["full", "lora", "adalora", "ia3", "prefix", "prompt", "heads"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabelledFile(_Part):
    """A labelled file, by its name in the data folder (or `package:` and its path in this package)."""

    file: str
    origin: str
    licence: str
    fields: dict[str, str] = Field(default_factory=dict, description="our name of a field → the file's")
    labels: dict[str, str] = Field(default_factory=dict, description="the file's label → ours")
    exhaustive: bool = Field(True, description="a topic that the file knows and a text lacks is absent from it")


class DataFile(LabelledFile):
    """A labelled file that is taught: its name in the data folder, or `package:` and its path in this package."""

    repeat: int = Field(1, ge=0, le=20, description="how often an epoch sees each of its texts; 0: left out")
    old: bool = Field(False, description="the bundle that is gone on from knows it: only a share is taught again")
    held: bool = Field(
        True, description="some are held out to choose temperatures and thresholds; false: all taught (made-up texts)"
    )


class TestFile(LabelledFile):
    """A labelled file that is measured on; named in the same way."""

    __test__ = False  # no test of pytest's
    quote: bool = Field(False, description="texts of it may be quoted in the model card")
    near_leaks: bool = Field(False, description="near copies of its texts may be taught; the card then says so")


class UnlabelledFile(_Part):
    """Texts without labels, for pre-training and distillation."""

    file: str
    origin: str
    licence: str
    most: int = Field(0, ge=0, description="texts taken at most; 0: all")


class TopicChoice(_Part):
    """Which topics are taught."""

    ignore: list[str] = Field(default_factory=list, description="topics of the files that are not taught")


class EncoderChoice(_Part):
    """The pre-trained encoder to start from."""

    name: str
    revision: str | None = None
    pooling: Literal["mean", "first"] = "mean"
    max_tokens: int = Field(128, ge=16, le=8192, description="tokens of one window at run time")
    trim: bool = Field(False, description="keep only the pieces the texts use, and every single Chinese character")
    trim_least: int = Field(1, ge=1, description="in how many texts a piece must stand to be kept")
    layers: int = Field(0, ge=0, description="keep only so many of its layers, the lowest; 0: all")


class Tuning(_Part):
    """Which of the encoder's weights learn, and how."""

    method: Method = Field("lora", description="full, lora, adalora, ia3, prefix, prompt, or the heads alone")
    rank: int = Field(16, ge=1, description="rank of low-rank adapters")
    alpha: int = Field(32, ge=1, description="low-rank adapters count alpha / rank")
    adapt: list[str] = Field(
        default_factory=list, description="endings of the names of the matrices low-rank adapters change; empty: all"
    )
    freeze: list[str] = Field(
        default_factory=list, description="beginnings of the names of weights that stay, such as embeddings (full only)"
    )
    virtual_tokens: int = Field(16, ge=1, le=256, description="tokens that prefix and prompt tuning put in front")


class Schedule(_Part):
    """How long and how fast."""

    epochs: float = Field(4, gt=0)
    batch: int = Field(32, ge=1, description="texts a step and device")
    accumulate: int = Field(1, ge=1, description="batches whose gradients are added up for a step")
    rate: float = Field(1e-3, gt=0, description="peak learning rate of the encoder")
    head_rate: float = Field(2e-3, gt=0, description="peak learning rate of the heads")
    layer_decay: float = Field(1.0, gt=0, le=1, description="each layer below learns so much slower than the one above")
    curve: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(0.06, ge=0, lt=1, description="share of the steps over which the rate rises")
    weight_decay: float = Field(0.01, ge=0)
    dropout: float = Field(0.1, ge=0, lt=1, description="of what the heads read")
    max_tokens: int = Field(96, ge=8, description="texts are cut here in training")
    checks: int = Field(1, ge=1, le=50, description="looks at the held-out texts an epoch, each with a checkpoint")
    patience: int = Field(0, ge=0, description="looks without gain after which the run ends; 0: never")
    precision: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        "auto", description="of the products; weights stay float32; auto: bf16 where the device multiplies it itself"
    )
    checkpointing: bool = Field(False, description="compute activations twice instead of keeping them")
    held_out: float = Field(0.08, gt=0, lt=0.5, description="share kept back for calibration and thresholds")
    split: Literal["hash", "stratified", "time"] = Field(
        "hash", description="what is kept back: by each text alone, every label at its share, or the latest texts"
    )
    threads: int = Field(0, ge=0, description="CPU threads; 0: as many as there are cores")
    seed: int = Field(13, ge=0, lt=2**32)


class Loss(_Part):
    """What is made small."""

    kind: Literal["cross_entropy", "focal"] = "cross_entropy"
    gamma: float = Field(2.0, ge=0, description="focal loss: how little easy texts count")
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: rare classes of sentiment count more"
    )
    smoothing: float = Field(0.0, ge=0, lt=0.5, description="label smoothing of the sentiment")
    sentiment: float = Field(1.0, gt=0, description="what the sentiment counts beside the topics")
    rdrop: float = Field(0.0, ge=0, description="R-Drop: weight of the divergence of two passes; 0: one pass")
    adversarial: float = Field(0.0, ge=0, description="FGM: size of the step against the embeddings; 0: none")


class Augment(_Part):
    """Changes to a text that leave its labels true; each number is the share of texts it befalls, anew each epoch.
    With `loss.rdrop` the text as it is and the changed one must get the same answer."""

    company: float = Field(0.0, ge=0, le=1, description="a company named is swapped for another of the watch list")
    country: float = Field(0.0, ge=0, le=1, description="a country named, and its adjective, is swapped for another")
    person: float = Field(0.0, ge=0, le=1, description="he becomes she, Mr Ms, a first name another, and back")
    numbers: float = Field(0.0, ge=0, le=1, description="digits of its numbers change; the larger stays the larger")
    casing: float = Field(0.0, ge=0, le=1, description="all capitals or all small letters")
    typos: float = Field(
        0.0, ge=0, le=1, description="letters of a word swapped, dropped or doubled; direction words stay"
    )


class Pretraining(_Part):
    """Masked-language pre-training on the domain's texts, before anything is taught."""

    epochs: float = Field(0.0, ge=0, description="0: none")
    rate: float = Field(1e-4, gt=0)
    mask: float = Field(0.15, gt=0, lt=0.9, description="share of the words that are hidden")
    batch: int = Field(32, ge=1, description="texts a step and device; schedule.accumulate does not count here")
    max_tokens: int = Field(128, ge=8, description="texts are cut here")
    save_every: int = Field(0, ge=0, description="steps between checkpoints; 0: ten over the run")
    labelled: bool = Field(True, description="learn from the labelled texts, too, without their labels")


class Continual(_Part):
    """Going on from a bundle with new texts, without forgetting what it knew."""

    bundle: str = Field("", description="folder of the bundle to go on from; empty: from the encoder")
    replay: float = Field(0.3, ge=0, lt=1, description="share of the mixture that files marked `old` get; 0: none")


class Ensemble(_Part):
    """Several runs that differ by their seed, and one network of their mean weights."""

    members: int = Field(1, ge=1, le=16, description="runs; 1: no ensemble")


class Average(_Part):
    """One network of the mean weights of bundles, in place of teaching one."""

    bundles: list[str] = Field(
        default_factory=list, description="folders of bundles taught from the recipe's encoder; empty: teach"
    )


class Student(_Part):
    """A small encoder made of a bundle's, which learns to read as it does before anything else is taught."""

    bundle: str = Field("", description="folder of the bundle whose encoder is made smaller; empty: none is")
    layers: int = Field(3, ge=1, description="layers it keeps, evenly spaced")
    width: int = Field(256, ge=8, description="numbers in a token's state; a multiple of an attention head's")
    neurons: int = Field(1024, ge=8, description="neurons between a layer's two matrices")
    epochs: float = Field(4.0, gt=0, description="over all texts of the run, labelled or not")
    rate: float = Field(1e-3, gt=0)
    batch: int = Field(64, ge=1, description="texts a step and device; schedule.accumulate does not count here")
    max_tokens: int = Field(96, ge=8, description="texts are cut here")


class Distillation(_Part):
    """Learning from what other models say, on labelled and unlabelled texts."""

    teachers: list[str] = Field(default_factory=list, description="bundle folders; several are averaged")
    weight: float = Field(0.5, ge=0, le=1, description="what the teachers count beside the labels")
    temperature: float = Field(2.0, gt=0, description="the teachers' probabilities are softened by it")


class Storage(_Part):
    """In what form the bundle holds the encoder."""

    form: Literal["auto", "adapters", "delta", "whole"] = Field(
        "auto", description="auto: adapters if there are any, else the difference upon the base"
    )
    bits: Literal[4, 5, 6, 8, 16] = 16
    embedding_bits: Literal[4, 5, 6, 8, 16] | None = Field(None, description="of the word embeddings; none: as bits")


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
    seed: int = Field(13, ge=0, lt=2**32)


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
    test: list[TestFile] = Field(default_factory=list)
    unlabelled: list[UnlabelledFile] = Field(default_factory=list)
    topics: TopicChoice = TopicChoice()
    probes: bool = Field(True, description="measure pairs, robustness and bias too, not only the files, at the end")
    toward: bool = Field(False, description="teach sentiment toward each of several entities, on marked texts")
    toward_share: float = Field(1.0, gt=0, le=1, description="of the marked texts an epoch sees; each its turn")
    wide: bool = Field(False, description="linear heads over n-grams beside the encoder's, taught as [linear] says")
    encoder: EncoderChoice | None = None
    tuning: Tuning = Tuning()
    schedule: Schedule = Schedule()
    loss: Loss = Loss()
    augment: Augment = Augment()
    pretrain: Pretraining = Pretraining()
    student: Student = Student()
    distil: Distillation = Distillation()
    continual: Continual = Continual()
    ensemble: Ensemble = Ensemble()
    average: Average = Average()
    storage: Storage = Storage()
    linear: LinearTraining = LinearTraining()

    @property
    def held_out(self) -> float:
        """Share of the texts kept back."""
        return self.schedule.held_out if self.kind == "encoder" else self.linear.held_out


def read_recipe(name: str, settings: Mapping[str, str] | None = None) -> Recipe:
    """Read a recipe by the name of one that ships (`en`, `zh`) or by the path of a file.

    Args:
        settings: `section.key` → value in TOML's form, put over what the file says (`schedule.epochs` → `2`).

    Raises:
        InputError: no such recipe, or a key or value in it cannot be used; a wrong key names the nearest right one.
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
        if where in _GONE:
            raise InputError(f"{path}: {where} is gone, for {_GONE[where]}; delete it") from None
        if first["type"] == "extra_forbidden":
            raise InputError(f"{path}: there is no {where}{_nearest(where)}") from None
        raise InputError(f"{path}: {where}: {first['msg']}") from None
    if recipe.kind == "encoder" and recipe.encoder is None and not (recipe.continual.bundle or recipe.student.bundle):
        raise InputError(f"{path}: encoder: a recipe of this kind names the encoder to start from")
    if recipe.storage.form == "adapters" and recipe.tuning.method in ("full", "ia3"):
        raise InputError(f"{path}: storage.form: {recipe.tuning.method} makes no adapters; use delta, whole or auto")
    if recipe.kind != "encoder":
        _refuse_encoders(recipe, path)
    if recipe.linear.low > recipe.linear.high:
        raise InputError(f"{path}: linear.low: {recipe.linear.low} is over linear.high, {recipe.linear.high}")
    if recipe.toward_share < 1 and not recipe.toward:
        raise InputError(f"{path}: toward_share: no text is marked; set toward = true or leave it out")
    if len(recipe.average.bundles) == 1:
        raise InputError(f"{path}: average.bundles: the mean of one bundle is that bundle; name two or more")
    if recipe.average.bundles and recipe.tuning.method != "full":
        raise InputError(
            f"{path}: average.bundles: a mean is stored whole or as a difference; use tuning.method = full"
        )
    if recipe.student.bundle and recipe.continual.bundle:
        raise InputError(
            f"{path}: student.bundle: a run goes on from a bundle or makes it smaller; leave continual out"
        )
    teaching = recipe.ensemble.members > 1, recipe.continual.bundle, recipe.distil.teachers, recipe.pretrain.epochs
    if recipe.average.bundles and any(teaching):
        raise InputError(f"{path}: average.bundles: nothing is taught; leave ensemble, continual, distil, pretrain out")
    if recipe.ensemble.members > 1 and recipe.tuning.method in ("prefix", "prompt"):
        raise InputError(
            f"{path}: ensemble.members: the mean of several {recipe.tuning.method}es means nothing; use lora"
        )
    return recipe


def _refuse_encoders(recipe: Recipe, path: Path) -> None:
    """Raises InputError where a linear recipe says what only an encoder's can: it would be ignored."""
    if recipe.wide:
        raise InputError(f"{path}: wide: there is no encoder for the linear heads to stand beside; leave it out")
    given = {name for name in _ENCODERS if name in recipe.model_fields_set}
    given |= {f"schedule.{name}" for name in recipe.schedule.model_fields_set - {"split"}}
    if given:
        raise InputError(
            f'{path}: {", ".join(sorted(given))}: only a recipe of kind = "encoder" has that; leave it out '
            "([linear] says how a linear model is taught)"
        )


def keys(model: type[BaseModel] = Recipe, prefix: str = "") -> Iterator[str]:
    """Every `section.key` a recipe may have."""
    for name, info in model.model_fields.items():
        inner = next((part for part in _inside(info.annotation)), None)
        if inner is None:
            yield prefix + name
        else:
            yield from keys(inner, f"{prefix}{name}.")


def _inside(annotation: Any) -> Iterator[type[BaseModel]]:
    for part in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield part


def _nearest(dotted: str) -> str:
    plain = ".".join(part for part in dotted.split(".") if not part.isdigit())
    section, dot, _ = plain.rpartition(".")
    # A wrong section is told before the keys in it are looked at.
    beside = [key for key in keys() if key.startswith(f"{section}.")] if dot else list(Recipe.model_fields)
    close = difflib.get_close_matches(plain, beside, n=1, cutoff=0.5)
    close = close or difflib.get_close_matches(plain, list(keys()), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else "; docs/recipe.md lists the keys"


def _put(tree: dict[str, Any], dotted: str, value: str) -> None:
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    *sections, key = dotted.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if isinstance(tree, list):
            raise InputError(f"--set {dotted}: {section} is a list of files; change it in a copy of the recipe")
        if not isinstance(tree, dict):
            raise InputError(f"--set {dotted}: {section} is no section of the recipe")
    tree[key] = parsed
