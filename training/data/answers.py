"""What people answered in an annotation tool: several of them, to questions under names of the project's own.

Label Studio calls a question a control, Argilla a question; an export holds each annotator's answers to each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from monitor.documents import LABELS
from training.data.columns import ALIASES
from training.data.problems import Problems, shown

Answer = tuple[Any, ...]
"""The values one annotator chose for one question."""
Entities = dict[str, tuple[str, ...]]
"""Entity as written → what one annotator called it; () where it was only marked."""
ANSWERED = ("sentiment", "topics", "negative")
"""Fields of ours that a question may ask for."""
V = TypeVar("V", bound=Hashable)


@dataclass
class Answered:
    """One text of an export.

    Attributes:
        data: what the project was given: the text and whatever came with it.
        answers: question → one answer an annotator, the newest or most trusted first.
        entities: what each annotator marked in the text.
    """

    data: dict[str, Any]
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    entities: list[Entities] = field(default_factory=list)


class Questions:
    """Decides which question asks for sentiment and which for topics, and makes plain rows of the answers.

    A question is known by `fields` (field of ours → its name) or by a name of ours. Any other is one for sentiment as
    soon as an answer is a label of sentiment; what it was answered before that must then be one too.

    Args:
        loose: what looks like a question may be any field of the project's data, so nothing is said of unused ones.
    """

    def __init__(
        self, fields: Mapping[str, str], labels: Mapping[str, str], problems: Problems, *, loose: bool = False
    ) -> None:
        self._roles = {name: role for role, name in fields.items() if role in ANSWERED}
        # A row must hold an answer where the reader of rows, told the same, looks for it.
        self._place = {role: fields.get(role, role) for role in (*ANSWERED, "entity_sentiment")}
        self._loose = loose
        self._labels = labels
        self._problems = problems
        self._waiting: dict[str, Counter[str]] = {}
        self._first: dict[tuple[str, str], int] = {}
        self._used = False

    def row(self, number: int, answered: Answered) -> dict[str, Any]:
        """The text with what most annotators say, as a row of a plain file would have it."""
        row = dict(answered.data)
        for name, answers in answered.answers.items():
            role = self._role(name, answers, number)
            if role is None:
                continue
            self._used = True
            chosen = [frozenset(answer) for answer in answers]  # in whatever order the choices were made
            answer = answers[chosen.index(voted(chosen))]
            if len(set(chosen)) > 1:
                self._problems.notes[f"annotators disagree on {role}; most votes count, the newest at a tie"] += 1
            if role == "topics":
                row[self._place[role]] = list(answer)
            elif len(answer) > 1:
                self._problems.add(number, name, f"has {len(answer)} answers where one is meant: {shown(answer)}")
            elif answer:
                row[self._place[role]] = answer[0]
        if answered.entities:
            self._used = True
            row[self._place["entity_sentiment"]] = self._entities(number, answered.entities)
        return row

    def _role(self, name: str, answers: Sequence[Answer], number: int) -> str | None:
        if name in self._roles:
            return self._roles[name]
        folded = name.strip().casefold()
        if folded != "label":  # it may ask for anything
            for role in ANSWERED:
                if folded in ALIASES[role]:
                    self._roles[name] = role
                    return role
        said = [str(item) for answer in answers for item in answer]
        if any(self._is_sentiment(item) for item in said) and not self._has("sentiment"):
            self._roles[name] = "sentiment"
            return "sentiment"
        waiting = self._waiting.setdefault(name, Counter())
        for item in said:
            if item in waiting or len(waiting) < 100:
                waiting[item] += 1
                self._first.setdefault((name, item), number)
        return None

    def _has(self, role: str) -> bool:
        return role in self._roles.values()

    def _is_sentiment(self, item: str) -> bool:
        return self._labels.get(item, item).strip().casefold() in LABELS

    def _entities(self, number: int, marked: Sequence[Entities]) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for name in dict.fromkeys(name for entities in marked for name in entities):
            called = [entities[name] for entities in marked if name in entities]
            answer = voted([tuple(sorted(set(item))) for item in called])
            sentiments = [item for item in answer if self._is_sentiment(item)]
            if len(sentiments) > 1:
                self._problems.add(number, "entities", f"{shown(name)} is marked {' and '.join(sentiments)}")
            found[name] = sentiments[0] if sentiments else None
        return found

    def finish(self) -> None:
        """At the end of the file: say what was never used, and what came before its question was understood."""
        for name, waiting in self._waiting.items():
            if self._roles.get(name) == "sentiment":
                for item, count in waiting.items():
                    for _ in range(count):
                        self._problems.add(
                            self._first[name, item], name, f"{shown(item)} is none of {', '.join(LABELS)}"
                        )
            elif not self._loose:
                self._problems.notes[f"question {shown(name)} is not used"] += sum(waiting.values())
        if not self._used and self._waiting and not self._loose:
            names = ", ".join(sorted(self._waiting))
            self._problems.add(
                0,
                "",
                f"none of its questions ({names}) is taken for sentiment or topics; name the one that is with fields, "
                f"such as topics = {shown(min(self._waiting))}",
            )


def voted(answers: Sequence[V]) -> V:
    """What most say; the first of those that are tied."""
    counts = Counter(answers)
    return max(counts, key=lambda answer: (counts[answer], -answers.index(answer)))


def flat(values: Iterable[Any]) -> Answer:
    """Chosen values as an answer: paths down a tree of choices give their last part, blanks are left out."""
    found = []
    for item in values:
        last = item[-1] if isinstance(item, (list, tuple)) and item else item
        if last is not None and last != "" and last != []:
            found.append(last if isinstance(last, (str, int, float, bool)) else str(last))
    return tuple(found)
