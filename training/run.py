"""One training run: a recipe and a data folder in, a bundle out."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from monitor.errors import InputError
from monitor.understand.bundle import Bundle, load_bundle
from monitor.understand.companies import Watchlist
from monitor.understand.encoders import digests, load_tokenizer, sha256
from monitor.understand.manifest import MANIFEST, TrainingData, Wide
from monitor.understand.topics import Taxonomy
from training.augmentation import Changer
from training.corpus import Corpus, as_read, gather, path_of
from training.data.doubles import fingerprint, without_doubles
from training.data.examples import Example
from training.data.leaks import refuse_leaks
from training.data.reading import read_examples
from training.evaluation.pairs import PAIRS, exam_for
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
            TensorBoard's record is written to `OUT.log`, where it stays.

    Raises:
        InputError: the recipe, a file or a label cannot be used.
        BundleError: the encoder cannot be had.
    """
    complete(recipe, data)
    out = out.resolve()
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; name a folder with --out")
    record = _record_of(out)
    if record.is_file():
        raise InputError(f"{record}: TensorBoard's record goes into a folder of this name; move the file away")
    corpus = gather(recipe, data, taxonomy)
    if recipe.probes:
        taught = [*corpus.taught, *corpus.held]
        refuse_leaks(taught, exam_for(recipe.languages), train_name="the training files", test_name=str(PAIRS))
    log.info("%s: %d texts to teach, %d held out", recipe.name, len(corpus.taught), len(corpus.held))
    return teach(recipe, corpus, data=data, out=out, taxonomy=taxonomy)


def _record_of(out: Path) -> Path:
    """Where a run's record stays: `OUT.log`."""
    return out.with_name(out.name + ".log")


def complete(recipe: Recipe, data: Path) -> None:
    """Make sure that the files and bundles a recipe learns from are there.

    Raises:
        InputError: some are not; names them.
    """
    named = [file.file for file in recipe.train] + [file.file for file in recipe.unlabelled]
    missing = [name for name in named if not path_of(data, name).is_file()]
    if missing:
        raise InputError(f"{data}: lacks {', '.join(missing)}; name the folder that holds them with --data")
    for key, folders in (
        ("continual.bundle", filter(None, [recipe.continual.bundle])),
        ("student.bundle", filter(None, [recipe.student.bundle])),
        ("distil.teachers", recipe.distil.teachers),
        ("average.bundles", recipe.average.bundles),
    ):
        for folder in folders:
            if not (Path(folder) / MANIFEST).is_file():
                raise InputError(
                    f"{key}: no bundle is in {folder}; train it first, or name where it is with --set {key}=…"
                )


def teach(recipe: Recipe, corpus: Corpus, *, data: Path, out: Path, taxonomy: Taxonomy) -> Bundle:
    """A run whose texts are gathered already; see `run`."""
    if recipe.kind == "ngrams":
        from training import linear

        if "WORLD_SIZE" in os.environ:  # else torch, which this brings in, is not needed
            from training import processes

            processes.end_unless_first()
        tensors, ngrams = linear.teach(recipe, corpus)
        return package(recipe, corpus, tensors, data=data, out=out, taxonomy=taxonomy, ngrams=ngrams)
    return _encoder_run(recipe, corpus, data, out, taxonomy)


