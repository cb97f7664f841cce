"""A contest: champion and candidate on the same labelled texts, task by task and slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from monitor.understand.bundle import Bundle
from monitor.understand.companies import Watchlist
from monitor.understand.topics import Taxonomy
from training.data.examples import Example
from training.evaluation.answers import Answers, passed
from training.evaluation.judged import judge, read_topics
from training.evaluation.resampling import Difference, compare_macro_f1, compare_micro_f1
from training.evaluation.significance import Comparison, compare
from training.evaluation.slices import members
from training.evaluation.tasks import texts_to_ask


@dataclass(frozen=True)
class SliceComparison:
    """A comparison on the texts of one slice."""

    by: str
    name: str
    task: str
    comparison: Comparison


@dataclass(frozen=True)
class Contest:
    """How a candidate does beside the champion.

    Attributes:
        champion, candidate: name@version.
        tasks: task → comparison over all texts of all files; the tasks are those of `judged.py`. The macro-F1 of
            `topics` is that of every topic against its threshold, as topics are served: of a text with several, which
            is the likeliest says little.
        micro_f1: `topics` → the same decisions, all together.
        slices: accuracy on each slice of each task; the files are slices too.
    """

    champion: str
    candidate: str
    tasks: Mapping[str, Comparison]
    micro_f1: Mapping[str, Difference] = field(default_factory=dict)
    slices: Sequence[SliceComparison] = ()

    @property
    def answers(self) -> dict[str, int]:
        """Task → how many answers were compared; tasks that no label is for are not there."""
        return {task: found.texts for task, found in self.tasks.items()}


def contest(
    files: Mapping[str, Sequence[Example]],
    champion: Answers,
    candidate: Answers,
    taxonomy: Taxonomy,
    watchlist: Watchlist,
) -> Contest:
    """Compare two bundles' answers to the same files.

    A topic counts when either of the two was taught it: one that was not has it wrong.
    """
    examples = [example for rows in files.values() for example in rows]
    topics = tuple(sorted({*champion.manifest.topics, *candidate.manifest.topics}))
    old = judge(champion, examples, taxonomy, topics)
    new = judge(candidate, examples, taxonomy, topics)
    where = members(files, watchlist)
    tasks, parts = {}, []
    for task, before in old.items():
        after = new[task]
        tasks[task] = compare(before.said, after.said, before.truth, rows=before.rows, with_f1=task != "topics")
        for (by, name), inside in where.items():
            chosen = inside[before.rows]
            if 0 < chosen.sum() < len(before):
                part, other = before.only(chosen), after.only(chosen)
                found = compare(part.said, other.said, part.truth, rows=part.rows, with_f1=False)
                parts.append(SliceComparison(by, name, task, found))
    micro = {}
    if "topics" in tasks:
        labels = read_topics(examples, taxonomy, topics)
        texts = [examples[row].text for row in labels.rows]
        first, second = (_said(answers, texts, topics) & labels.asked for answers in (champion, candidate))
        tasks["topics"] = replace(tasks["topics"], macro_f1=compare_macro_f1(first, second, labels.truth))
        micro["topics"] = compare_micro_f1(first, second, labels.truth)
    return Contest(champion.manifest.model, candidate.manifest.model, tasks, micro, parts)


def contest_of_bundles(
    champion: Bundle,
    candidate: Bundle,
    files: Mapping[str, Sequence[Example]],
    taxonomy: Taxonomy,
    watchlist: Watchlist,
    tell: Callable[[int], None] | None = None,
) -> Contest:
    """Ask both bundles about all texts of the files and compare; `tell` hears how many answers there are."""
    texts = [text for rows in files.values() for text in texts_to_ask(rows)]
    first = Answers(champion, texts, tell)
    second = Answers(candidate, texts, None if tell is None else lambda done: tell(len(first) + done))
    return contest(files, first, second, taxonomy, watchlist)


def _said(answers: Answers, texts: Sequence[str], topics: Sequence[str]) -> NDArray[np.bool_]:
    said = np.zeros((len(texts), len(topics)), bool)
    reached = passed(answers.manifest, answers.topics(texts))
    place = {topic: index for index, topic in enumerate(topics)}
    for index, topic in enumerate(answers.manifest.topics):
        said[:, place[topic]] = reached[:, index]
    return said
