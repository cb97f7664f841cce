"""Which documents to label next, chosen from what the record holds; no model is needed.

Four reasons: the model was unsure (`uncertain`), nothing like it was labelled (`diverse`), it stands for what is new
(`drifting`), or an alert rests on it (`impact`); `mixed` takes turns. A document that was labelled is never chosen, nor
a near-duplicate of one, and of near-duplicates only one. The same record gives the same choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

import numpy as np
from sqlalchemy import Connection

from monitor.documents import LABELS
from monitor.labelling.diverse import spread
from monitor.labelling.drifting import Drift, plain, since_before, since_labelled
from monitor.labelling.majority import Settled, settle
from monitor.labelling.uncertain import Thresholds, margin
from monitor.store.queries import curves, drivers, labels
from monitor.store.queries.candidates import Candidate, Raised, of_keys, raised, sample
from monitor.understand.novelty import WITHIN, fingerprint, stories

Reason = Literal["uncertain", "diverse", "drifting", "impact"]
REASONS: tuple[Reason, ...] = ("uncertain", "impact", "diverse", "drifting")
ENOUGH = 50
"""Labelled documents from which on drift is told against them instead of against the weeks before."""
WEEKS_BEFORE = timedelta(days=28)
_DIVERSE_LABELLED = 1_000


@dataclass(frozen=True, slots=True)
class Chosen:
    """A document to label: for which reason, how strong that is (only comparable within a reason), and in words."""

    candidate: Candidate
    reason: Reason
    strength: float
    why: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What was chosen, from how many documents, and how the present differs (None where that was not asked)."""

    chosen: tuple[Chosen, ...]
    looked_at: int
    drift: Drift | None


