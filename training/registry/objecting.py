"""What speaks against a candidate beside its answers: too few questions, what it would no longer say, and bias."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from monitor.understand.manifest import Manifest
from monitor.understand.topics import Taxonomy
from training.data.examples import Example

LEAST = 100
"""With fewer labels for a task an exam tells nothing of it: almost no model fails it significantly."""
SHOWN = 5


def labelled(examples: Sequence[Example], taxonomy: Taxonomy, topics: Collection[str]) -> dict[str, int]:
    """Task (`sentiment`, `topics`, `toward`) → how many answers the labels of an exam allow to be judged.

    Labels of three classes and those of yes or no are different questions, of which the more frequent counts. Of
    topics the texts count that have one of `topics`, of `toward` the labelled companies of each text.
    """
    toward = [label for example in examples for _, label in example.entities if label is not None]
    yes_or_no = sum(isinstance(label, bool) for label in toward)
    return {
        "sentiment": max(
            sum(example.sentiment is not None for example in examples),
            sum(example.negative is not None for example in examples),
        ),
        "topics": sum(any(taxonomy.resolve(label) in topics for label in example.topics or ()) for example in examples),
        "toward": max(yes_or_no, len(toward) - yes_or_no),
    }


def not_asked(counts: Mapping[str, int], champion: Manifest) -> list[str]:
    """The tasks of the champion that an exam has no label for."""
    served = {"topics": bool(champion.topics), "toward": champion.toward}
    return [task for task, does in served.items() if does and not counts[task]]


def too_few(language: str, counts: Mapping[str, int], champion: Manifest | None) -> Iterator[str]:
    """The tasks of which an exam tells too little, a line each.

    Every exam asks for sentiment. What it asks beyond that it must ask often enough, if the champion serves it.
    """
    served = {
        "sentiment": True,
        "topics": champion is not None and bool(champion.topics) and counts["topics"] > 0,
        "toward": champion is not None and champion.toward and counts["toward"] > 0,
    }
    names = {"sentiment": "texts in {}", "topics": "texts in {} with topics", "toward": "companies in texts in {}"}
    for task, does in served.items():
        if does and counts[task] < LEAST:
            yield (
                f"the exam has {counts[task]} labelled {names[task].format(language)}, {LEAST} are needed to tell "
                f"anything of {'sentiment toward companies' if task == 'toward' else task}"
            )


def dropped(language: str, candidate: Manifest, champion: Manifest) -> Iterator[str]:
    """What the champion says and the candidate does not, a line for topics and one for companies."""
    lost = [topic for topic in champion.topics if topic not in candidate.topics]
    if lost:
        more = f" and {len(lost) - SHOWN} others" if len(lost) > SHOWN else ""
        yield f"{language}: {candidate.model} lacks topics of {champion.model}: {', '.join(lost[:SHOWN])}{more}"
    if champion.toward and not candidate.toward:
        yield f"{language}: {candidate.model} does not tell sentiment toward each company, as {champion.model} does"


def out_of_bounds(language: str, candidate: Manifest, champion: Manifest) -> Iterator[str]:
    """The groups of the bias check whose bounds the champion keeps and the candidate does not, a line each.

    Told from what both were measured at when they were made; a group that one of them lacks says nothing.
    """
    from training.evaluation.bias import FLIPS, MEAN_MOVEMENT

    before, after = _bias(language, champion), _bias(language, candidate)
    for group in sorted(before.keys() & after.keys()):
        movement, flips = after[group]
        was_kept = before[group][0] <= MEAN_MOVEMENT and before[group][1] <= FLIPS
        if was_kept and (movement > MEAN_MOVEMENT or flips > FLIPS):
            yield (
                f"{language}: bias, {group}: the score of {candidate.model} moves by {movement:.4f} on average "
                f"({MEAN_MOVEMENT} allowed) and {flips:.2%} of swaps change its answer ({FLIPS:.0%} allowed); "
                f"{champion.model} keeps these bounds"
            )


def _bias(language: str, manifest: Manifest) -> dict[str, tuple[float, float]]:
    """Group → mean movement of the score and share of answers changed, as `evaluation.summary` keeps them."""
    numbers = manifest.metrics.get("bias")
    if not isinstance(numbers, Mapping):
        return {}
    end = f"_{language}_mean_movement"
    return {
        group: (numbers[name], numbers[f"{group}_{language}_flips"])
        for name in numbers
        if name.endswith(end) and f"{(group := name.removesuffix(end))}_{language}_flips" in numbers
    }
