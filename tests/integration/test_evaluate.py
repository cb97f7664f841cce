"""`bellwether evaluate` on small real bundles: what it prints, its page, its verdict, the card."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from monitor.documents import LABELS
from monitor.errors import BundleError, InputError
from monitor.settings import Settings, variable
from monitor.store.database import Database
from monitor.understand.bundle import load_bundle
from monitor.understand.encoders import sha256
from tests.unit.models import TOPICS, make_bundle, make_encoder
from training.card import CARD
from training.data.taught import write_taught
from training.evaluation import speed
from training.evaluation.command import evaluate
from training.registry.promoting import promote
from training.registry.registering import register

NASTY = 'oil <script>alert("x")</script> & "profit" </style>'
CARD_TEXT = "# tiny 1.2.3\n\nMade by a test.\n\n## How good it is\n\nOld numbers.\n\n## Where it is weak\n\n- Tiny.\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bundles, a labelled file and pairs of their own."""
    root = tmp_path_factory.mktemp("evaluate")
    encoder = make_encoder(root / "encoder")
    for name, seed in (("one", 1), ("two", 5)):
        path = make_bundle(root / name, encoder, seed=seed, name=name, toward=True)
        (path / CARD).write_text(CARD_TEXT, encoding="utf-8")
        manifest = json.loads((path / "bundle.json").read_text(encoding="utf-8"))
        manifest["files"][CARD] = sha256(path / CARD)
        manifest["metrics"] = {"other.jsonl": {"sentiment_accuracy": 0.5}}
        (path / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    texts = [
        f"{word} {other} x{n}" for n in range(20) for word in ("profit", "loss", "deal") for other in ("oil", "bank")
    ]
    said, about = load_bundle(root / "one", device="cpu").probabilities(texts)
    # What the first bundle says is right in this file, except where no model could be right.
    rows: list[dict[str, Any]] = [
        {"text": text, "lang": "en", "sentiment": LABELS[place], "topics": [TOPICS[topic]]}
        for text, place, topic in zip(texts, said.argmax(1).tolist(), about.argmax(1).tolist(), strict=True)
    ]
    rows.append({"text": NASTY, "sentiment": LABELS[(rows[0]["sentiment"] == "negative") + 0], "topics": ["dividend"]})
    rows.append(
        {"text": "Acme gains on Bolt", "lang": "en", "entity_sentiment": {"Acme": "positive", "Bolt": "negative"}}
    )
    (root / "exam.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    pairs = root / "pairs"
    pairs.mkdir()
    pair = {"lang": "en", "bad": f"loss {NASTY}", "good": f"profit {NASTY}", "kind": "<b>bold</b>"}
    (pairs / "en.exam.jsonl").write_text(json.dumps(pair) + "\n", encoding="utf-8")
    (pairs / "paraphrases.en.jsonl").write_text('{"lang": "en", "a": "profit rises", "b": "record profit"}\n')
    (pairs / "swaps.toml").write_text(
        '[[swap]]\ngroup = "company"\nlang = "en"\ntemplates = ["{} rises", "{} falls"]\nwords = ["oil", "bank"]\n'
    )
    return root


def run(folder: Path, *arguments: str, bundle: str = "one", files: Sequence[str] = ("exam.jsonl",)) -> Result:
    paths = [str(folder / bundle), *(str(folder / file) for file in files), "--pairs", str(folder / "pairs")]
    return CliRunner().invoke(evaluate, [*paths, *arguments], catch_exceptions=False)


class Page(HTMLParser):
    """What a browser would make of a page: its tags, what it loads, its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [
            value or "" for name, value in attrs if name in ("src", "href") and not (value or "").startswith("#")
        ]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_everything_is_measured_and_the_page_is_whole(folder: Path) -> None:
    page_file = folder / "report.html"
    done = run(folder, "--json", "--report", str(page_file), "--against", str(folder / "two"))
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    exam = found["files"][str(folder / "exam.jsonl")]
    assert exam["sentiment"]["accuracy"] > 0.98
    assert exam["toward"]["disagreeing"]["pairs"] == 2
    assert {row["by"] for row in exam["slices"]} == {"language", "numbers"}
    assert found["pairs"]["pairs"] == found["paraphrases"]["pairs"] == 1
    assert set(found["robustness"]) >= {"typos", "casing", "punctuation"}
    assert found["bias"][0]["swaps"] == 2
    speed = found["speed"]
    assert speed["texts"] == 122
    assert (
        min(speed["texts_per_second"], speed["tokens_per_second"], speed["start_seconds"], speed["peak_megabytes"]) > 0
    )
    assert found["against"]["champion"] == "two@1.2.3"
    assert found["against"]["verdict"]["passes"]
    page = Page(page_file.read_text(encoding="utf-8"))
    assert page.loads == []
    assert "script" not in page.tags
    assert page.tags.count("style") == 1
    assert NASTY in page.text
    assert "<b>bold</b>" in page.text
    for title in ("Minimal pairs", "Robustness", "Bias", "Speed", "Against two@1.2.3", "Reliability", "Slices"):
        assert title in page.text
    assert "May be promoted" in page.text


def test_folder_may_be_named_from_where_one_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(evaluate, ["one", "exam.jsonl", "--pairs", "pairs", "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)["speed"]["texts"] == 122


def test_speed_that_cannot_be_measured_costs_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(speed, "LONGEST", 0.01)
    done = run(folder, "--json", "--report", str(folder / "slow.html"))
    found = json.loads(done.stdout)
    assert found["speed"] is None
    assert found["files"][str(folder / "exam.jsonl")]["sentiment"]["accuracy"] > 0.98
    assert (folder / "slow.html").is_file()
    assert "its speed could not be measured in" in caplog.text


def test_worse_candidate_is_told_so(folder: Path) -> None:
    done = run(folder, "--quick", "--against", str(folder / "one"), bundle="two")
    assert done.exit_code == 0
    assert "significantly worse: sentiment, accuracy" in done.stdout
    assert "speed" not in done.stdout


def test_card_and_manifest_get_the_numbers_and_keep_the_rest(folder: Path) -> None:
    done = run(folder, "--quick", "--card", bundle="two")
    assert done.exit_code == 0
    card = (folder / "two" / CARD).read_text(encoding="utf-8")
    assert card.startswith("# tiny 1.2.3\n\nMade by a test.")
    limit, bias = card.partition("## Where it is weak\n\n")[2].splitlines()
    assert limit == "- Tiny."
    assert bias.startswith(
        "- Bias out of bounds, company (en): "
    )  # the tiny model takes oil for another word than bank
    assert "Old numbers" not in card
    for title in ("### Minimal pairs", "### Robustness", "### Bias", "### exam.jsonl: sentiment"):
        assert title in card
    assert "### Mistakes" not in card  # nobody said that its texts may be quoted
    manifest = load_bundle(folder / "two", device="cpu").manifest  # hashes are right
    assert manifest.metrics["other.jsonl"] == {"sentiment_accuracy": 0.5}
    accuracy = manifest.metrics["exam.jsonl"]["sentiment_accuracy"]
    assert f"| exam.jsonl | sentiment | 121 | {accuracy:.4f} |" in card
    run(folder, "--quick", "--card", "--quote", bundle="two")
    assert "### Mistakes" in (folder / "two" / CARD).read_text(encoding="utf-8")


@pytest.fixture
def registry(
    make_settings: Callable[..., Settings],
    schema: str,
    database: Database,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The folder of a registry in which bundle two is the champion of English and bundle one a candidate."""
    settings = make_settings(
        database_schema=schema, engine_models=tmp_path / "registry", engine_device="cpu", engine_threads=1
    )
    for key, value in (
        ("data.dir", settings.data.dir),
        ("database.schema", schema),
        ("engine.models", settings.engine.models),
        ("engine.device", "cpu"),
    ):
        monkeypatch.setenv(variable(key), str(value))
    for name in ("one", "two"):
        register(database, settings, folder / name, "ann")
    assert promote(database, settings, "two", actor="ann", force=True, reason="test").promoted
    return tmp_path / "registry"


def test_champion_and_any_registered_model_can_be_named(folder: Path, registry: Path) -> None:
    for name, meant in (("champion", "two@1.2.3"), ("two@1.2.3", "two@1.2.3"), ("one@1.2.3", "one@1.2.3")):
        done = run(folder, "--quick", "--json", "--against", name)
        assert json.loads(done.stdout)["against"]["champion"] == meant
    with pytest.raises(InputError, match=r"the registry has no model two@1\.2\.4; did you mean two@1\.2\.3"):
        run(folder, "--quick", "--against", "two@1.2.4")
    (registry / "two" / "1.2.3" / CARD).write_text("# Another\n", encoding="utf-8")
    with pytest.raises(BundleError, match=r"two@1\.2\.3 of the registry cannot be used"):
        run(folder, "--quick", "--against", "champion")


def test_languages_with_several_champions_have_no_one_champion(folder: Path, registry: Path) -> None:
    make_bundle(folder / "both", folder / "encoder", name="both", languages=["en", "zh"])
    with pytest.raises(InputError, match=r"en, zh have several champions; say which .*two@1\.2\.3"):
        run(folder, "--quick", "--against", "champion", bundle="both")
    make_bundle(folder / "german", folder / "encoder", name="german", languages=["de"])
    with pytest.raises(InputError, match="nobody reads de yet"):
        run(folder, "--quick", "--against", "champion", bundle="german")


def test_card_of_a_registered_model_is_never_written(folder: Path, registry: Path) -> None:
    kept = registry / "one" / "1.2.3"
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    arguments = [str(kept), str(folder / "exam.jsonl"), "--pairs", str(folder / "pairs"), "--quick"]
    with pytest.raises(InputError, match="write the card before `bellwether models register`, or leave --card away"):
        CliRunner().invoke(evaluate, [*arguments, "--card"], catch_exceptions=False)
    assert CliRunner().invoke(evaluate, arguments, catch_exceptions=False).exit_code == 0
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


def test_numbers_do_not_change_from_run_to_run(folder: Path) -> None:
    first, second = (json.loads(run(folder, "--quick", "--json").stdout) for _ in range(2))
    assert first == second


def test_what_cannot_be_done_is_told_before_the_work(folder: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        run(folder, "--report", str(folder / "nowhere" / "report.html"))
    with pytest.raises(InputError, match=r"absent\.jsonl"):
        run(folder, files=["absent.jsonl"])
    with pytest.raises(BundleError, match="no such file"):
        run(folder, bundle="absent")


def test_command_line_teaches() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "monitor.cli", "evaluate", "--help"], capture_output=True, text=True, check=True
    )
    for option in ("--against", "--report", "--json", "--quick", "--pairs", "--card"):
        assert option in done.stdout


def test_texts_the_bundle_was_taught_are_told_and_never_stand_in_its_card(folder: Path, tmp_path: Path) -> None:
    own = shutil.copytree(folder / "one", tmp_path / "own")
    rows = [json.loads(line)["text"] for line in (folder / "exam.jsonl").read_text(encoding="utf-8").splitlines()]
    write_taught(own, [*rows[:5], "record profit"])
    call = [str(own), str(folder / "exam.jsonl"), "--pairs", str(folder / "pairs"), "--quick"]
    done = CliRunner().invoke(evaluate, call, catch_exceptions=False)
    assert f"exam.jsonl: one@1.2.3 was taught 5 of its {len(rows)} texts: the numbers on it flatter" in done.stderr
    assert f"{folder / 'pairs'}: one@1.2.3 was taught 1 of its 4 texts" in done.stderr
    card = (own / CARD).read_text(encoding="utf-8")
    with pytest.raises(InputError, match="such numbers belong in no card"):
        CliRunner().invoke(evaluate, [*call, "--card"], catch_exceptions=False)
    assert (own / CARD).read_text(encoding="utf-8") == card
