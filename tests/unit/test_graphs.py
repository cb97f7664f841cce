"""Converted graphs: made once, compared before use, never trusted when damaged."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from monitor.understand.bundle import Bundle, load_bundle
from monitor.understand.runtimes import entries, graphs
from monitor.understand.runtimes.agreement import Agreement, compared
from monitor.understand.runtimes.encoder import EncoderRuntime
from monitor.understand.runtimes.entries import state
from monitor.understand.runtimes.making import make, probe
from monitor.understand.runtimes.openvino import OpenVinoBackend
from monitor.understand.runtimes.pytorch import TorchBackend
from tests.unit.models import make_bundle, make_encoder

TEXTS = ["bank profit falls", "", "oil " * 300, "record deal of the quarter"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle", make_encoder(tmp_path / "encoder"))


@pytest.fixture
def in_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are made in this process, where a test can change how."""

    def here(folder: Path, entry: Path) -> str:
        make(folder, entry)
        return ""

    monkeypatch.setattr(graphs, "make_apart", here)


def load(folder: Path, cache: Path | None) -> Bundle:
    return load_bundle(folder, device="cpu", runtime="auto", threads=1, cache=cache)


def backend(bundle: Bundle) -> object:
    assert isinstance(bundle.runtime, EncoderRuntime)
    return bundle.runtime.backend


def entry(cache: Path) -> Path:
    (found,) = cache.iterdir()
    return found


def test_graph_is_made_once_and_gives_the_same_bits_from_the_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "graphs"
    first = load(folder, cache)
    assert isinstance(backend(first), OpenVinoBackend)
    note = json.loads((entry(cache) / "graph.json").read_text())
    assert note["model"] == "tiny@1.2.3" and note["agreement"]["texts"] > 50

    def never(*_: object) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(graphs, "make_apart", never)
    second = load(folder, cache)
    assert first.runtime.logits(TEXTS).sentiment.tobytes() == second.runtime.logits(TEXTS).sentiment.tobytes()


def test_kept_graph_needs_no_torch(folder: Path, tmp_path: Path) -> None:
    load(folder, tmp_path / "graphs")
    code = f"""
        import sys
        from pathlib import Path
        from monitor.understand.bundle import load_bundle
        cache = Path({str(tmp_path / "graphs")!r})
        bundle = load_bundle(Path({str(folder)!r}), device="auto", runtime="auto", cache=cache)
        assert bundle.probabilities(["bank loss"])[0].shape == (1, 3)
        assert "torch" not in sys.modules and "transformers" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env={"CUDA_VISIBLE_DEVICES": ""})


def test_conversion_and_use_open_no_connection(folder: Path, tmp_path: Path) -> None:
    code = f"""
        import socket
        def refuse(*_): raise AssertionError("a connection was opened")
        socket.socket.connect = refuse
        socket.getaddrinfo = refuse
        from pathlib import Path
        from monitor.understand.bundle import load_bundle
        cache = Path({str(tmp_path / "graphs")!r})
        bundle = load_bundle(Path({str(folder)!r}), device="cpu", runtime="openvino", cache=cache)
        bundle.probabilities(["bank loss"])
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env={"HOME": str(tmp_path)})