def _encoder_run(recipe: Recipe, corpus: Corpus, data: Path, out: Path, taxonomy: Taxonomy) -> Bundle:
    from training import continual, ensemble, processes
    from training.averaging import averaged, check_averaged
    from training.bases import Base, base_for
    from training.distillation import advice_of, check_teachers
    from training.finetune import Lesson, fine_tune
    from training.imitation import imitate, taken_along
    from training.notes import noted
    from training.pretraining import pretrain
    from training.rows import within
    from training.storing import form_of, stored

    unlabelled, described = unlabelled_of(recipe, corpus, data)
    corpus = replace(corpus, unlabelled=tuple(described))
    workplace = out.with_name(out.name + ".run") / digest_of(recipe, corpus, processes.count())
    heads = None
    with processes.in_turn():
        if recipe.continual.bundle:
            recipe, manifest = continual.gone_on(recipe)
            corpus = continual.mixed(recipe, corpus, manifest.topics, data)
            check_teachers(recipe.distil, corpus.topics, toward=recipe.toward)
            base, heads = continual.opened(Path(recipe.continual.bundle), manifest, corpus.topics, workplace)
        elif recipe.student.bundle:
            recipe, manifest = continual.of_bundle(recipe, recipe.student.bundle, "student.bundle")
            check_teachers(recipe.distil, corpus.topics, toward=recipe.toward)
            base, heads = continual.opened(Path(recipe.student.bundle), manifest, corpus.topics, workplace)
        else:
            check_teachers(recipe.distil, corpus.topics, toward=recipe.toward)
            check_averaged(recipe, corpus.topics)
            base = base_for(recipe, [*corpus.taught, *corpus.held], workplace)
        # A form that cannot be stored is told now, not after teaching.
        corpus = replace(corpus, start=digests(base.folder))
        form_of(recipe, Base(base.folder, own=True, origin=base.public) if recipe.pretrain.epochs else base)
        _record_at_once(recipe, out, workplace)
    if recipe.pretrain.epochs:
        domain = [row.text for row in corpus.taught] if recipe.pretrain.labelled else []
        domain += [row.text for row in unlabelled]
        base = Base(pretrain(recipe, base.folder, domain, workplace), own=True, origin=base.public)
    if recipe.student.bundle:
        domain = [row.text for row in (*corpus.taught, *unlabelled)]
        base = Base(imitate(recipe, base.folder, domain, workplace), own=True)
        heads = taken_along(heads or {}, base.folder)
    everything = [*corpus.taught, *(unlabelled if recipe.distil.teachers else [])]
    taught, longer = within(everything, load_tokenizer(base.folder), recipe.schedule.max_tokens)
    cut = "" if recipe.average.bundles else _cut_line(recipe, longer, len(everything), len(taught))
    with processes.in_turn():
        advice = advice_of(recipe.distil, taught, corpus.topics, workplace)
    lesson = Lesson(taught, corpus.held, corpus.topics, change=_changer(recipe), advice=advice)

    def compared(bundle: Bundle) -> Bundle:
        if cut:
            bundle = noted(bundle, "Texts that were cut", [cut])
        if not recipe.continual.bundle:
            return bundle
        before = load_bundle(Path(recipe.continual.bundle))
        found = continual.forgetting(before, bundle, tested(recipe, data), taxonomy)
        return noted(bundle, "What it forgot", continual.forgetting_lines(found, before.manifest.model))

    beside = _wide(recipe, corpus) if processes.first() else ({}, None)
    if recipe.ensemble.members > 1:
        members = ensemble.members_of(recipe, lesson, base, heads, workplace)
        processes.end_unless_first()
        bundle = _soup(recipe, lesson, members, beside, corpus, data, out, taxonomy, workplace, compared)
    else:
        if recipe.average.bundles:
            network = averaged(recipe, base.folder, corpus.topics)
        else:
            network = fine_tune(recipe, lesson, base.folder, workplace, heads=heads)
        processes.end_unless_first()
        tensors, encoder = stored(recipe, network, base, workplace)
        linear, wide = beside
        bundle = package(
            recipe,
            corpus,
            tensors | linear,
            data=data,
            out=out,
            taxonomy=taxonomy,
            encoder=encoder,
            wide=wide,
            whole=workplace,
            finish=compared,
        )
    shutil.rmtree(workplace.parent)
    return bundle


def _cut_line(recipe: Recipe, longer: int, texts: int, taught: int) -> str:
    """What is said, in the log and on the card, of texts whose end was not taught; "" where there is none."""
    if not longer and taught == texts:
        return ""
    line = f"Of {longer:,} of {taught:,} taught texts only the first {recipe.schedule.max_tokens} tokens were taught."
    if taught < texts:
        line += f" {texts - taught:,} more, marked for a company that is mentioned later, were not taught."
    log.warning("%s: %s", recipe.name, line)
    return line


