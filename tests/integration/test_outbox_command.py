"""`bellwether outbox`: a way back for notifications that were given up."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from monitor.commands.outbox import outbox
from monitor.errors import InputError
from monitor.store.database import Database
from tests.integration.test_outbox import add_alert


def test_dead_notifications_are_listed_and_tried_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER_DATA_DIR", str(database.settings.data.dir))
    monkeypatch.setenv("BELLWETHER_DATABASE_SCHEMA", database.schema)
    add_alert(database)
    with database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO outbox (alert_id, event, channel, target, idempotency_key, payload, state, attempts, "
                "last_error) "
                "SELECT 'a1', 'open', 'email', name || '@example.com', name, '{}', state, 3, 'mailbox full' "
                "FROM (VALUES ('ann', 'dead'), ('bob', 'dead'), ('eve', 'sent')) AS given (name, state)"
            )
        )
    listed = CliRunner().invoke(outbox, catch_exceptions=False).output
    assert "ann@example.com" in listed and "mailbox full" in listed and "eve@" not in listed
    assert listed.splitlines()[-1] == "0 pending, 1 sent, 2 dead"
    first = listed.split()[0]
    assert "1 notifications" in CliRunner().invoke(outbox, ["--requeue", first], catch_exceptions=False).output
    with pytest.raises(InputError, match=f"notification {first} is not dead"):
        CliRunner().invoke(outbox, ["--requeue", first], catch_exceptions=False)
    CliRunner().invoke(outbox, ["--requeue-dead"], catch_exceptions=False)
    assert CliRunner().invoke(outbox, catch_exceptions=False).output.splitlines()[-1] == "2 pending, 1 sent, 0 dead"