def select(
    connection: Connection,
    count: int,
    reasons: Sequence[Reason] = REASONS,
    *,
    lang: str = "",
    days: int = 7,
    most: int = 10_000,
    thresholds: Thresholds | None = None,
) -> Selection:
    """Choose documents.

    Args:
        count: how many at most.
        reasons: taken in turns.
        lang: only this language (ISO 639-1); empty: any.
        days: how far back from the newest document is looked; alerts opened in this time count as recent.
        most: how many documents are looked at, a fair sample if there are more.
        thresholds: of topics, by model.
    """
    extent = curves.extent(connection)
    if extent is None:
        return Selection((), 0, None)
    end = extent[1] + timedelta(minutes=1)
    start = end - timedelta(days=days)
    given = list(reversed(labels.listed(connection, lang=lang)))
    settled = settle(given)
    known = _Known(labels.keys(connection), [fingerprint(one.body) for one in settled])
    pool = _told_once(sample(connection, start, end, most=most, lang=lang))
    fresh = [one for one in pool if not known.has(one)]
    drift: Drift | None = None
    orders: dict[Reason, Iterator[Chosen]] = {}
    for reason in reasons:
        if reason == "uncertain":
            orders[reason] = _uncertain(fresh, thresholds or {})
        elif reason == "impact":
            orders[reason] = _impact(connection, [a for a in raised(connection, start) if lang in ("", a.series.lang)])
        elif reason == "diverse":
            orders[reason] = _diverse(fresh, settled)
        else:
            if len(settled) >= ENOUGH:
                drift = since_labelled(pool, settled)
            else:
                before = sample(connection, start - WEEKS_BEFORE, start, most=most // 2, lang=lang)
                drift = _since(pool, _told_once(before))
            orders[reason] = _drifting(fresh, drift)
    return Selection(tuple(_in_turns(orders, count, known)), len(pool), drift)


class _Known:
    """What was labelled or chosen already, near-duplicates included."""

    def __init__(self, keys: Iterable[UUID], marks: Sequence[int]) -> None:
        self._keys = set(keys)
        self._marks = np.array([mark & 0xFFFF_FFFF_FFFF_FFFF for mark in marks], np.uint64)

    def has(self, candidate: Candidate) -> bool:
        if candidate.key in self._keys:
            return True
        mark = np.uint64(candidate.fingerprint & 0xFFFF_FFFF_FFFF_FFFF)
        return bool((np.bitwise_count(self._marks ^ mark) <= WITHIN).any())

    def add(self, candidate: Candidate) -> None:
        self._keys.add(candidate.key)
        self._marks = np.append(self._marks, np.uint64(candidate.fingerprint & 0xFFFF_FFFF_FFFF_FFFF))


def _told_once(documents: Sequence[Candidate]) -> list[Candidate]:
    """The documents without near-duplicates: of each story the newest."""
    folded = stories([(place, one.fingerprint) for place, one in enumerate(documents)])
    return [documents[int(str(members[0]))] for members in folded]


def _since(pool: Sequence[Candidate], before: Sequence[Candidate]) -> Drift:
    if len(before) >= ENOUGH:
        return since_before(pool, before)
    # A young record: its later half against its earlier one.
    middle = len(pool) // 2
    return since_before(pool[:middle], pool[middle:])


def _in_turns(orders: Mapping[Reason, Iterator[Chosen]], count: int, known: _Known) -> Iterator[Chosen]:
    left = dict(orders)
    while left and count > 0:
        for reason in list(left):
            found = next((one for one in left[reason] if not known.has(one.candidate)), None)
            if found is None:
                del left[reason]
                continue
            known.add(found.candidate)
            yield found
            count -= 1
            if count <= 0:
                return


def _uncertain(documents: Sequence[Candidate], thresholds: Thresholds) -> Iterator[Chosen]:
    ranked = sorted(
        ((margin(one, thresholds), one) for one in documents), key=lambda pair: (pair[0].margin, pair[1].key)
    )
    for found, one in ranked:
        if found.about == "sentiment":
            first, second = sorted(LABELS, key=lambda label: -getattr(one, label))[:2]
            why = f"{first} {getattr(one, first):.2f}, {second} {getattr(one, second):.2f}"
        else:
            probability = one.probabilities[one.topics.index(found.about)]
            why = f"{found.about} {probability:.2f}, just over its threshold"
        yield Chosen(one, "uncertain", 1.0 - found.margin, why)


def _diverse(documents: Sequence[Candidate], settled: Sequence[Settled]) -> Iterator[Chosen]:
    labelled = [_as_candidate(one) for one in settled[-_DIVERSE_LABELLED:]]
    for place, distance in spread(documents, labelled):
        one = documents[place]
        far = min(distance, 2.5)
        topics = ", ".join(one.topics) or "no topic"
        yield Chosen(one, "diverse", far, f"{one.lang}, {topics}, {one.label}, {one.source}: unlike what is labelled")


def _as_candidate(one: Settled) -> Candidate:
    label = one.sentiment or "neutral"
    return Candidate(
        one.key,
        "",
        one.published_at,
        "",
        "",
        one.lang,
        one.title,
        one.text,
        (),
        fingerprint(one.body),
        "",
        label,
        0.0,
        0.0,
        0.0,
        one.topics or (),
        (),
    )


def _drifting(documents: Sequence[Candidate], drift: Drift) -> Iterator[Chosen]:
    judged = [(drift.of(one), one) for one in documents]
    for (strength, found), one in sorted(judged, key=lambda pair: (-pair[0][0], pair[1].key)):
        if not found:
            return
        than = "than in what is labelled" if drift.against == "labels" else "than before"
        yield Chosen(one, "drifting", strength, f"more often {than}: {', '.join(map(plain, found))}")


def _impact(connection: Connection, alerts: Sequence[Raised]) -> Iterator[Chosen]:
    """The stories of each alert, the most told first; the alerts take turns, their stories in order."""
    waiting = [_of_alert(connection, alert) for alert in alerts]
    while waiting:
        for stories_left in list(waiting):
            found = next(stories_left, None)
            if found is None:
                waiting.remove(stories_left)
            else:
                yield found


def _of_alert(connection: Connection, alert: Raised) -> Iterator[Chosen]:
    begin = alert.opened_at - timedelta(minutes=alert.window_minutes)
    behind = drivers.of_series(connection, alert.series, begin, alert.opened_at)
    told = sorted(stories([(one.key, one.fingerprint) for one in behind]), key=len, reverse=True)
    copies = {UUID(str(members[0])): len(members) for members in told}
    for one in of_keys(connection, list(copies), begin, alert.opened_at):
        many = copies[one.key]
        why = f"{many} of {len(behind)} negative documents behind the {alert.severity} alert {alert.series}"
        yield Chosen(one, "impact", many / len(behind), why)
