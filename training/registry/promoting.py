"""Promotion: a candidate takes the exam beside who serves now, and takes the place or does not; and the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from monitor.champions import registered, registry_folder
from monitor.errors import InputError
from monitor.progress import progress
from monitor.settings import Settings
from monitor.store.database import Database
from monitor.store.queries import models
from monitor.store.queries.models import Event, Model
from monitor.understand.lineup import Seat, check_seat, check_topics
from monitor.understand.manifest import Manifest, read_manifest
from monitor.understand.topics import load_taxonomy
from training.registry.ancestry import ancestry
from training.registry.choosing import chosen
from training.registry.exam import Exam, as_details, examine, judge, leaks, read_exam, texts
from training.registry.history import reigns, taken_back
from training.registry.objecting import dropped, labelled, not_asked, out_of_bounds, too_few


@dataclass(frozen=True)
class Promotion:
    """What came of it.

    Attributes:
        promoted: whether it serves now; False: it was refused, and `objections` say why.
        replaced: language → who served it: a model's name; None: nobody.
        objections: what speaks against it; a promotion in spite of them was forced.
        comparisons: language → the comparison on the exam (`exam.as_details`).
        notes: what could not be checked.
    """

    model: str
    promoted: bool
    forced: bool
    reason: str
    replaced: Mapping[str, str | None]
    objections: Sequence[str]
    exam: Sequence[Mapping[str, str]]
    comparisons: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


def promote(
    database: Database,
    settings: Settings,
    name: str,
    *,
    actor: str,
    exam: Sequence[Path] = (),
    languages: Sequence[str] = (),
    force: bool = False,
    reason: str = "",
) -> Promotion:
    """Make a model the champion of its languages, unless the exam speaks against it; recorded either way.

    Args:
        exam: labelled files; by default those of `engine.exam`, else those of the languages' last promotions.
        languages: only these of the model's languages.
        force: promote in spite of what speaks against it; needs a reason.

    Raises:
        InputError: no such model, it serves these languages already, no exam, or somebody promoted meanwhile.
        BundleError: the model or the champion cannot be used.
    """
    if force and not reason.strip():
        raise InputError('--force needs a --reason "…", which is kept with the promotion')
    with database.transaction() as connection:
        model = chosen(connection, name)
        line, unknown = ancestry(connection, settings, model)
        lineup = registered(settings, models.active(connection))
        events = models.events(connection)
    wanted = _languages(model, languages)
    candidate = Seat(registry_folder(settings) / model.folder, model.model, tuple(wanted), "registry", model.digest)
    manifest = check_seat(candidate)
    check_topics(manifest, load_taxonomy(settings.engine.topics))
    rivals = {language: lineup.by_language.get(language) for language in wanted}
    questions = _questions(exam, settings, events, wanted)
    objections: list[str] = []
    notes: list[str] = []
    if questions is None:
        objections.append("there is no exam: name labelled files with --exam or engine.exam (BELLWETHER_ENGINE_EXAM)")
    else:
        wrong, silent = leaks(questions, line)
        objections += _altered(questions, events) + wrong
        untold = [f"the folder of {name} does not say" for name in silent]
        untold += [f"{name}, from which it learned, is neither registered nor shipped" for name in unknown]
        if untold:
            why = "; ".join(untold)
            notes.append(f"whether {model.model} was taught texts of the exam cannot be told: {why}")
    comparisons = _compared(settings, questions, candidate, manifest, rivals, objections) if questions else {}
    promoted = force or not objections
    replaced = {language: rival.model if rival else None for language, rival in rivals.items()}
    details = {
        "languages": wanted,
        "replaced": replaced,
        "forced": promoted and bool(objections),
        "objections": objections,
        "exam": questions.recorded if questions else [],
        "comparisons": comparisons,
        "notes": notes,
    }
    with database.transaction() as connection:
        models.lock(connection)
        if promoted:
            _unchanged(connection, settings, rivals)
            models.crown(connection, wanted, model.model)
        models.note(
            connection,
            model=model.model,
            action="promote" if promoted else "refuse",
            actor=actor,
            reason=reason,
            details=details,
        )
    return Promotion(
        model=model.model,
        promoted=promoted,
        forced=promoted and bool(objections),
        reason=reason,
        replaced=replaced,
        objections=objections,
        exam=questions.recorded if questions else [],
        comparisons=comparisons,
        notes=notes,
    )


def _languages(model: Model, only: Sequence[str]) -> list[str]:
    unknown = [language for language in only if language not in model.languages]
    if unknown:
        raise InputError(f"{model.model} does not read {', '.join(unknown)}, only {', '.join(model.languages)}")
    wanted = [language for language in only or model.languages if language not in model.serves]
    if not wanted:
        raise InputError(f"{model.model} is the champion of {', '.join(only or model.languages)} already")
    return wanted


def _questions(
    given: Sequence[Path], settings: Settings, events: Sequence[Event], languages: Sequence[str]
) -> Exam | None:
    if given or settings.engine.exam:
        return read_exam(given or settings.engine.exam)
    last: dict[str, Event] = {}
    for event in _examined(events):
        last |= {language: event for language in event.details["languages"] if language in languages}
    files = _recorded(list(last.values()))
    return read_exam([Path(file) for file in files], _recorded(_examined(events))) if files else None


def _examined(events: Sequence[Event]) -> list[Event]:
    """The promotions that had an exam, oldest first."""
    return [event for event in events if event.action == "promote" and event.details.get("exam")]


def _recorded(events: Sequence[Event]) -> dict[str, str]:
    """File → the SHA-256 it had at the last of these promotions that asked it."""
    return {row["file"]: row["sha256"] for event in events for row in event.details["exam"]}


def _altered(exam: Exam, events: Sequence[Event]) -> list[str]:
    """The exam's files that are no longer what an earlier promotion asked, a line each."""
    known = _recorded(_examined(events))
    return [
        f"{path} has changed since a promotion that it was the exam of, so its numbers would not compare"
        for path, digest in exam.digests.items()
        if known.get(str(path), digest) != digest
    ]


