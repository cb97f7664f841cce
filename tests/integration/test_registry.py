"""The registry on a real Postgres, with real bundles: registering, the exam, promotion and the way back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from monitor.champions import lineup, registry_folder
from monitor.commands.status import collect
from monitor.errors import BundleError, InputError
from monitor.settings import Settings, variable
from monitor.store.database import Database
from monitor.store.queries import models as queries
from monitor.understand.lineup import check, standing, verify
from tests.broker import free_port
from tests.unit.contestants import make_models, texts, write_exam
from tests.unit.models import make_bundle
from training.data.taught import write_taught
from training.registry.commands import models
from training.registry.folders import LINEAGE
from training.registry.promoting import promote, rollback
from training.registry.registering import register
from training.registry.stages import archive, export, set_shadow

EN, ZH = (standing(Settings().engine).by_language[language].model for language in ("en", "zh"))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_models(tmp_path_factory.mktemp("models"), ["1", "2", "3"])


@pytest.fixture(scope="module")
def exam(bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 is right on it."""
    return write_exam(tmp_path_factory.mktemp("exam") / "frozen.jsonl", bundles["1"])


@pytest.fixture
def settings(make_settings: Callable[..., Settings], schema: str, tmp_path: Path) -> Settings:
    return make_settings(
        database_schema=schema, engine_models=tmp_path / "registry", engine_device="cpu", engine_threads=1
    )


def serving(settings: Settings, database: Database) -> dict[str, str]:
    return {language: seat.model for language, seat in lineup(settings, database).by_language.items()}


def forced(database: Database, settings: Settings, model: str) -> None:
    assert promote(database, settings, model, actor="ann", force=True, reason="test").promoted


def test_registered_bundle_is_a_copy_that_stays(
    settings: Settings, database: Database, bundles: dict[str, Path], tmp_path: Path
) -> None:
    source = tmp_path / "out"
    export_of = make_bundle(source, bundles["1"].parent / "encoder", seed=7, version="7")
    (source / LINEAGE).write_text(json.dumps({"recipe": {"seed": 13}, "parent": "tiny@1"}))
    found = register(database, settings, source, "ann")
    assert (found.model, found.stage, found.serves, found.registered_by) == ("tiny@7", "candidate", (), "ann")
    assert (found.parent, found.lineage["recipe"]) == ("tiny@1", {"seed": 13})
    kept = registry_folder(settings) / found.folder
    (export_of / "weights.safetensors").write_bytes(b"gone wrong")
    assert sorted(path.name for path in kept.iterdir()) == sorted(
        ["bundle.json", "weights.safetensors", "MODEL_CARD.md", LINEAGE]
    )
    export(database, settings, "tiny@7", tmp_path / "again")
    assert (tmp_path / "again" / "weights.safetensors").read_bytes() == (kept / "weights.safetensors").read_bytes()
    with pytest.raises(InputError, match="not empty"):
        export(database, settings, "tiny@7", tmp_path / "again")
    assert serving(settings, database) == {"en": EN, "zh": ZH}


def test_same_name_and_version_is_one_model_for_good(
    settings: Settings, database: Database, bundles: dict[str, Path], tmp_path: Path
) -> None:
    first = register(database, settings, bundles["1"], "ann")
    assert register(database, settings, bundles["1"], "bob") == first
    other = make_bundle(tmp_path / "other", bundles["1"].parent / "encoder", seed=9, version="1")
    with pytest.raises(InputError, match="give this one another version"):
        register(database, settings, other, "bob")
    (other / "weights.safetensors").write_bytes(b"broken")
    with pytest.raises(BundleError, match="SHA-256"):
        register(database, settings, other, "bob")
    with database.transaction() as connection:
        assert [event.action for event in queries.events(connection)] == ["register"]
    assert [path.name for path in (registry_folder(settings) / "tiny").iterdir()] == ["1"]


