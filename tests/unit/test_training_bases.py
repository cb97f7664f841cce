"""The encoder a run starts from is whole or not there, and made once."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from monitor.errors import InputError
from monitor.understand.encoders import load_encoder
from tests.unit.models import make_encoder, small_recipe
from training import e5
from training.bases import base_for
from training.data.examples import Example
from training.recipe import EncoderChoice, Recipe
from training.trimming import trim

ROOT = Path(__file__).parents[2]
PIECES = [
    *(("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)),
    *((f"▁{word}", -3.0) for word in ("shares", "fall", "rise", "bank", "oil", "unused")),
    ("▁", -4.0),
]
WORDS = "embeddings.word_embeddings.weight"


def make_unigram_encoder(folder: Path) -> Path:
    """A BERT whose vocabulary is laid out as XLM-R's."""
    make_encoder(folder)
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, WORDS: tensors[WORDS][: len(PIECES)]}, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": len(PIECES)}), encoding="utf-8")
    e5.write_tokenizer(PIECES, folder)
    return folder


def recipe(name: object, *, trimmed: bool, layers: int) -> Recipe:
    choice = EncoderChoice(name=str(name), trim=trimmed, layers=layers)
    return small_recipe(encoder=choice.model_dump())


def killed_in_writing(settings: Recipe, workplace: Path) -> None:
    """Make the encoder in a process that the kernel kills when a file gets longer than 20,000 bytes."""
    body = (
        "import signal, sys; from pathlib import Path; from training.bases import base_for;"
        "from training.recipe import Recipe; from training.data.examples import Example;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL);"
        "base_for(Recipe.model_validate_json(sys.argv[1]), [Example('shares fall')], Path(sys.argv[2]))"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = subprocess.run(
        [sys.executable, "-c", body, settings.model_dump_json(), str(workplace)],
        cwd=ROOT,
        preexec_fn=limit,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGXFSZ, done.stderr.decode()[-2000:]


@pytest.mark.parametrize(("trimmed", "layers"), [(True, 0), (False, 1), (True, 1)])
def test_encoder_whose_making_was_killed_is_made_again(tmp_path: Path, trimmed: bool, layers: int) -> None:
    settings = recipe(make_unigram_encoder(tmp_path / "whole"), trimmed=trimmed, layers=layers)
    workplace = tmp_path / "run"
    killed_in_writing(settings, workplace)
    assert [folder.suffix for folder in workplace.iterdir()] == [".part"]
    base = base_for(settings, [Example("shares fall")], workplace)
    assert base.folder == workplace / "encoder" and base.own
    encoder = load_encoder(base.folder)
    assert encoder.config.num_hidden_layers == (layers or 2)  # type: ignore[union-attr]
    assert not list(workplace.glob("*.part"))
    before = (base.folder / "model.safetensors").stat()
    assert base_for(settings, [Example("oil")], workplace) == base
    assert (base.folder / "model.safetensors").stat() == before


def test_carried_encoder_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    if e5.carried() is None:
        pytest.skip("the package that carries multilingual-e5-small is not installed")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    settings = recipe(e5.NAME, trimmed=False, layers=0)
    (tmp_path / "e5").mkdir()
    (tmp_path / "e5" / "model.safetensors").write_bytes(b"cut off")
    base = base_for(settings, [], tmp_path)
    assert base.folder == tmp_path / "e5" and base.own
    weights = base.folder / "model.safetensors"
    before = weights.stat()
    assert before.st_size > 1_000_000
    assert base_for(settings, [], tmp_path) == base
    assert (weights.stat().st_ino, weights.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_vocabulary_of_another_layout_is_not_trimmed(tmp_path: Path) -> None:
    folder, out = make_unigram_encoder(tmp_path / "whole"), tmp_path / "out"
    e5.write_tokenizer([*PIECES[1:3], PIECES[0], *PIECES[3:]], folder)
    with pytest.raises(InputError, match=r"encoder\.trim: the vocabulary begins with <pad> </s> <s> <unk>, not with"):
        trim(folder, ["shares"], out)
    e5.write_tokenizer(PIECES, folder)
    tensors = load_file(folder / "model.safetensors")
    save_file({f"roberta.{name}": value for name, value in tensors.items()}, folder / "model.safetensors")
    with pytest.raises(InputError, match=rf"encoder\.trim: the weights have no {WORDS}"):
        trim(folder, ["shares"], out)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"encoder\.trim: .* has no tokenizer\.json"):
        trim(folder, ["shares"], out)
    assert not out.exists()
