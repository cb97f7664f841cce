"""Splits: what is held out, by each text alone, by label, or by time. Each is the same every time."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from monitor.errors import InputError
from training.data.doubles import fingerprint
from training.data.examples import Example

_NOT_WORD = re.compile(r"[\W_]+")


def held_out(examples: Iterable[Example], share: float) -> tuple[list[Example], list[Example]]:
    """Split into (taught, held out); which text falls where depends on its letters and digits alone, so it never
    changes."""
    taught: list[Example] = []
    held: list[Example] = []
    for example in examples:
        (held if _place(_NOT_WORD.sub("", fingerprint(example.text))) < share * 2**64 else taught).append(example)
    return taught, held


def _place(key: str, seed: int = 0) -> int:
    """Where a key falls, evenly in [0, 2^64)."""
    salt = seed.to_bytes(8, "big") if seed else b""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8, salt=salt).digest(), "big")


# --- by label --------------------------------------------------------------------------------------------------------


def strata(example: Example) -> tuple[Hashable, ...]:
    """The labels by which examples are spread evenly: sentiment, each topic (or that there is none), negative or not.

    >>> strata(Example("a", sentiment="positive", topics=("ipo", "earnings")))
    (('sentiment', 'positive'), ('topic', 'ipo'), ('topic', 'earnings'))
    """
    found: list[Hashable] = []
    if example.sentiment is not None:
        found.append(("sentiment", example.sentiment))
    if example.topics is not None:
        found += [("topic", topic) for topic in example.topics] or [("topic", None)]
    if example.negative is not None:
        found.append(("negative", example.negative))
    return tuple(found)


def stratified(
    examples: Sequence[Example], share: float, *, seed: int = 0, together: Sequence[int] | None = None
) -> tuple[list[Example], list[Example]]:
    """Split into (taught, held out) with every label in both at its share.

    A label that at least two texts carry has at least one on either side.

    Args:
        share: of the texts that is held out, above 0 and below 1.
        seed, together: see `folds`.
    """
    places = _spread(examples, (1 - share, share), seed, together)
    taught = [example for example, place in zip(examples, places, strict=True) if place == 0]
    return taught, [example for example, place in zip(examples, places, strict=True) if place == 1]


def folds(examples: Sequence[Example], k: int, *, seed: int = 0, together: Sequence[int] | None = None) -> list[int]:
    """The fold of each example, 0 to k - 1, with every label spread over the folds as evenly as it goes.

    Several labels a text are spread one after the other, the rarest first (iterative stratification: Sechidis,
    Tsoumakas and Vlahavas, "On the stratification of multi-label data", ECML PKDD 2011). Copies of a text are in one
    fold; a label that k texts carry is in every fold.

    Args:
        k: folds, at least 2.
        seed: another one gives another split; texts, seed and k decide it, the order of the examples does not.
        together: a number for each example; those of one number stay together, such as near copies
            (`near.first_copies`). Copies do by default.
    """
    return _spread(examples, (1 / k,) * k, seed, together)


def _spread(
    examples: Sequence[Example], shares: Sequence[float], seed: int, together: Sequence[int] | None
) -> list[int]:
    """The part of each example, parts being as large as `shares` say."""
    groups: dict[Hashable, list[int]] = {}
    prints = [fingerprint(example.text) for example in examples]
    for index, key in enumerate(together if together is not None else prints):
        groups.setdefault(key, []).append(index)
    # A group stands where the least of its texts does: neither order nor number of the examples plays a part.
    units = sorted(groups.values(), key=lambda unit: min((_place(prints[i], seed), prints[i]) for i in unit))
    labels = [Counter(label for index in unit for label in strata(examples[index])) for unit in units]
    carriers: dict[Hashable, list[int]] = {}
    for number, counts in enumerate(labels):
        for label in counts:
            carriers.setdefault(label, []).append(number)
    total: Counter[Hashable] = Counter()
    for counts in labels:
        total.update(counts)
    wanted = {label: [share * count for share in shares] for label, count in total.items()}
    room = [share * len(examples) for share in shares]
    part = [-1] * len(units)

    def put(number: int, where: int) -> None:
        part[number] = where
        room[where] -= len(units[number])
        for label, count in labels[number].items():
            wanted[label][where] -= count

    # Labels of one rarity go by name, so that the order of the examples does not decide.
    for label in sorted(carriers, key=lambda label: (len(carriers[label]), repr(label))):
        free = [number for number in carriers[label] if part[number] < 0]
        have = {part[number] for number in carriers[label] if part[number] >= 0}
        for left, number in zip(range(len(free), 0, -1), free, strict=True):
            lacking = [where for where in range(len(shares)) if where not in have]
            # As many carriers are left as parts lack the label: from here on each of these gets one.
            among = lacking if lacking and left <= len(lacking) else range(len(shares))
            where = max(among, key=lambda where: (wanted[label][where], room[where], -where))
            have.add(where)
            put(number, where)
    for number in range(len(units)):
        if part[number] < 0:
            put(number, max(range(len(shares)), key=lambda where: (room[where], -where)))
    found = [0] * len(examples)
    for unit, where in zip(units, part, strict=True):
        for index in unit:
            found[index] = where
    return found


# --- by time ---------------------------------------------------------------------------------------------------------


def time_ordered(
    examples: Sequence[Example], share: float, *, gap: timedelta = timedelta(0)
) -> tuple[list[Example], list[Example]]:
    """Split into (past, future): the latest `share` of the texts is tested, what came before it is taught.

    Texts of one moment are on one side, the future's. Each side is in order of time.

    Args:
        gap: texts within it before the first tested one are left out of both, since a story runs on for a while.

    Raises:
        InputError: texts have no time, or all have the same.
    """
    ordered = _by_time(examples)
    cut = _timed(ordered[min(len(ordered) - 1, max(1, round(len(ordered) * (1 - share))))])
    if cut == _timed(ordered[0]):
        later = sorted({_timed(example) for example in ordered})
        if len(later) < 2:
            raise InputError(f"all texts are of {cut:%Y-%m-%d %H:%M}: there is no past to learn from")
        cut = later[1]
    past = [example for example in ordered if _timed(example) < cut - gap]
    if not past:
        raise InputError(f"no text is older than the gap of {gap} before {cut:%Y-%m-%d %H:%M}")
    return past, [example for example in ordered if _timed(example) >= cut]


def time_folds(
    examples: Sequence[Example], k: int, *, gap: timedelta = timedelta(0)
) -> Iterator[tuple[list[Example], list[Example]]]:
    """k splits into (past, future) that walk forward: the texts are cut by time into k + 1 parts of about one size, and
    each part but the first is tested once on a model of all before it.

    Raises:
        InputError: texts have no time, or too few different ones.
    """
    ordered = _by_time(examples)
    cuts = [_timed(ordered[round(len(ordered) * number / (k + 1))]) for number in range(1, k + 1)]
    if len(set(cuts)) < k or cuts[0] == _timed(ordered[0]):
        raise InputError(f"the texts' times cannot be cut into {k + 1} parts: too many are of one moment")
    for start, end in zip(cuts, [*cuts[1:], None], strict=True):
        past = [example for example in ordered if _timed(example) < start - gap]
        future = [example for example in ordered if _timed(example) >= start and (end is None or _timed(example) < end)]
        if not past:
            raise InputError(f"no text is older than the gap of {gap} before {start:%Y-%m-%d %H:%M}")
        yield past, future


def _by_time(examples: Sequence[Example]) -> list[Example]:
    undated = [example for example in examples if example.at is None]
    if undated:
        raise InputError(
            f"{len(undated):,} of {len(examples):,} texts have no published_at, the first is "
            f"{undated[0].origin or repr(undated[0].text[:60])}: a split by time needs it on each"
        )
    if not examples:
        raise InputError("there are no texts to split by time")
    return sorted(examples, key=lambda example: (_timed(example), fingerprint(example.text)))


def _timed(example: Example) -> datetime:
    return example.at or datetime.min.replace(tzinfo=UTC)
