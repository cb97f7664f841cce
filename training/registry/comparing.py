"""Two models on the documents both scored: how far they agree, where not, and whom the analysts' labels back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from monitor.documents import LABELS
from monitor.store.queries import shadows
from monitor.store.queries.shadows import Cell, Differing


@dataclass(frozen=True)
class Backed:
    """Whom people's labels back.

    Attributes:
        documents: those with a label that both scored.
        model, other: share of the labels each agrees with.
        only_model, only_other: documents on which this one alone agrees with them.
        p: two-sided exact McNemar; small when the difference is no chance.
    """

    documents: int
    model: float
    other: float
    only_model: int
    only_other: int
    p: float


@dataclass(frozen=True)
class Toward:
    """Two models on what they say toward companies.

    Attributes:
        pairs: documents with a company that either told apart; the whole text's sentiment stands in for the other's.
        agreement, kappa, moved, distance: as of whole texts, see `Beside`.
    """

    pairs: int
    agreement: float
    kappa: float | None
    moved: float
    distance: float


@dataclass(frozen=True)
class Beside:
    """Two models side by side.

    Attributes:
        others: whom the model is compared with → documents.
        documents: how many both scored; the rest is None when there is none.
        agreement: share of documents with the same label; `kappa`: the same beyond chance (Cohen 1960), None when
            chance alone agrees always.
        confusion: the model's label → the other's label → documents.
        moved: mean of score − other score, in [−2, 2]; `distance`: the same without signs.
        same_topics: share of documents to which both gave the same topics.
        topics: topic → documents to which both, only the model, only the other gave it.
        furthest: the documents on which they are furthest apart.
        labels: None when no such document has a label.
        toward: None when neither told companies apart.
    """

    model: str
    others: Mapping[str, int]
    documents: int
    agreement: float | None
    kappa: float | None
    confusion: Mapping[str, Mapping[str, int]]
    moved: float | None
    distance: float | None
    same_topics: float | None
    topics: Mapping[str, tuple[int, int, int]]
    furthest: Sequence[Differing]
    labels: Backed | None
    toward: Toward | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found = asdict(self)
        for row in found["furthest"]:
            row["published_at"] = row["published_at"].isoformat()
        return found


def beside(connection: Connection, model: str, other: str | None, *, since: datetime, limit: int = 10) -> Beside:
    """Compare two models on what both scored.

    Args:
        other: a model; None: whoever served when the model scored in shadow mode.
        since: only documents published from then on.
        limit: documents to show of those on which they are furthest apart.
    """
    found = shadows.cells(connection, model, other, since)
    total = sum(cell.documents for cell in found)
    confusion = _confusion(found)
    if not total:
        return Beside(model, {}, 0, None, None, confusion, None, None, None, {}, [], None)
    return Beside(
        model=model,
        others=shadows.others(connection, model, other, since),
        documents=total,
        agreement=_same(found) / total,
        kappa=_kappa(confusion, total),
        confusion=confusion,
        moved=sum(cell.moved for cell in found) / total,
        distance=sum(cell.distance for cell in found) / total,
        same_topics=sum(cell.same_topics for cell in found) / total,
        topics=shadows.topics(connection, model, other, since),
        furthest=shadows.furthest(connection, model, other, since, limit),
        labels=_backed(shadows.labelled(connection, model, other, since)),
        toward=_toward(shadows.toward_cells(connection, model, other, since)),
    )


def _toward(found: Sequence[Cell]) -> Toward | None:
    pairs = sum(cell.documents for cell in found)
    if not pairs:
        return None
    return Toward(
        pairs=pairs,
        agreement=_same(found) / pairs,
        kappa=_kappa(_confusion(found), pairs),
        moved=sum(cell.moved for cell in found) / pairs,
        distance=sum(cell.distance for cell in found) / pairs,
    )


def _confusion(found: Sequence[Cell]) -> dict[str, dict[str, int]]:
    confusion: dict[str, dict[str, int]] = {label: dict.fromkeys(LABELS, 0) for label in LABELS}
    for cell in found:
        confusion[cell.label][cell.other_label] += cell.documents
    return confusion


def _same(found: Sequence[Cell]) -> int:
    return sum(cell.documents for cell in found if cell.label == cell.other_label)


def _kappa(confusion: Mapping[str, Mapping[str, int]], total: int) -> float | None:
    observed = sum(confusion[label][label] for label in LABELS) / total
    chance = sum(sum(confusion[label].values()) * sum(row[label] for row in confusion.values()) for label in LABELS) / (
        total * total
    )
    return (observed - chance) / (1 - chance) if chance < 1 else None


def _backed(rows: Sequence[tuple[str, str, str]]) -> Backed | None:
    if not rows:
        return None
    from scipy.stats import binomtest

    right = [(model == label, other == label) for label, model, other in rows]
    only_model = sum(model and not other for model, other in right)
    only_other = sum(other and not model for model, other in right)
    contested = only_model + only_other
    return Backed(
        documents=len(rows),
        model=sum(model for model, _ in right) / len(rows),
        other=sum(other for _, other in right) / len(rows),
        only_model=only_model,
        only_other=only_other,
        # Source: McNemar 1947, exact form.
        p=float(binomtest(only_model, contested, 0.5).pvalue) if contested else 1.0,
    )
