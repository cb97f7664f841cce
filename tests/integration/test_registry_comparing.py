"""`bellwether models compare` tells what two models say toward companies, too."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.settings import Settings
from monitor.store.database import Database
from tests.integration.test_shadow_toward import NOON, write
from tests.unit.models import make_toward_bundle
from training.registry.comparing import Toward, beside
from training.registry.showing import show_beside


def test_two_models_are_compared_on_what_they_say_toward_companies(
    make_settings: Callable[..., Settings], database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    able = make_toward_bundle(tmp_path / "able", name="able")
    unable = make_toward_bundle(tmp_path / "unable", name="unable", toward=False)
    write(make_settings(engine_device="cpu"), database, unable, able)
    since = NOON - timedelta(days=1)
    with database.transaction() as connection:
        found = beside(connection, "able@1", None, since=since)
        itself = beside(connection, "able@1", "able@1", since=since)
    # Of whole texts both say the same; toward the four companies one says neutral and the other does not.
    assert found.toward is not None
    assert (found.agreement, found.toward.pairs, found.toward.agreement) == (1.0, 4, 0.0)
    assert found.toward.moved == pytest.approx(0.0, abs=1e-6) and found.toward.distance > 0.9
    assert itself.toward == Toward(4, 1.0, 1.0, 0.0, 0.0)
    show_beside(found)
    assert "toward companies, 4 in documents with several: same sentiment 0.0%" in capsys.readouterr().out