def test_copy_survives_a_power_cut(
    settings: Settings, database: Database, bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[tuple[Path, bool]] = []
    place, sync = registry_folder(settings) / "tiny" / "1", os.fsync

    def told(handle: int) -> None:
        sync(handle)
        kept.append((Path(f"/proc/self/fd/{handle}").readlink(), place.is_dir()))

    monkeypatch.setattr(os, "fsync", told)
    register(database, settings, bundles["1"], "ann")
    before = {path.name.partition(".partial")[0] for path, there in kept if not there}
    assert {"bundle.json", "weights.safetensors", "MODEL_CARD.md"} < before
    assert any(path.suffix == ".partial" and not there for path, there in kept)
    # Renamed, the name is in its folder, and that folder, being new, in the registry's, and so on.
    assert [path for path, there in kept if there] == [place.parent, place.parents[1], place.parents[2]]


def test_name_that_leads_out_of_the_registry_is_refused(
    settings: Settings, database: Database, bundles: dict[str, Path], tmp_path: Path
) -> None:
    evil = make_bundle(tmp_path / "evil", bundles["1"].parent / "encoder", name="..", version="1")
    with pytest.raises(InputError, match="cannot name a folder"):
        register(database, settings, evil, "ann")


def test_candidate_that_is_worse_is_refused_unless_forced(
    settings: Settings, database: Database, bundles: dict[str, Path], exam: Path
) -> None:
    for version in ("1", "2"):
        register(database, settings, bundles[version], "ann")
    forced(database, settings, "tiny@1")
    found = promote(database, settings, "tiny@2", actor="bob", exam=[exam])
    assert not found.promoted
    assert any("significantly worse" in objection and "tiny@1" in objection for objection in found.objections)
    assert found.comparisons["en"]["tasks"]["sentiment"]["champion"] == 1.0
    assert serving(settings, database)["en"] == "tiny@1"

    with pytest.raises(InputError, match="--reason"):
        promote(database, settings, "tiny@2", actor="bob", exam=[exam], force=True)
    found = promote(database, settings, "tiny@2", actor="bob", exam=[exam], force=True, reason="the exam is old")
    assert (found.promoted, found.forced, found.replaced) == (True, True, {"en": "tiny@1"})
    assert serving(settings, database) == {"en": "tiny@2", "zh": ZH}
    with database.transaction() as connection:
        told = [(event.action, event.actor, event.reason) for event in queries.events(connection, "tiny@2")]
        assert told == [("register", "ann", ""), ("refuse", "bob", ""), ("promote", "bob", "the exam is old")]
        assert queries.events(connection, "tiny@2")[-1].details["forced"] is True

    # The better one passes without force, with the exam of the promotion before.
    found = promote(database, settings, "tiny@1", actor="bob")
    assert (found.promoted, found.forced, found.objections) == (True, False, [])
    assert found.comparisons["en"]["not_asked"] == ["topics"]
    assert [row["file"] for row in found.exam] == [str(exam)]


def test_rollback_goes_back_step_by_step_to_what_ships(
    settings: Settings, database: Database, bundles: dict[str, Path]
) -> None:
    for version in ("1", "2"):
        register(database, settings, bundles[version], "ann")
        forced(database, settings, f"tiny@{version}")
    set_shadow(database, settings, "tiny@1", False, actor="ann")
    with pytest.raises(InputError, match="promote another or roll it back first"):
        archive(database, "tiny@2", actor="ann")
    assert rollback(database, settings, None, actor="ann", reason="too eager") == {"en": ("tiny@2", "tiny@1")}
    assert serving(settings, database)["en"] == "tiny@1"
    with database.transaction() as connection:
        found = queries.find(connection, "tiny@2")
        assert found is not None and (found.stage, found.serves) == ("archived", ())
    with pytest.raises(InputError, match="nothing was promoted for zh"):
        rollback(database, settings, "zh", actor="ann")
    assert rollback(database, settings, "en", actor="ann") == {"en": ("tiny@1", EN)}
    assert serving(settings, database) == {"en": EN, "zh": ZH}
    with pytest.raises(InputError, match="nothing was promoted"):
        rollback(database, settings, None, actor="ann")


def test_each_language_has_its_own_champion(
    settings: Settings, database: Database, bundles: dict[str, Path], tmp_path: Path
) -> None:
    both = make_bundle(
        tmp_path / "both", bundles["1"].parent / "encoder", name="both", version="1", languages=["en", "zh"]
    )
    register(database, settings, both, "ann")
    register(database, settings, bundles["1"], "ann")
    forced(database, settings, "both")
    forced(database, settings, "tiny@1")
    assert serving(settings, database) == {"en": "tiny@1", "zh": "both@1"}
    # The last promotion changed English alone, the one before both.
    assert rollback(database, settings, None, actor="ann") == {"en": ("tiny@1", "both@1")}
    assert rollback(database, settings, None, actor="ann") == {"en": ("both@1", EN), "zh": ("both@1", ZH)}


def test_exam_that_asks_what_was_taught_is_no_exam(
    settings: Settings, database: Database, bundles: dict[str, Path], exam: Path, tmp_path: Path
) -> None:
    source = make_bundle(tmp_path / "out", bundles["1"].parent / "encoder", seed=1, version="4")
    taught = texts(240)[:30]
    write_taught(source, [f"“{sentence}”!" for sentence in taught])
    register(database, settings, source, "ann")
    register(database, settings, bundles["1"], "ann")
    forced(database, settings, "tiny@1")
    found = promote(database, settings, "tiny@4", actor="ann", exam=[exam])
    assert not found.promoted
    assert [objection for objection in found.objections if "was taught 30 of its texts" in objection]
    assert not found.notes


def test_small_or_changed_or_missing_exam_promotes_nobody(
    settings: Settings, database: Database, bundles: dict[str, Path], exam: Path, tmp_path: Path
) -> None:
    for version in ("1", "2", "3"):
        register(database, settings, bundles[version], "ann")
    found = promote(database, settings, "tiny@1", actor="ann")
    assert not found.promoted and "there is no exam" in found.objections[0]
    small = write_exam(tmp_path / "small.jsonl", bundles["1"], count=20)
    promoted = promote(database, settings, "tiny@1", actor="ann", exam=[small], force=True, reason="first")
    assert promoted.promoted and "20 labelled texts in en" in promoted.objections[0]
    small.write_text(small.read_text() + json.dumps({"text": "one more", "sentiment": "neutral"}) + "\n")
    with pytest.raises(InputError, match="has changed since the last promotion"):
        promote(database, settings, "tiny@2", actor="ann")
    with pytest.raises(InputError, match=r"did you mean tiny@\d"):
        promote(database, settings, "tiny@33", actor="ann", exam=[exam])
    with pytest.raises(InputError, match="does not read zh"):
        promote(database, settings, "tiny@2", actor="ann", exam=[exam], languages=["zh"])


def test_champion_whose_folder_was_changed_is_not_served(
    settings: Settings, database: Database, bundles: dict[str, Path]
) -> None:
    found = register(database, settings, bundles["1"], "ann")
    forced(database, settings, "tiny@1")
    now = lineup(settings, database)
    assert "tiny@1 (champion for en)" in verify(settings.engine, now)
    manifest = registry_folder(settings) / found.folder / "bundle.json"
    manifest.write_text(manifest.read_text().replace('"tiny"', '"tidy"'))
    with pytest.raises(BundleError, match=r"tiny@1 of the registry cannot be used.*bellwether models rollback"):
        check(settings.engine, now)
    rollback(database, settings, None, actor="ann")
    with pytest.raises(BundleError):
        promote(database, settings, "tiny@1", actor="ann", force=True, reason="again")


def test_engine_bundles_overrule_the_registry(settings: Settings, database: Database, bundles: dict[str, Path]) -> None:
    register(database, settings, bundles["1"], "ann")
    forced(database, settings, "tiny@1")
    engine = settings.engine.model_copy(update={"bundles": [bundles["3"]]})
    assert serving(settings.model_copy(update={"engine": engine}), database) == {"en": "tiny@3"}


def test_status_says_who_serves(settings: Settings, database: Database, bundles: dict[str, Path]) -> None:
    register(database, settings, bundles["1"], "ann")
    forced(database, settings, "tiny@1")
    kafka = settings.kafka.model_copy(update={"bootstrap": f"127.0.0.1:{free_port()}", "timeout": 0.5})
    report = collect(settings.model_copy(update={"kafka": kafka}), database)
    assert report["serving"] == {
        "en": {"model": "tiny@1", "from": "registry"},
        "zh": {"model": ZH, "from": "shipped"},
    }


def test_commands_speak_json(
    settings: Settings, database: Database, bundles: dict[str, Path], exam: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "data.dir": settings.data.dir,
        "database.schema": database.schema,
        "engine.models": settings.engine.models,
        "engine.device": "cpu",
    }
    for key, value in given.items():
        monkeypatch.setenv(variable(key), str(value))

    def call(*arguments: str, status: int = 0) -> dict[str, object]:
        done = CliRunner().invoke(models, [*arguments, "--json"])
        assert done.exit_code == status, (done.output, done.exception)
        found: dict[str, object] = json.loads(done.stdout)
        return found

    for version in ("1", "2"):
        assert call("register", str(bundles[version]))["stage"] == "candidate"
    assert call("promote", "tiny@1", "--force", "--reason", "first")["promoted"] is True
    refused = call("promote", "tiny@2", "--exam", str(exam), status=1)
    assert refused["promoted"] is False
    assert call("shadow", "tiny@2")["shadow"] is True
    listed = call("list")
    assert listed["serving"]["en"] == {"model": "tiny@1", "from": "registry"}  # type: ignore[index]
    history = call("show", "tiny@2")["events"]
    assert [event["action"] for event in history] == ["register", "refuse", "shadow"]  # type: ignore[attr-defined]
    assert call("rollback") == {"en": {"from": "tiny@1", "to": EN}}
    assert call("archive", "tiny@2")["stage"] == "archived"
    shown = CliRunner().invoke(models, ["list", "--all"])
    assert "tiny@2" in shown.stdout and f"en is read by {EN}" in shown.stdout
    # It gives fewer topics than the bundle that ships, and nothing toward companies.
    shown = CliRunner().invoke(models, ["promote", "tiny@2", "--exam", str(exam)])
    assert isinstance(shown.exception, InputError) and f"tiny@2 lacks topics of {EN}" in str(shown.exception)
    assert "topics       not compared" in shown.stdout
    shown = CliRunner().invoke(models, ["promote", "tiny@2", "--exam", str(exam), "--force", "--reason", "our topics"])
    assert shown.exit_code == 0 and f"en: tiny@2 serves instead of {EN}" in shown.stdout
    shown = CliRunner().invoke(models, ["promote", "tiny@1", "--exam", str(exam), "--language", "zh"])
    assert shown.exit_code == 1 and isinstance(shown.exception, InputError)


def test_two_promotions_at_once_are_told_apart(
    settings: Settings, database: Database, bundles: dict[str, Path], exam: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.registry import promoting

    for version in ("1", "2", "3"):
        register(database, settings, bundles[version], "ann")
    forced(database, settings, "tiny@2")
    asked = promoting.examine

    def meanwhile(*arguments: object) -> object:
        with database.transaction() as connection:
            if queries.champions(connection)["en"] == "tiny@2":
                queries.crown(connection, ["en"], "tiny@3")
        return asked(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(promoting, "examine", meanwhile)
    with pytest.raises(InputError, match="somebody made tiny@3 the champion of en"):
        promote(database, settings, "tiny@1", actor="ann", exam=[exam])
    with database.transaction() as connection:
        assert connection.execute(text("SELECT serves FROM models WHERE model = 'tiny@3'")).scalar() == ["en"]
