"""What a run leaves in OUT: whole bundles only, described as they were taught."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.errors import InputError
from monitor.understand.bundle import Bundle, load_bundle
from monitor.understand.encoders import sha256
from monitor.understand.manifest import read_manifest
from monitor.understand.topics import load_taxonomy
from tests.integration.test_training import write_labels, write_recipe
from training import linear
from training.corpus import gather
from training.package import package
from training.recipe import read_recipe
from training.run import run, teach

ROOT = Path(__file__).parents[2]
PLAN = 'kind = "ngrams"\n[linear]\nbuckets = 4096\nheld_out = 0.2\n'
SURVEY = (
    '[[train]]\nfile = "survey.csv"\norigin = "made"\nlicence = "none"\n'
    'fields = { text = "Kommentar", sentiment = "Note" }\n'
    'labels = { "0" = "negative", "1" = "neutral", "2" = "positive" }\n'
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_labels(tmp_path / "train.jsonl", count=200, seed=1)
    write_labels(tmp_path / "test.jsonl", count=60, seed=2)
    write_labels(tmp_path / "more.jsonl", count=80, seed=3)
    rows = map(json.loads, (tmp_path / "more.jsonl").read_text().splitlines())
    notes = {"negative": 0, "neutral": 1, "positive": 2}
    lines = ["Kommentar;Note", *(f"{row['text']};{notes[row['sentiment']]}" for row in rows)]
    (tmp_path / "survey.csv").write_text("\n".join(lines))
    return tmp_path


def test_bundle_says_what_was_read_of_mapped_files_even_if_they_change_meanwhile(data: Path) -> None:
    recipe = read_recipe(str(write_recipe(data, PLAN + SURVEY)))
    digest = sha256(data / "survey.csv")
    corpus = gather(recipe, data, load_taxonomy())
    (data / "survey.csv").write_text("Kommentar;Note\nanother;0\n")
    teach(recipe, corpus, data=data, out=data / "bundle", taxonomy=load_taxonomy())
    survey = next(one for one in read_manifest(data / "bundle").training_data if one.file == "survey.csv")
    assert (survey.rows, survey.sha256) == (80, digest)
    assert digest[:16] in (data / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_bundle_in_out_serves_until_the_next_is_whole(data: Path) -> None:
    recipe = read_recipe(str(write_recipe(data, PLAN)))
    out = data / "bundle"
    run(recipe, data=data, out=out, taxonomy=load_taxonomy())
    (out / "report.html").write_text("of somebody else")
    before = {path.name: sha256(path) for path in out.iterdir()}
    newer = recipe.model_copy(update={"version": "0.0.2"})
    corpus = gather(newer, data, load_taxonomy())
    tensors, ngrams = linear.teach(newer, corpus)

    def cut_off(_: Bundle) -> Bundle:
        assert {path.name: sha256(path) for path in out.iterdir()} == before
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        package(newer, corpus, tensors, data=data, out=out, taxonomy=load_taxonomy(), ngrams=ngrams, finish=cut_off)
    assert load_bundle(out).manifest.version == "0.0.1"
    bundle = run(newer, data=data, out=out, taxonomy=load_taxonomy())
    assert bundle.folder == out
    assert load_bundle(out).manifest.version == "0.0.2"
    assert {path.name for path in out.iterdir()} == set(before)
    assert (out / "report.html").read_text() == "of somebody else"
    assert not [path for path in data.iterdir() if path.name.startswith(".bundle")]


def test_out_that_leads_elsewhere_still_does(data: Path) -> None:
    recipe = read_recipe(str(write_recipe(data, PLAN)))
    (data / "there").mkdir()
    (data / "bundle").symlink_to(data / "there")
    run(recipe, data=data, out=data / "bundle", taxonomy=load_taxonomy())
    assert (data / "bundle").is_symlink()
    assert load_bundle(data / "there").manifest.model == "small@0.0.1"


def test_linear_model_is_taught_by_one_of_several_processes(data: Path) -> None:
    recipe = write_recipe(data, PLAN)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "monitor.cli"]
    done = subprocess.run(
        [*launch, "train", str(recipe), "--data", str(data), "--out", str(data / "shared")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("small@0.0.1 is in") == 1
    assert load_bundle(data / "shared").manifest.model == "small@0.0.1"


def test_form_that_cannot_be_stored_is_told_before_anything_is_taught(data: Path) -> None:
    from tests.unit.models import make_encoder

    make_encoder(data / "encoder")
    plan = (
        f'kind = "encoder"\n[encoder]\nname = "{data / "encoder"}"\nmax_tokens = 64\n[pretrain]\nepochs = 1\n'
        '[storage]\nform = "adapters"\n[schedule]\nepochs = 1\n'
    )
    recipe = read_recipe(str(write_recipe(data, plan)))
    with pytest.raises(InputError, match=r"storage\.form: adapters alone do not hold"):
        run(recipe, data=data, out=data / "bundle", taxonomy=load_taxonomy())
    assert not list(data.rglob("pretrain*"))
    assert not list(data.rglob("checkpoints"))