def digest_of(recipe: Recipe, corpus: Corpus, processes: int = 1) -> str:
    """What a run begins with, in 12 hexadecimal digits: checkpoints of another must never be gone on from.

    Args:
        processes: how many share the run.
    """
    folders = [folder for folder in (recipe.continual.bundle, recipe.student.bundle) if folder]
    known = [Path(folder) / MANIFEST for folder in (*folders, *recipe.distil.teachers, *recipe.average.bundles)]
    parts: list[Iterable[str]] = [
        [recipe.model_dump_json(), str(processes)],
        [sha256(path) if path.is_file() else "" for path in known],
        [file.sha256 for file in (*corpus.training_data, *corpus.unlabelled)],
        corpus.topics,
        # A tested text that comes or goes changes what is taught, too, as another taxonomy does.
        (repr((row.text, row.topics)) for row in (*corpus.taught, *corpus.held)),
    ]
    found = hashlib.sha256()
    for part in parts:
        for value in part:
            found.update(value.encode("utf-8", "replace") + b"\0")
    return found.hexdigest()[:12]


def _record_at_once(recipe: Recipe, out: Path, workplace: Path) -> None:
    """Have what TensorBoard is told in the workplace written to `OUT.log`, for reading while the run goes on."""
    members = recipe.ensemble.members
    for name in ("", *(f"member-{number + 1}" for number in range(members if members > 1 else 0))):
        place, record = workplace / name, _record_of(out) / name
        place.mkdir(parents=True, exist_ok=True)
        record.mkdir(parents=True, exist_ok=True)
        if not (place / "tensorboard").is_symlink():
            (place / "tensorboard").symlink_to(record.resolve())


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
    finish: Callable[[Bundle], Bundle],
) -> Bundle:
    """Bundles of all members (in `OUT.members`) and, in `out`, of their mean weights."""
    from training import ensemble
    from training.notes import noted

    best, seeds = ensemble.soup(recipe, lesson, members, workplace)
    linear, wide = beside

    def packaged(member: Member, place: Path, finish: Callable[[Bundle], Bundle] | None = None) -> Bundle:
        tensors, encoder = ensemble.in_bits(recipe, member)
        return package(
            recipe,
            corpus,
            tensors | linear,
            data=data,
            out=place,
            taxonomy=taxonomy,
            encoder=encoder,
            wide=wide,
            whole=workplace / "member-1",
            finish=finish,
        )

    places = out.with_name(out.name + ".members")
    each = [packaged(member, places / str(number)) for number, member in enumerate(members, 1)]

    def beside_each(bundle: Bundle) -> Bundle:
        lines = ensemble.ensemble_lines(each, bundle, seeds, tested(recipe, data), taxonomy)
        return finish(noted(bundle, "Ensemble", lines))

    return packaged(best, out, beside_each)


Beside = tuple[dict[str, NDArray[Any]], Wide | None]
"""The tensors of linear heads beside an encoder's, and what the manifest says of them."""


def _wide(recipe: Recipe, corpus: Corpus) -> Beside:
    """The linear heads a recipe wants beside its encoder's; none when it wants none."""
    if not recipe.wide:
        return {}, None
    from training.widening import wide_of

    return wide_of(recipe, corpus)


def unlabelled_of(recipe: Recipe, corpus: Corpus, data: Path) -> tuple[list[Example], list[TrainingData]]:
    """The texts of the unlabelled files a run learns from, and the files as they were read.

    Texts that are taught, held out or tested are left out.
    """
    if not (recipe.pretrain.epochs or recipe.distil.teachers or recipe.student.bundle):
        return [], []
    seen = {fingerprint(example.text) for example in (*corpus.taught, *corpus.held, *corpus.tested)}
    for test in recipe.test:
        if path_of(data, test.file).is_file():
            tests = read_examples(path_of(data, test.file), fields=test.fields, labels=test.labels)
            seen |= {fingerprint(example.text) for example in tests}
    found: list[Example] = []
    described = []
    for file in recipe.unlabelled:
        read, origin = as_read(file, data)
        described.append(origin)
        rows = [row for row in without_doubles(read) if row.text.strip()]
        rows = [Example(row.text, row.lang) for row in rows if fingerprint(row.text) not in seen]
        found += rows[: file.most] if file.most else rows
    return found, described


def _changer(recipe: Recipe) -> Changer | None:
    if not any(recipe.augment.model_dump().values()):
        return None
    return Changer(recipe.augment, Watchlist.load())