@pytest.mark.parametrize("name", ["graph.xml", "graph.bin", "graph.json"])
@pytest.mark.parametrize("harm", ["cut", "flipped", "gone", "empty"])
def test_damaged_entry_is_made_anew(
    in_here: None, folder: Path, tmp_path: Path, name: str, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "graphs"
    wanted = load(folder, cache).runtime.logits(TEXTS).sentiment.tobytes()
    file = entry(cache) / name
    whole = file.read_bytes()
    middle = len(whole) // 2
    changed = {
        "cut": whole[:-10],
        "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "empty": b"",
    }
    if name == "graph.json" and harm == "flipped":
        changed["flipped"] = whole.replace(b'"files"', b'"piles"')
    file.unlink() if harm == "gone" else file.write_bytes(changed[harm])
    with caplog.at_level(logging.WARNING):
        again = load(folder, cache)
    assert "damaged" in caplog.text and "tiny@1.2.3" in caplog.text
    assert again.runtime.logits(TEXTS).sentiment.tobytes() == wanted
    assert (entry(cache) / name).is_file()
    caplog.clear()
    load(folder, cache)
    assert not caplog.text


def test_graph_that_answers_otherwise_is_refused_and_that_is_remembered(
    in_here: None, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monitor.understand.runtimes import conversion

    right = conversion.in_eight_bits

    def wrong(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        codes, scales = right(weight)
        return codes, scales * 3

    monkeypatch.setattr(conversion, "in_eight_bits", wrong)
    with caplog.at_level(logging.WARNING):
        first = load(folder, tmp_path / "graphs")
    assert isinstance(backend(first), TorchBackend)
    assert "runs on PyTorch" in caplog.text and "differ by" in caplog.text
    monkeypatch.setattr(conversion, "in_eight_bits", right)
    caplog.clear()
    assert isinstance(backend(load(folder, tmp_path / "graphs")), TorchBackend)
    assert "runs on PyTorch" in caplog.text
    plain = load_bundle(folder, device="cpu", threads=1)
    assert first.runtime.logits(TEXTS).sentiment.tobytes() == plain.runtime.logits(TEXTS).sentiment.tobytes()


def test_network_that_cannot_be_converted_runs_on_torch(
    in_here: None, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monitor.understand.runtimes import conversion

    def fail(_: object) -> None:
        raise RuntimeError("no such\noperator")

    monkeypatch.setattr(conversion, "converted", fail)
    with caplog.at_level(logging.WARNING):
        assert isinstance(backend(load(folder, tmp_path / "graphs")), TorchBackend)
    assert "RuntimeError: no such operator" in caplog.text


def test_folder_that_cannot_be_written_costs_a_line_and_nothing_else(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "graphs").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        bundle = load(folder, tmp_path / "graphs")
    assert isinstance(backend(bundle), OpenVinoBackend) and "cannot be written" in caplog.text


def test_process_that_fails_costs_a_line_and_the_graph_is_made_here(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with caplog.at_level(logging.WARNING):
        bundle = load(folder, tmp_path / "graphs")
    assert isinstance(backend(bundle), OpenVinoBackend) and "could not be made apart (status 1)" in caplog.text


def test_making_a_graph_leaves_no_torch_in_the_process_that_needs_it(folder: Path, tmp_path: Path) -> None:
    code = f"""
        import sys
        from pathlib import Path
        from monitor.understand.bundle import load_bundle
        cache = Path({str(tmp_path / "graphs")!r})
        load_bundle(Path({str(folder)!r}), device="auto", runtime="auto", cache=cache).probabilities(["bank"])
        assert "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env={"CUDA_VISIBLE_DEVICES": ""})
    assert (entry(tmp_path / "graphs") / "graph.xml").is_file()


def test_state_is_told_in_words(in_here: None, folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "graphs"
    assert state(folder, cache) == state(folder, None) == "will be made ready at its first use"
    load(folder, cache)
    assert state(folder, cache) == "is ready"
    note = entry(cache) / "graph.json"
    note.write_text(json.dumps({"refused": "no such operator"}))
    assert state(folder, cache) == "runs on PyTorch (no such operator)"
    note.write_text("{")
    assert state(folder, cache) == "is damaged and will be made ready anew"


def test_another_bundle_or_version_has_an_entry_of_its_own(in_here: None, folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "graphs"
    load(folder, cache)
    load(make_bundle(tmp_path / "other", tmp_path / "encoder", version="1.2.4"), cache)
    assert len(list(cache.iterdir())) == 2


def test_entries_that_nobody_uses_go_when_another_is_written(in_here: None, folder: Path, tmp_path: Path) -> None:
    import os

    cache = tmp_path / "graphs"
    load(folder, cache)
    old = entry(cache)
    long_ago = time.time() - entries.UNUSED - 60
    os.utime(old / "graph.json", (long_ago, long_ago))
    load(make_bundle(tmp_path / "other", tmp_path / "encoder", version="1.2.4"), cache)
    assert not old.exists() and len(list(cache.iterdir())) == 1


def test_use_keeps_an_entry_young(in_here: None, folder: Path, tmp_path: Path) -> None:
    import os

    cache = tmp_path / "graphs"
    load(folder, cache)
    os.utime(entry(cache) / "graph.json", (0, 0))
    load(folder, cache)
    assert time.time() - (entry(cache) / "graph.json").stat().st_mtime < 60


def test_agreement_counts_every_probability() -> None:
    one = [np.array([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]]), np.array([[0.5], [0.1]])]
    other = [np.array([[0.2, 0.3, 0.5], [0.3, 0.5, 0.2]]), np.array([[0.5], [0.2]])]
    found = compared(one, other)
    assert found == Agreement(2, pytest.approx(0.7 / 8), pytest.approx(0.3), 0.5)  # type: ignore[arg-type]
    assert not found.good and compared(one, one).good
    assert not compared(one, [one[0], np.array([[np.nan], [0.1]])]).good


def test_check_reads_each_language_and_odd_texts() -> None:
    texts = probe(["en", "zh"])
    assert len(texts) == 2 * 48 + 4 and "" in texts
    assert sum(any("一" <= letter <= "鿿" for letter in text) for text in texts) > 40
    assert max(map(len, texts)) > 2_000
    assert len(probe(["de"])) == 4
