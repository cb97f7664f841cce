"""`bellwether bench pipeline` on a real broker and Postgres: it measures what it says, and leaves no record behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.records import names
from monitor.settings import load
from monitor.store.database import Database
from tests.acceptance.processes import environment, ok
from tests.broker import free_port


@pytest.mark.kafka
@pytest.mark.timeout(300)
def test_pipeline_is_measured_beside_the_engine(kafka_bootstrap: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    env = environment(
        tmp_path / "data",
        kafka_bootstrap=kafka_bootstrap,
        batch_documents="40",
        engine_device="cpu",
        engine_model="fast",
        metrics_port=str(free_port()),  # which several consumers cannot share
    )
    ok(["migrate"], env)
    told = ["--documents", "400", "--rounds", "2", "--rate", "20", "--seconds", "3", "--json"]
    found = json.loads(ok(["bench", "pipeline", *told], env))
    assert found["documents"] == 400 and found["batch"] == 40
    assert len(found["engine"]) == len(found["pipeline"]) == len(found["cached"]) == 2
    # Slower than the engine alone, of which it is a part; by how much is no matter of a test.
    assert 0.05 < found["share"] < 1.3 and min(found["cached"]) > 10
    assert 0 <= found["remembered"] < 0.5  # of a feed that says little twice
    assert set(found["members"]) == {"1", "2"} and min(found["members"].values()) > 10
    trickle = found["trickle"]
    assert trickle["messages"] == 60 and 0 < trickle["median"] <= trickle["p99"] <= trickle["most"]
    database = Database(load(env).settings)
    assert names(database) == []
    database.close()
