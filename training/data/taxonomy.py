"""Topics as files call them, brought to the ids of the taxonomy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from monitor.understand.topics import Taxonomy
from training.data.examples import Example
from training.data.problems import Problems, nearest, shown


def in_taxonomy(rows: Iterable[Example], taxonomy: Taxonomy, ignore: Iterable[str], path: Path) -> list[Example]:
    """The examples with topic ids of the taxonomy in place of their file's labels, those in `ignore` left out.

    Raises:
        InputError: labels that are neither a topic nor an alias of one, with the nearest that is.
    """
    problems = Problems(path)
    found = resolved(rows, taxonomy, problems, ignore)
    problems.refuse()
    return found


def resolved(
    rows: Iterable[Example], taxonomy: Taxonomy, problems: Problems, ignore: Iterable[str] = ()
) -> list[Example]:
    """The same, with what is wrong added to `problems`."""
    left_out = set(ignore)
    known = [name for topic in taxonomy for name in (topic.id, *topic.aliases)]
    reasons: dict[str, str] = {}  # a million rows may have the same wrong label
    found = []
    for row in rows:
        if row.topics is not None:
            ids = []
            for label in row.topics:
                topic = taxonomy.resolve(label)
                if topic is None:
                    if label not in reasons:
                        near = nearest(label, known)
                        reasons[label] = f"{shown(label)} is neither a topic of {taxonomy.path} nor an alias" + (
                            f"; did you mean {near}?" if near else ""
                        )
                    problems.add(int(row.origin.rpartition(":")[2] or 0), "topics", reasons[label])
                elif topic not in left_out:
                    ids.append(topic)
            row = replace(row, topics=tuple(dict.fromkeys(ids)))
        found.append(row)
    return found
