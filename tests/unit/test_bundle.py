"""Model folders: what is believed, and what is said of one that is missing, damaged or wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.errors import BundleError
from monitor.settings import EngineSettings
from monitor.understand.bundle import FAST, SHIPPED, load_bundle
from monitor.understand.lineup import check, verify
from monitor.understand.manifest import read_manifest
from monitor.understand.topics import load_taxonomy
from tests.unit.models import TOPICS, make_bundle, make_encoder
from training.data.taught import TAUGHT, hashes, read_taught
from training.evaluation.pairs import PAIRS
from training.registry.folders import LINEAGE


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def folder(tmp_path: Path, encoder: Path) -> Path:
    return make_bundle(tmp_path / "tiny", encoder)


def changed(folder: Path, **values: Any) -> Path:
    path = folder / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        load_bundle(folder, device="cpu")
    message = str(caught.value)
    assert "engine.bundles" in message
    assert "\n" not in message
    return message


def test_manifest_says_what_was_written(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert manifest.model == "tiny@1.2.3"
    assert manifest.topics == tuple(TOPICS)
    assert manifest.encoder is not None
    assert manifest.encoder.rank == 2


@pytest.mark.parametrize("name", ["weights.safetensors", "MODEL_CARD.md"])
def test_single_flipped_byte_is_found(folder: Path, name: str) -> None:
    raw = bytearray((folder / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / name).write_bytes(raw)
    assert str(folder / name) in refusal(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "MODEL_CARD.md", "bundle.json"])
def test_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert str(folder / name) in refusal(folder)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"sentiment": ["positive", "neutral", "negative"]}, "sentiment"),
        ({"topics": ["earnings"]}, "thresholds"),
        ({"topics": ["earnings", "earnings", "macro"]}, "topics"),
        ({"thresholds": dict.fromkeys(TOPICS, 1.5)}, "thresholds"),
        ({"temperature": {"sentiment": 0.0, "topics": 1.0}}, "temperature"),
        ({"format": 99}, "format 99"),
        ({"kind": "ngrams"}, "kind ngrams"),
        ({"kind": "pickle"}, "kind"),
        ({"languages": []}, "languages"),
        ({"files": {}}, "weights.safetensors"),
        ({"files": {"weights.safetensors": "0", "../../etc/passwd": "0"}}, "leads out of the folder"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_manifest_that_contradicts_itself_is_refused(folder: Path, values: dict[str, Any], said: str) -> None:
    assert said in refusal(changed(folder, **values))


def test_manifest_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / "bundle.json").write_text("{")
    assert "bundle.json" in refusal(folder)


def test_weights_for_other_topics_are_refused(tmp_path: Path, encoder: Path) -> None:
    folder = make_bundle(
        tmp_path / "other", encoder, topics=["earnings", "macro"], thresholds={"earnings": 0.5, "macro": 0.5}
    )
    assert "weights.safetensors" in refusal(folder)


def test_weights_for_another_encoder_are_refused(tmp_path: Path, encoder: Path) -> None:
    folder = make_bundle(tmp_path / "wide", encoder, hidden=64)
    assert "does not fit" in refusal(folder)


def test_two_models_for_one_language_are_refused(tmp_path: Path, encoder: Path) -> None:
    two = [make_bundle(tmp_path / name, encoder) for name in ("one", "two")]
    with pytest.raises(BundleError, match="both cover en"):
        check(EngineSettings(bundles=two))


def test_shipped_models_are_sound_and_at_hand() -> None:
    said = verify(EngineSettings())
    assert "bellwether-en@" in said
    assert "bellwether-zh@" in said


@pytest.mark.parametrize("folder", [*SHIPPED, *FAST], ids=lambda folder: folder.name)
def test_shipped_model_is_small_described_and_in_the_taxonomy(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert {file.name for file in folder.iterdir()} - {LINEAGE, TAUGHT} == {"bundle.json", *manifest.files}
    assert all(topic in load_taxonomy() for topic in manifest.topics)
    assert all(data.licence and len(data.sha256) == 64 for data in manifest.training_data)
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    for file, metrics in manifest.metrics.items():
        if "sentiment_accuracy" in metrics:
            assert file in card
            assert f"{metrics['sentiment_accuracy']:.4f}" in card


def test_shipped_models_are_small_enough_for_a_repository() -> None:
    assert sum(file.stat().st_size for folder in SHIPPED for file in folder.iterdir()) < 35_000_000


@pytest.mark.parametrize(
    "folder", [folder for folder in (*SHIPPED, *FAST) if (folder / TAUGHT).is_file()], ids=lambda f: f.name
)
def test_no_tested_text_was_taught(folder: Path) -> None:
    """`tested.u64` holds the hashes of every text of the test files that the model cards report on."""
    taught = read_taught(folder)
    assert taught is not None and len(taught) > 1_000
    tested = np.fromfile(Path(__file__).with_name("tested.u64"), "<u8")
    assert len(tested) > 5_000
    examined = [row[key] for row in _rows("*.exam.jsonl") for key in ("bad", "good", "neutral", "text") if key in row]
    examined += [row[key] for row in _rows("paraphrases.*.jsonl") for key in ("a", "b")]
    assert len(examined) > 1_500
    assert not np.intersect1d(taught, tested).size
    assert not np.intersect1d(taught, hashes(examined)).size
    own = [row["text"] for lang in read_manifest(folder).languages for row in _rows(f"{lang}.*.jsonl") if "text" in row]
    signed = [text for text in own if re.search(r"\d\.\d", text)]
    assert len(signed) > 100
    assert min(np.isin(hashes(texts), taught).mean() for texts in (own, signed)) > 0.8, "the hashes are of another form"


def test_shipped_encoder_says_what_it_was_taught() -> None:
    encoders = [folder for folder in (*SHIPPED, *FAST) if read_manifest(folder).kind == "encoder"]
    assert encoders
    assert [folder.name for folder in encoders if not (folder / TAUGHT).is_file()] == []


def test_no_tested_text_stands_among_the_pairs() -> None:
    """What is written for this project may be taught to any bundle, also to one whose hashes were not kept."""
    tested = np.fromfile(Path(__file__).with_name("tested.u64"), "<u8")
    written = [
        (path.name, row[key])
        for path in sorted(PAIRS.glob("*.jsonl"))
        for row in _rows(path.name)
        for key in ("text", "bad", "good", "neutral", "a", "b")
        if row.get(key)
    ]
    assert len(written) > 15_000
    stands = np.isin(hashes(text for _, text in written), tested)
    assert [found for found, there in zip(written, stands, strict=True) if there] == []


def _rows(pattern: str) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(PAIRS.glob(pattern)) for line in path.read_text("utf-8").splitlines()]


def test_reading_manifests_needs_no_model_library() -> None:
    code = (
        "import sys; from monitor.settings import EngineSettings; from monitor.understand.lineup import check; "
        "check(EngineSettings()); print([m for m in ('torch', 'transformers', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_probabilities_are_probabilities() -> None:
    import numpy as np

    from monitor.understand.probabilities import sigmoid, softmax

    raw = np.array([[1000.0, -1000.0, 0.0], [0.0, 0.0, 0.0]])
    assert softmax(raw).tolist() == [[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]]
    assert sigmoid(raw)[0].tolist() == [1.0, 0.0, 0.5]
