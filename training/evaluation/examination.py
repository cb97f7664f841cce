"""A whole examination of a bundle: labelled files, slices, robustness, bias, pairs, speed, and a champion beside it.

All that has to be asked is gathered first and asked once; then everything is measured on the same answers.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.errors import BundleError
from monitor.progress import progress
from monitor.understand.bundle import Bundle
from monitor.understand.companies import Watchlist
from monitor.understand.topics import Taxonomy
from training.data.examples import Example
from training.evaluation import bias, pairs, robustness, tasks
from training.evaluation.answers import Answers
from training.evaluation.contest import Contest, contest
from training.evaluation.judged import judge
from training.evaluation.mistakes import mistakes
from training.evaluation.slices import members, slice_reports
from training.evaluation.speed import speed_report
from training.evaluation.verdict import verdict

log = logging.getLogger(__name__)

FORMAT = 1
QUICK_TEXTS, QUICK_WORDS = 100, 6


@dataclass(frozen=True)
class Scope:
    """What an examination covers beside the labelled files.

    Attributes:
        pairs: folder of minimal pairs, paraphrases and swaps; None: the labelled files only, no robustness either.
        quick: smaller samples for robustness and bias, and no speed.
        speed: whether to measure it.
    """

    pairs: Path | None = pairs.PAIRS
    quick: bool = False
    speed: bool = True


def examine(
    bundle: Bundle,
    files: Mapping[str, Sequence[Example]],
    taxonomy: Taxonomy,
    watchlist: Watchlist,
    *,
    scope: Scope | None = None,
    against: Bundle | None = None,
) -> dict[str, Any]:
    """Everything `bellwether evaluate` tells, as one tree; docs/training.md describes its keys.

    Args:
        files: name → its examples. Those marked for an entity are left out: the text they were made of is asked about
            its entities itself.
        against: the champion, asked the same texts of the files.
    """
    scope = scope or Scope()
    files = {name: [example for example in rows if example.target is None] for name, rows in files.items()}
    everything = [example for rows in files.values() for example in rows]
    languages = bundle.manifest.languages
    asked = languages if scope.pairs is not None else ()
    probes = scope.pairs or pairs.PAIRS
    sample = 0 if scope.pairs is None else QUICK_TEXTS if scope.quick else robustness.SAMPLE
    changed = robustness.changes(everything, watchlist, sample) if sample else {}
    minimal, same = pairs.pairs_for(asked, probes), pairs.paraphrases_for(asked, probes)
    aimed = pairs.toward_for(asked, probes)
    swaps = bias.swaps_for(asked, probes, most_words=QUICK_WORDS if scope.quick else None)
    labelled = [text for rows in files.values() for text in tasks.texts_to_ask(rows)]
    texts = [
        *labelled,
        *(text for rows in changed.values() for row in rows for text in (row.before, row.after)),
        *pairs.texts_of(minimal, same),
        *tasks.texts_to_ask(aimed),
        *(text for swap in swaps for text in swap.texts()),
    ]
    unique, unique_labelled = len(set(texts)), len(set(labelled))
    total = unique + (unique_labelled if against is not None else 0)
    with progress("evaluate", total) as bar:
        answers = Answers(bundle, texts, lambda done: bar.update(done, "texts"))
        rival = None
        if against is not None:
            rival = Answers(against, labelled, lambda done: bar.update(unique + done, against.manifest.model))
    found: dict[str, Any] = {
        "format": FORMAT,
        "model": bundle.manifest.model,
        "languages": list(languages),
        "files": {},
        "robustness": robustness.robustness_report(answers, changed),
        "bias": bias.bias_report(answers, swaps),
        "pairs": pairs.pairs_report(answers, minimal),
        "paraphrases": pairs.paraphrases_report(answers, same),
        "toward_exam": tasks.report(answers, aimed, taxonomy).get("toward") if aimed else None,
        "speed": None,
        "against": None,
    }
    for name, examples in files.items():
        slices = {pair: where for pair, where in members({name: examples}, watchlist).items() if pair[0] != "file"}
        found["files"][name] = {
            **tasks.report(answers, examples, taxonomy),
            "slices": slice_reports(judge(answers, examples, taxonomy), slices),
            "mistakes": mistakes(answers, examples, taxonomy),
        }
    if rival is not None:
        found["against"] = _told(contest(files, rival, answers, taxonomy, watchlist))
    if scope.speed and not scope.quick:
        try:
            found["speed"] = speed_report(bundle.folder, [example.text for example in everything])
        except BundleError as error:
            log.warning("%s", error)  # everything else is measured by now and must not be lost
    return found


def _told(held: Contest) -> dict[str, Any]:
    judged = verdict(held)
    return {
        **dataclasses.asdict(held),
        "verdict": {"passes": judged.passes, "reason": judged.reason, "worse": [str(row) for row in judged.worse]},
    }
