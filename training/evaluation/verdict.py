"""The verdict: may this candidate take the champion's place?

It may not when it is significantly worse on all texts together or on any large slice of them. "Significantly worse"
is a lower number whose one-sided p value is under SIGNIFICANT. Over all texts of a task these are accuracy (exact
McNemar), macro-F1 and, for topics, micro-F1 (paired bootstrap); on slices it is accuracy, with p values corrected for
the number of slices (Holm). A slice is large from LARGE texts on.
"""

from __future__ import annotations

from dataclasses import dataclass

from training.evaluation.contest import Contest
from training.evaluation.significance import holm

SIGNIFICANT = 0.05
LARGE = 200


@dataclass(frozen=True)
class Finding:
    """One respect in which the candidate is significantly worse.

    Attributes:
        what: task, measure and slice in words.
        texts: how many answers that was measured on.
        p: one-sided; for slices corrected for their number.
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
        worse: everything found; empty when the candidate may be promoted.
        tested: comparisons over all texts, and over large slices.
    """

    worse: tuple[Finding, ...]
    tested: tuple[int, int]

    @property
    def passes(self) -> bool:
        """Whether nothing speaks against the candidate."""
        return not self.worse

    @property
    def reason(self) -> str:
        """The verdict in one line."""
        if self.worse:
            return "significantly worse: " + "; ".join(map(str, self.worse))
        whole, slices = self.tested
        return f"not significantly worse in {whole} comparisons over all texts and {slices} over large slices"


def verdict(contest: Contest) -> Verdict:
    """Judge a contest between champion and candidate."""
    worse, whole = [], 0
    for task, found in contest.tasks.items():
        name = task.replace("_", " ")
        whole += 1
        if found.candidate < found.champion and found.p_worse < SIGNIFICANT:
            worse.append(Finding(f"{name}, accuracy", found.texts, found.champion, found.candidate, found.p_worse))
        for measure, gap in (("macro-F1", found.macro_f1), ("micro-F1", contest.micro_f1.get(task))):
            if gap is None:
                continue
            whole += 1
            if gap.candidate < gap.champion and gap.p_worse < SIGNIFICANT:
                worse.append(Finding(f"{name}, {measure}", found.texts, gap.champion, gap.candidate, gap.p_worse))
    large = [part for part in contest.slices if part.comparison.texts >= LARGE]
    for part, p in zip(large, holm([part.comparison.p_worse for part in large]), strict=True):
        found = part.comparison
        if found.candidate < found.champion and p < SIGNIFICANT:
            what = f"{part.task.replace('_', ' ')}, accuracy on {part.by} {part.name}"
            worse.append(Finding(what, found.texts, found.champion, found.candidate, p))
    return Verdict(tuple(worse), (whole, len(large)))
