"""Whether a set can teach anything: labels at all, and more than one class of each."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from monitor.documents import LABELS
from monitor.errors import InputError
from training.data.examples import Example

log = logging.getLogger(__name__)


def refuse_one_class(examples: Iterable[Example], name: str) -> None:
    """Make sure that what is to be learned can be learned from these examples.

    Args:
        name: what the message calls the set.

    Raises:
        InputError: no example carries a label, or all that carry one of a kind carry the same.
    """
    sentiments: dict[str, int] = {}
    topics: dict[tuple[str, ...], int] = {}
    bad: dict[bool, int] = {}
    for example in examples:
        said = {str(label) for _, label in example.entities if isinstance(label, str)}
        if example.sentiment is not None:
            said.add(example.sentiment)
        for each in said:
            sentiments[each] = sentiments.get(each, 0) + 1
        if example.topics is not None:
            key = tuple(sorted(example.topics))
            topics[key] = topics.get(key, 0) + 1
        for yes in (example.negative, *(label for _, label in example.entities if isinstance(label, bool))):
            if yes is not None:
                bad[yes] = bad.get(yes, 0) + 1
    if not sentiments and not topics and not bad:
        raise InputError(
            f"{name}: no text carries a label; each needs sentiment, topics, negative or entity_sentiment "
            "(fields says which columns hold them)"
        )
    if len(sentiments) == 1:
        label, count = next(iter(sentiments.items()))
        rest = " and ".join(known for known in LABELS if known != label)
        raise InputError(
            f"{name}: all {count:,} sentiment labels are {label}: nothing can be told apart; add texts that are "
            f"{rest}, or leave the sentiment column out if only topics are to be learned"
        )
    if len(topics) == 1:
        same, count = next(iter(topics.items()))
        what = f"the topic {', '.join(same)}" if same else "no topic (an empty list)"
        raise InputError(
            f"{name}: all {count:,} texts with topics have {what}: nothing can be told apart; add texts of other "
            "topics, or with topics = [] for none of them"
        )
    if len(bad) == 1 and not sentiments:
        yes, count = next(iter(bad.items()))
        raise InputError(
            f"{name}: all {count:,} labels of negative or not are {str(yes).lower()}: nothing can be told apart; add "
            f"texts that are {'not ' if yes else ''}negative"
        )
    if len(sentiments) == 2:
        missing = next(label for label in LABELS if label not in sentiments)
        log.warning("%s: no text is %s; the model will never say so", name, missing)
