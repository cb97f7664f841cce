"""Where encoders come from, and that a wrong one is never used."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from monitor.errors import BundleError
from monitor.understand.encoders import EncoderSource, digests, find_encoder, load_encoder, load_tokenizer
from tests.unit.models import make_encoder

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


def test_path_beside_the_bundle_is_found(tiny: Path) -> None:
    assert find_encoder(EncoderSource(tiny.name), beside=tiny.parent) == tiny
    assert find_encoder(EncoderSource(str(tiny), sha256=digests(tiny))) == tiny


def test_carrier_package_is_the_very_encoder_of_the_hub() -> None:
    digest = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    folder = find_encoder(EncoderSource(MINILM, sha256={"model.safetensors": digest}))
    assert load_encoder(folder).config.hidden_size == 384


def test_hugging_face_cache_is_used_without_a_network(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    repository = tmp_path / "models--someone--tiny-bert"
    shutil.copytree(tiny, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    source = EncoderSource("someone/tiny-bert", COMMIT, digests(tiny))
    assert find_encoder(source) == repository / "snapshots" / COMMIT
    with pytest.raises(BundleError, match="someone/other"):
        find_encoder(EncoderSource("someone/other", COMMIT))


def test_encoder_that_is_not_the_one_trained_on_is_refused(tiny: Path, tmp_path: Path) -> None:
    other = make_encoder(tmp_path / "other", seed=5)
    with pytest.raises(BundleError, match=r"model\.safetensors.*engine\.bundles"):
        find_encoder(EncoderSource(str(other), sha256=digests(tiny)))


def test_tampering_after_a_first_good_look_is_noticed(tiny: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny, copy)
    source = EncoderSource(str(copy), sha256=digests(tiny))
    find_encoder(source)
    path = copy / "tokenizer.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(BundleError, match=r"tokenizer\.json"):
        find_encoder(source)


def test_name_that_is_neither_folder_nor_hub_id_is_one_clear_line() -> None:
    with pytest.raises(BundleError, match="neither a folder nor a Hugging Face name") as caught:
        find_encoder(EncoderSource("not a name!"))
    assert "\n" not in str(caught.value)


def test_tokenizer_neither_cuts_nor_pads(tiny: Path) -> None:
    encoded = load_tokenizer(tiny).encode_batch(["profit " * 500, "loss"], add_special_tokens=False)
    assert [len(one.ids) for one in encoded] == [500, 1]


def test_folder_without_safetensors_is_told_in_a_line(tmp_path: Path) -> None:
    folder = make_encoder(tmp_path / "encoder")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BundleError, match=r"encoder: holds no model\.safetensors"):
        find_encoder(EncoderSource(str(folder), None))
