"""From texts that name several entities to texts marked for each of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from monitor.understand.toward import aimed, mentions
from training.data.examples import Example


def aimed_examples(examples: Iterable[Example]) -> list[Example]:
    """The examples as they are, and after each one more for every entity whose sentiment is known.

    A text about one entity alone is marked too: so the network learns that the markers change nothing by themselves.
    """
    found = []
    for example in examples:
        found.append(example)
        spans = mentions(example.text, [name for name, _ in example.entities])
        named = {name for _, _, name in spans}
        for name, label in example.entities:
            if label is None or name not in named:
                continue
            marked = Example(aimed(example.text, spans, name, example.lang), example.lang, target=name)
            if isinstance(label, bool):
                found.append(replace(marked, negative=label))
            else:
                found.append(replace(marked, sentiment=label))
    return found
