"""One leader at a time, on a real Postgres."""

from __future__ import annotations

from sqlalchemy import text

from monitor.store.database import Database
from monitor.store.leader import Leadership


def other(database: Database) -> Database:
    return Database(database.settings, database.schema)


def test_second_one_stands_by_and_takes_over(database: Database) -> None:
    first, second = Leadership(database), Leadership(other(database))
    assert first.held() and first.held()
    assert not second.held()
    first.resign()
    assert second.held()
    assert not first.held()
    second.resign()


def test_leader_whose_connection_was_cut_notices_and_the_other_takes_over(database: Database) -> None:
    first, second = Leadership(database), Leadership(other(database))
    assert first.held()
    with database.transaction() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
        )
    assert second.held()
    assert not first.held()
    second.resign()


def test_records_have_leaders_of_their_own(database: Database) -> None:
    first, second = Leadership(database), Leadership(Database(database.settings, database.schema + "_other"))
    assert first.held() and second.held()
    first.resign()
    second.resign()
