"""One training run: a recipe and a data folder in, a bundle out."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from monitor.errors import InputError
from monitor.understand.bundle import Bundle, load_bundle
from monitor.understand.companies import Watchlist
from monitor.understand.manifest import MANIFEST, Wide
from monitor.understand.topics import Taxonomy
from training.augmentation import Changer
from training.corpus import Corpus, gather, path_of
from training.data.doubles import fingerprint, without_doubles
from training.data.examples import Example
from training.data.reading import read_examples
from training.package import package, tested
from training.recipe import Recipe

if TYPE_CHECKING:
    from training.ensemble import Member
    from training.finetune import Lesson

log = logging.getLogger(__name__)


def run(recipe: Recipe, *, data: Path, out: Path, taxonomy: Taxonomy) -> Bundle:
    """Teach, calibrate, measure, describe.

    Args:
        data: folder that holds the recipe's files.
        out: folder of the new bundle; while an encoder is taught, checkpoints lie in `OUT.run`, to go on from, and
            TensorBoard's record stays in `OUT.log`.

    Raises:
        InputError: the recipe, a file or a label cannot be used.
        BundleError: the encoder cannot be had.
    """
    complete(recipe, data)
    record = _record_of(out)
    if record.is_file():
        raise InputError(f"{record}: TensorBoard's record goes into a folder of this name; move the file away")
    corpus = gather(recipe, data, taxonomy)
    log.info("%s: %d texts to teach, %d held out", recipe.name, len(corpus.taught), len(corpus.held))
    return teach(recipe, corpus, data=data, out=out, taxonomy=taxonomy)


def _record_of(out: Path) -> Path:
    """Where a run's record stays: `OUT.log`."""
    return out.with_name(out.name + ".log")


def complete(recipe: Recipe, data: Path) -> None:
    """Make sure that the files a recipe learns from are there. Raises InputError naming those that are not."""
    named = [file.file for file in recipe.train] + [file.file for file in recipe.unlabelled]
    missing = [name for name in named if not path_of(data, name).is_file()]
    if missing:
        raise InputError(f"{data}: lacks {', '.join(missing)}; name the folder that holds them with --data")


def teach(recipe: Recipe, corpus: Corpus, *, data: Path, out: Path, taxonomy: Taxonomy) -> Bundle:
    """A run whose texts are gathered already; see `run`."""
    if recipe.kind == "ngrams":
        from training import linear

        tensors, ngrams = linear.teach(recipe, corpus)
        return package(recipe, corpus, tensors, data=data, out=out, taxonomy=taxonomy, ngrams=ngrams)
    return _encoder_run(recipe, corpus, data, out, taxonomy)


