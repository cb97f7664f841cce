"""The registry of models: its rows, who serves which language, and what was done with them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

_LOCK = 0x6D6F646C
_COLUMNS = (
    "model, languages, stage, serves, shadow, folder, digest, parent, lineage, metrics, registered_at, registered_by"
)


@dataclass(frozen=True, slots=True)
class Model:
    """One row of `models`.

    Attributes:
        model: name@version.
        languages: those it can read (ISO 639-1); `serves`: those it is the champion of.
        folder: below the registry's folder.
        digest: SHA-256 of its bundle.json, which holds those of its other files.
    """

    model: str
    languages: tuple[str, ...]
    stage: str
    serves: tuple[str, ...]
    shadow: bool
    folder: str
    digest: str
    parent: str | None
    lineage: Mapping[str, Any]
    metrics: Mapping[str, Any]
    registered_at: datetime
    registered_by: str


@dataclass(frozen=True, slots=True)
class Active:
    """A model that consumers run: the champion of some languages, or one in shadow mode."""

    model: str
    folder: str
    digest: str
    languages: tuple[str, ...]
    serves: tuple[str, ...]
    shadow: bool


@dataclass(frozen=True, slots=True)
class Event:
    """One row of `model_events`."""

    id: int
    at: datetime
    actor: str
    model: str
    action: str
    reason: str
    details: Mapping[str, Any]


def exists(connection: Connection, schema: str) -> bool:
    """Whether this schema has a registry; a record that nobody migrated has none."""
    return connection.execute(text("SELECT to_regclass(:name)"), {"name": f"{schema}.models"}).scalar() is not None


def active(connection: Connection) -> tuple[Active, ...]:
    """The models consumers run, in a fixed order: a handful of rows of a small table, cheap to ask for all the time."""
    rows = connection.execute(
        text(
            "SELECT model, folder, digest, languages, serves, shadow FROM models "
            "WHERE stage = 'champion' OR shadow ORDER BY model COLLATE \"C\""
        )
    )
    return tuple(Active(r.model, r.folder, r.digest, tuple(r.languages), tuple(r.serves), r.shadow) for r in rows)


def every(connection: Connection) -> list[Model]:
    """All models, the newest first."""
    rows = connection.execute(text(f"SELECT {_COLUMNS} FROM models ORDER BY registered_at DESC, model"))
    return [_model(row) for row in rows]


def find(connection: Connection, model: str) -> Model | None:
    """The model of exactly this name@version; None if there is none."""
    row = connection.execute(text(f"SELECT {_COLUMNS} FROM models WHERE model = :model"), {"model": model}).first()
    return _model(row) if row else None


def _model(row: Any) -> Model:
    return Model(row[0], tuple(row[1]), row[2], tuple(row[3]), *row[4:])


def add(
    connection: Connection,
    *,
    model: str,
    languages: Collection[str],
    folder: str,
    digest: str,
    parent: str | None,
    lineage: Mapping[str, Any],
    metrics: Mapping[str, Any],
    actor: str,
) -> bool:
    """Add a candidate; False, and nothing changes, if there is a model of that name."""
    result = connection.execute(
        text(
            "INSERT INTO models (model, languages, stage, folder, digest, parent, lineage, metrics, registered_by) "
            "VALUES (:model, :languages, 'candidate', :folder, :digest, :parent, cast(:lineage AS jsonb), "
            "cast(:metrics AS jsonb), :actor) ON CONFLICT (model) DO NOTHING"
        ),
        {
            "model": model,
            "languages": list(languages),
            "folder": folder,
            "digest": digest,
            "parent": parent,
            "lineage": json.dumps(lineage),
            "metrics": json.dumps(metrics),
            "actor": actor,
        },
    )
    return bool(result.rowcount)


def lock(connection: Connection) -> None:
    """Let nobody else change who serves what until this transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def champions(connection: Connection) -> dict[str, str]:
    """Language → name@version of its champion; languages without one are not there."""
    rows = connection.execute(text("SELECT unnest(serves), model FROM models WHERE stage = 'champion' ORDER BY 1"))
    return {str(row[0]): str(row[1]) for row in rows}


def crown(connection: Connection, languages: Collection[str], model: str | None) -> None:
    """Make `model` the champion of these languages; None: nobody (then the shipped bundles serve them).

    Who loses the last of its languages is archived; neither goes on in shadow mode. Hold `lock()`.
    """
    connection.execute(
        text(
            "UPDATE models SET serves = left_over.languages, "
            "stage = CASE WHEN left_over.languages = '{}' THEN 'archived' ELSE 'champion' END, shadow = false "
            "FROM (SELECT model, ARRAY(SELECT one FROM unnest(serves) one WHERE one <> ALL(:languages)) AS languages "
            "FROM models WHERE serves && :languages) left_over WHERE left_over.model = models.model"
        ),
        {"languages": list(languages)},
    )
    if model is not None:
        connection.execute(
            text(
                "UPDATE models SET stage = 'champion', shadow = false, "
                "serves = ARRAY(SELECT DISTINCT one FROM unnest(serves || :languages) one ORDER BY one) "
                "WHERE model = :model"
            ),
            {"languages": list(languages), "model": model},
        )


def set_shadow(connection: Connection, model: str, shadow: bool) -> None:
    """Let a model score beside the champion, or end that."""
    connection.execute(
        text("UPDATE models SET shadow = :shadow WHERE model = :model"), {"model": model, "shadow": shadow}
    )


def archive(connection: Connection, model: str) -> None:
    """Put a model that serves nothing aside; it scores in no shadow any more."""
    connection.execute(
        text("UPDATE models SET stage = 'archived', shadow = false WHERE model = :model AND serves = '{}'"),
        {"model": model},
    )


def note(
    connection: Connection, *, model: str, action: str, actor: str, reason: str = "", details: Mapping[str, Any]
) -> None:
    """Record what was done with a model."""
    connection.execute(
        text(
            "INSERT INTO model_events (actor, model, action, reason, details) "
            "VALUES (:actor, :model, :action, :reason, cast(:details AS jsonb))"
        ),
        {
            "actor": actor,
            "model": model,
            "action": action,
            "reason": reason,
            "details": json.dumps(details, allow_nan=False),
        },
    )


def events(connection: Connection, model: str | None = None) -> list[Event]:
    """What was done with one model, or with all, in order."""
    rows = connection.execute(
        text(
            "SELECT id, at, actor, model, action, reason, details FROM model_events "
            "WHERE :model IS NULL OR model = :model ORDER BY id"
        ),
        {"model": model},
    )
    return [Event(*row) for row in rows]
