"""What several people's labels of a document amount to: the majority; where there is none, nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from monitor.documents import Kind, Label
from monitor.store.queries.labels import Given


@dataclass(frozen=True, slots=True)
class Settled:
    """A document with what its labellers agree on; None and missing companies: nothing was said, or it was a tie.

    `companies` is the sentiment toward each company that was labelled by itself. `ties` names what was left out
    because nobody had the majority: `sentiment`, `topics`, or a company's symbol. `kind` is None where it is not known.
    """

    key: UUID
    title: str
    text: str
    body: str
    lang: str
    published_at: datetime
    sentiment: Label | None
    topics: tuple[str, ...] | None
    companies: tuple[tuple[str, Label], ...]
    actors: tuple[str, ...]
    ties: tuple[str, ...]
    kind: Kind | None = None

    @property
    def says(self) -> bool:
        """Whether anything is left to learn from."""
        return self.sentiment is not None or self.topics is not None or bool(self.companies)


def settle(given: Iterable[Given]) -> list[Settled]:
    """The labels of each document put together, in the order in which the documents first appear.

    A sentiment counts when more people chose it than any other. A topic counts when more than half of those who said
    anything of topics chose it; when exactly half did, the document's topics are a tie.
    """
    by_document: dict[UUID, list[Given]] = {}
    for one in given:
        by_document.setdefault(one.key, []).append(one)
    return [_settled(said) for said in by_document.values()]


def _settled(said: Sequence[Given]) -> Settled:
    ties: list[str] = []
    votes: dict[str, list[Label]] = {}
    for one in said:
        if one.sentiment is not None:
            votes.setdefault(one.company, []).append(one.sentiment)
    chosen = {company: most_chosen(labels) for company, labels in sorted(votes.items())}
    ties += [company or "sentiment" for company, label in chosen.items() if label is None]
    lists = [one.topics for one in said if one.topics is not None and not one.company]
    topics = agreed_topics(lists) if lists else None
    if lists and topics is None:
        ties.append("topics")
    # The copy made last is nearest to what the record holds.
    copy = max(said, key=lambda one: one.labelled_at)
    return Settled(
        key=copy.key,
        title=copy.title,
        text=copy.text,
        body=copy.body,
        lang=copy.lang,
        published_at=copy.published_at,
        sentiment=chosen.get(""),
        topics=topics,
        companies=tuple((company, label) for company, label in chosen.items() if company and label is not None),
        actors=tuple(sorted({one.actor for one in said})),
        ties=tuple(ties),
        kind=copy.kind,
    )


def most_chosen(labels: Sequence[Label]) -> Label | None:
    """The label that was chosen more often than any other; None at a tie.

    >>> most_chosen(["negative", "neutral", "negative"]), most_chosen(["negative", "positive"])
    ('negative', None)
    """
    first, *rest = Counter(labels).most_common(2)
    return None if rest and rest[0][1] == first[1] else first[0]


def agreed_topics(lists: Sequence[Sequence[str]]) -> tuple[str, ...] | None:
    """The topics that more than half of the lists hold; None when one is held by exactly half.

    >>> agreed_topics([["macro"], ["macro", "earnings"], ["macro"]])
    ('macro',)
    >>> agreed_topics([["macro"], ["earnings"]]) is None
    True
    """
    counts = Counter(topic for topics in lists for topic in set(topics))
    if any(2 * number == len(lists) for number in counts.values()):
        return None
    return tuple(sorted(topic for topic, number in counts.items() if 2 * number > len(lists)))
