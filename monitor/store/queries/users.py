"""The people who may log in to the dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class User:
    """One row of `users`."""

    name: str
    password_hash: str
    created_at: datetime
    disabled: bool


def every(connection: Connection) -> list[User]:
    """All users by name."""
    rows = connection.execute(text("SELECT name, password_hash, created_at, disabled FROM users ORDER BY name"))
    return [User(*row) for row in rows]


def find(connection: Connection, name: str) -> User | None:
    """The user of that name; None if there is none."""
    row = connection.execute(
        text("SELECT name, password_hash, created_at, disabled FROM users WHERE name = :name"), {"name": name}
    ).first()
    return User(*row) if row else None


def anyone(connection: Connection) -> bool:
    """Whether there is a user who may log in."""
    return bool(connection.execute(text("SELECT EXISTS (SELECT FROM users WHERE NOT disabled)")).scalar())


def add(connection: Connection, name: str, password_hash: str) -> bool:
    """Add a user; False, and nothing changes, if the name is taken."""
    result = connection.execute(
        text("INSERT INTO users (name, password_hash) VALUES (:name, :hash) ON CONFLICT DO NOTHING"),
        {"name": name, "hash": password_hash},
    )
    return bool(result.rowcount)


def set_password(connection: Connection, name: str, password_hash: str) -> bool:
    """Change a password; False if there is no such user."""
    result = connection.execute(
        text("UPDATE users SET password_hash = :hash WHERE name = :name"), {"name": name, "hash": password_hash}
    )
    return bool(result.rowcount)


def set_disabled(connection: Connection, name: str, disabled: bool) -> bool:
    """Refuse or allow a user's logins; False if there is no such user."""
    result = connection.execute(
        text("UPDATE users SET disabled = :disabled WHERE name = :name"), {"name": name, "disabled": disabled}
    )
    return bool(result.rowcount)


def remove(connection: Connection, name: str) -> bool:
    """Delete a user; False if there is no such user."""
    return bool(connection.execute(text("DELETE FROM users WHERE name = :name"), {"name": name}).rowcount)
