"""`bellwether users`: who may log in to the dashboard."""

from __future__ import annotations

import sys

import click

from monitor.errors import InputError
from monitor.settings import load
from monitor.store import migrate
from monitor.store.database import Database
from monitor.store.queries import users as queries

SHORTEST = 8


@click.group()
def users() -> None:
    """Who may log in to the dashboard."""


_from_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input, one line.")


@users.command()
@click.argument("name")
@_from_stdin
def add(name: str, password_stdin: bool) -> None:
    """Let NAME log in; asks for a password."""
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise InputError(f"{name!r} cannot be a user's name; use up to 100 printable characters")
    database = _database()
    with database.transaction() as connection:
        if queries.find(connection, name) is not None:
            raise InputError(f"there is a user {name} already; `bellwether users passwd {name}` changes the password")
    hashed = _hash(_ask(password_stdin))
    with database.transaction() as connection:
        if not queries.add(connection, name, hashed):
            raise InputError(f"there is a user {name} already")
    click.echo(f"{name} may log in")


@users.command()
@click.argument("name")
@_from_stdin
def passwd(name: str, password_stdin: bool) -> None:
    """Change NAME's password; ends NAME's sessions."""
    database = _database()
    with database.transaction() as connection:
        if queries.find(connection, name) is None:
            raise _unknown(name)
    hashed = _hash(_ask(password_stdin))
    with database.transaction() as connection:
        if not queries.set_password(connection, name, hashed):
            raise _unknown(name)
    click.echo(f"{name} has a new password")


@users.command("list")
def list_() -> None:
    """Show the users."""
    with _database().transaction() as connection:
        found = queries.every(connection)
    for user in found:
        click.echo(f"{user.name}\t{user.created_at:%Y-%m-%d}\t{'disabled' if user.disabled else 'enabled'}")
    if not found:
        click.echo("no users; `bellwether users add NAME` makes one", err=True)


@users.command()
@click.argument("name")
@click.option("--undo", is_flag=True, help="Allow NAME to log in again.")
def disable(name: str, undo: bool) -> None:
    """Refuse NAME's logins and end NAME's sessions, without deleting anything."""
    with _database().transaction() as connection:
        if not queries.set_disabled(connection, name, not undo):
            raise _unknown(name)
    click.echo(f"{name} may log in again" if undo else f"{name} may no longer log in")


@users.command()
@click.argument("name")
def remove(name: str) -> None:
    """Delete NAME. What NAME did to alerts stays in their history."""
    with _database().transaction() as connection:
        if not queries.remove(connection, name):
            raise _unknown(name)
    click.echo(f"{name} is gone")


def _database() -> Database:
    database = Database(load().settings)
    migrate.require_current(database)
    return database


def _unknown(name: str) -> InputError:
    return InputError(f"there is no user {name}; `bellwether users list` shows them")


def _ask(from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if len(password) < SHORTEST:
        raise InputError(f"the password is too short; use {SHORTEST} characters or more")
    return password


def _hash(password: str) -> str:
    from werkzeug.security import generate_password_hash

    return generate_password_hash(password, method="scrypt")
