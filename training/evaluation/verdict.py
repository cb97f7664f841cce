"""The verdict: may this candidate take the champion's place?

It may not when it is significantly worse on all texts together or on any large slice of them, or when there is nothing
to compare the two on. "Significantly worse" is a lower number whose one-sided p value is under SIGNIFICANT. Over all
texts of a task these are accuracy (exact McNemar), macro-F1 and, for topics, micro-F1 (paired bootstrap; topics by
their thresholds); on slices it is accuracy. P values are corrected for the number of comparisons over all texts, and
for the number of slices (Holm).
A slice is large from LARGE answers on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from training.evaluation.contest import Contest
from training.evaluation.significance import Comparison, Difference, holm

SIGNIFICANT = 0.05
LARGE = 200


@dataclass(frozen=True)
class Finding:
    """One respect in which two models were compared; in a verdict, one in which the candidate is significantly worse.

    Attributes:
        what: task, measure and slice in words.
        texts: how many answers that was measured on.
        p: one-sided, corrected for the number of comparisons over all texts or of large slices.
    """

    what: str
    texts: int
    champion: float
    candidate: float
    p: float

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.candidate:.4f} instead of {self.champion:.4f} ({self.texts} texts, p = {self.p:.2g})"
        )


@dataclass(frozen=True)
class Verdict:
    """What speaks against a candidate.

    Attributes:
        worse: everything found.
        tested: comparisons over all texts, and over large slices.
        answers: task → how many answers were compared.
    """

    worse: tuple[Finding, ...]
    tested: tuple[int, int]
    answers: Mapping[str, int] = field(default_factory=dict)

    @property
    def passes(self) -> bool:
        """Whether the two were compared and nothing speaks against the candidate."""
        return self.tested[0] > 0 and not self.worse

    @property
    def reason(self) -> str:
        """The verdict in one line."""
        if self.worse:
            return "significantly worse: " + "; ".join(map(str, self.worse))
        whole, slices = self.tested
        if not whole:
            return "not compared: no text has a label that both could be measured on"
        return f"not significantly worse in {whole} comparisons over all texts and {slices} over large slices"


def verdict(contest: Contest) -> Verdict:
    """Judge a contest between champion and candidate."""
    whole = []
    for task, found in contest.tasks.items():
        measures: dict[str, Comparison | Difference | None] = {
            "accuracy": found,
            "macro-F1": found.macro_f1,
            "micro-F1": contest.micro_f1.get(task),
        }
        for measure, gap in measures.items():
            if gap is not None:
                what = f"{task.replace('_', ' ')}, {measure}"
                whole.append(Finding(what, found.texts, gap.champion, gap.candidate, gap.p_worse))
    large = []
    for part in contest.slices:
        found = part.comparison
        if found.texts >= LARGE:
            what = f"{part.task.replace('_', ' ')}, accuracy on {part.by} {part.name}"
            large.append(Finding(what, found.texts, found.champion, found.candidate, found.p_worse))
    worse = (*_worse(whole), *_worse(large))
    return Verdict(worse, (len(whole), len(large)), contest.answers)


def _worse(compared: Sequence[Finding]) -> Iterator[Finding]:
    """Those in which the candidate is significantly worse, their p values corrected for the number of all."""
    for finding, p in zip(compared, holm([finding.p for finding in compared]), strict=True):
        if finding.candidate < finding.champion and p < SIGNIFICANT:
            yield replace(finding, p=p)