def _compared(
    settings: Settings,
    exam: Exam,
    candidate: Seat,
    manifest: Manifest,
    rivals: Mapping[str, Seat | None],
    objections: list[str],
) -> dict[str, Any]:
    """Language → comparison; what speaks against the candidate is added to `objections`.

    One bundle is loaded at a time: the answers are kept, not the models.
    """
    from monitor.understand.engine import load_seat

    taxonomy = load_taxonomy(settings.engine.topics)
    compared: dict[str, Seat] = {}
    unasked: dict[str, list[str]] = {}
    for language, rival in rivals.items():
        examples = [example for rows in exam.of(language).values() for example in rows]
        champion = read_manifest(rival.folder) if rival else None
        counts = labelled(examples, taxonomy, {*manifest.topics, *(champion.topics if champion else ())})
        objections += too_few(language, counts, champion)
        if champion is not None:
            objections += [*dropped(language, manifest, champion), *out_of_bounds(language, manifest, champion)]
            unasked[language] = not_asked(counts, champion)
        if rival is not None and examples:
            compared[language] = rival
    groups: dict[tuple[Path, str | None], list[str]] = {}
    for language, rival in compared.items():
        groups.setdefault(rival.key, []).append(language)
    total = len(texts(exam, list(compared))) + sum(len(texts(exam, group)) for group in groups.values())
    details = {}
    with progress("exam", total) as bar:
        done = 0

        def tell(note: str) -> Callable[[int], None]:
            return lambda more: bar.update(done + more, note)

        if not compared:
            return {}
        new = examine(load_seat(settings.engine, candidate), exam, list(compared), tell(candidate.model))
        done += len(new)
        for group in groups.values():
            rival = compared[group[0]]
            old = examine(load_seat(settings.engine, rival), exam, group, tell(rival.model))
            done += len(old)
            for language in group:
                found, verdict = judge(exam, language, old, new, settings)
                details[language] = {**as_details(found, verdict), "not_asked": unasked[language]}
                if not verdict.passes:
                    objections.append(f"{language}, beside {rival.model}: {verdict.reason}")
    return details


def _unchanged(connection: Connection, settings: Settings, rivals: Mapping[str, Seat | None]) -> None:
    """Make sure that who was compared with still serves."""
    now = registered(settings, models.active(connection)).by_language
    for language, rival in rivals.items():
        seat = now.get(language)
        if (seat.key if seat else None) != (rival.key if rival else None):
            raise InputError(
                f"somebody made {seat.model if seat else 'nobody'} the champion of {language} while the exam was "
                "taken; call this again to be compared with that one"
            )


def rollback(
    database: Database, settings: Settings, language: str | None, *, actor: str, reason: str = ""
) -> dict[str, tuple[str, str | None]]:
    """Take the last promotion back: who served before serves again.

    Args:
        language: only in this language; None: in all languages of the last promotion.

    Returns:
        language → (who served, who serves now; None: nobody reads it).

    Raises:
        InputError: nothing was promoted (there).
        BundleError: the folder of the one before cannot be used.
    """
    with database.transaction() as connection:
        models.lock(connection)
        back = taken_back(reigns(models.events(connection)), language)
        if not back:
            where = f" for {language}" if language else ""
            raise InputError(f"nothing was promoted{where}, so nothing can be taken back; `bellwether models list`")
        for one, (_, before) in back.items():
            row = models.find(connection, before) if before else None
            if row is not None:
                folder = registry_folder(settings) / row.folder
                check_seat(Seat(folder, row.model, (one,), "registry", row.digest))
            models.crown(connection, [one], before)
        serves = registered(settings, models.active(connection)).by_language
        now = {one: serves[one].model if one in serves else None for one in back}
        gone = next(iter(back.values()))[0]
        details = {"languages": list(back), "replaced": dict.fromkeys(back, gone), "restored": now}
        models.note(connection, model=gone, action="rollback", actor=actor, reason=reason, details=details)
    return {one: (old, now[one]) for one, (old, _) in back.items()}