def _encoder_run(recipe: Recipe, corpus: Corpus, data: Path, out: Path, taxonomy: Taxonomy) -> Bundle:
    from training import continual, ensemble, processes
    from training.bases import Base, base_for
    from training.distillation import advice_of
    from training.finetune import Lesson, fine_tune
    from training.notes import noted
    from training.pretraining import pretrain
    from training.storing import stored

    # Checkpoints of another recipe must never be gone on from.
    known = Path(recipe.continual.bundle) / MANIFEST
    start = known.read_bytes() if recipe.continual.bundle and known.is_file() else b""
    digest = hashlib.sha256(recipe.model_dump_json().encode() + start).hexdigest()[:12]
    workplace = out.with_name(out.name + ".run") / digest
    heads = None
    with processes.in_turn():
        if recipe.continual.bundle:
            recipe, manifest = continual.gone_on(recipe)
            corpus = continual.mixed(recipe, corpus, manifest.topics, data)
            base, heads = continual.opened(known.parent, manifest, corpus.topics, workplace)
        else:
            base = base_for(recipe, [*corpus.taught, *corpus.held], workplace)
    if recipe.pretrain.epochs:
        domain = [row.text for row in corpus.taught] if recipe.pretrain.labelled else []
        domain += [row.text for row in _unlabelled(recipe, corpus, data)]
        base = Base(pretrain(recipe, base.folder, domain, workplace), own=True, origin=base.public)
    taught = [*corpus.taught, *(_unlabelled(recipe, corpus, data) if recipe.distil.teachers else [])]
    with processes.in_turn():
        advice = advice_of(recipe.distil, taught, corpus.topics, workplace)
    lesson = Lesson(taught, corpus.held, corpus.topics, change=_changer(recipe), advice=advice)
    beside = _wide(recipe, corpus) if processes.first() else ({}, None)
    if recipe.ensemble.members > 1:
        members = ensemble.members_of(recipe, lesson, base, heads, workplace)
        processes.end_unless_first()
        bundle = _soup(recipe, lesson, members, beside, corpus, data, out, taxonomy, workplace)
    else:
        network = fine_tune(recipe, lesson, base.folder, workplace, heads=heads)
        processes.end_unless_first()
        tensors, encoder = stored(recipe, network, base, out)
        linear, wide = beside
        bundle = package(
            recipe, corpus, tensors | linear, data=data, out=out, taxonomy=taxonomy, encoder=encoder, wide=wide
        )
    if recipe.continual.bundle:
        before = load_bundle(Path(recipe.continual.bundle))
        found = continual.forgetting(before, bundle, tested(recipe, data), taxonomy)
        bundle = noted(bundle, "What it forgot", continual.forgetting_lines(found, before.manifest.model))
    for events in workplace.rglob("tensorboard"):
        shutil.copytree(events, _record_of(out) / events.parent.relative_to(workplace), dirs_exist_ok=True)
    shutil.rmtree(workplace.parent)
    return bundle


def _soup(
    recipe: Recipe,
    lesson: Lesson,
    members: Sequence[Member],
    beside: Beside,
    corpus: Corpus,
    data: Path,
    out: Path,
    taxonomy: Taxonomy,
    workplace: Path,
) -> Bundle:
    """Bundles of all members (in `OUT.members`) and, in `out`, of their mean weights."""
    from training import ensemble
    from training.notes import noted

    best, seeds = ensemble.soup(recipe, lesson, members, workplace)
    linear, wide = beside
    bundles = []
    for number, member in enumerate([*members, best], 1):
        place = out if member is best and number > len(members) else out.with_name(out.name + ".members") / str(number)
        place.mkdir(parents=True, exist_ok=True)
        if member.encoder.form == "whole":
            for name in ("config.json", "tokenizer.json"):
                shutil.copyfile(workplace / "member-1" / name, place / name)
        tensors, encoder = ensemble.in_bits(recipe, member)
        bundles.append(
            package(
                recipe, corpus, tensors | linear, data=data, out=place, taxonomy=taxonomy, encoder=encoder, wide=wide
            )
        )
    *each, bundle = bundles
    return noted(bundle, "Ensemble", ensemble.ensemble_lines(each, bundle, seeds, tested(recipe, data), taxonomy))


Beside = tuple[dict[str, NDArray[Any]], Wide | None]
"""The tensors of linear heads beside an encoder's, and what the manifest says of them."""


def _wide(recipe: Recipe, corpus: Corpus) -> Beside:
    """The linear heads a recipe wants beside its encoder's; none when it wants none."""
    if not recipe.wide:
        return {}, None
    from training.widening import wide_of

    return wide_of(recipe, corpus)


def _unlabelled(recipe: Recipe, corpus: Corpus, data: Path) -> list[Example]:
    """The texts of the unlabelled files; those that are taught, held out or tested are left out."""
    seen = {fingerprint(example.text) for example in (*corpus.taught, *corpus.held)}
    for test in recipe.test:
        if path_of(data, test.file).is_file():
            seen |= {fingerprint(example.text) for example in read_examples(path_of(data, test.file))}
    found = []
    for file in recipe.unlabelled:
        rows = [row for row in without_doubles(read_examples(path_of(data, file.file))) if row.text.strip()]
        rows = [Example(row.text, row.lang) for row in rows if fingerprint(row.text) not in seen]
        found += rows[: file.most] if file.most else rows
    return found


def _changer(recipe: Recipe) -> Changer | None:
    if not any(recipe.augment.model_dump().values()):
        return None
    return Changer(recipe.augment, Watchlist.load())
