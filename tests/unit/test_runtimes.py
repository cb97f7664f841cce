"""Every way to compute a network gives PyTorch's answers, text by text, whatever is asked at the same time."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import textwrap
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.understand.bundle import load_bundle
from monitor.understand.manifest import read_manifest
from monitor.understand.network import Network
from monitor.understand.runtimes.accelerated import AcceleratedBackend, Device
from monitor.understand.runtimes.conversion import converted, in_eight_bits
from monitor.understand.runtimes.encoder import Backend
from monitor.understand.runtimes.laying import laid
from monitor.understand.runtimes.openvino import TOKENS, OpenVinoBackend, tokens_each
from monitor.understand.runtimes.pytorch import TorchBackend, padding, read_network
from monitor.understand.runtimes.rounds import SHORT, alike, packed
from tests.unit.models import make_bundle, make_encoder, make_prompted_bundle
from tests.unit.side_by_side import in_threads

KINDS = ("torch", "openvino", "packed")
MOST = 32  # tokens of a window of the small bundles


def windows_of(count: int, *, seed: int = 0, longest: int = MOST) -> list[tuple[int, ...]]:
    chance = random.Random(seed)
    lengths = [chance.randint(2, longest) for _ in range(count)]
    return [(2, *(chance.randrange(4, 150) for _ in range(length - 2)), 3) for length in lengths]


def expected(network: Network, windows: Sequence[tuple[int, ...]]) -> NDArray[np.float32]:
    """The pooled states of each window by itself, by the network as it is."""
    with torch.inference_mode():
        rows = [network.pooled(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long)) for ids in windows]
    return torch.cat(rows).numpy()


def backend(kind: str, folder: Path, **more: int) -> Backend:
    network, _ = read_network(folder, read_manifest(folder))
    if kind == "openvino":
        return OpenVinoBackend(converted(network), threads=2)
    if kind == "packed":
        return AcceleratedBackend(network, devices=["cpu"] * more.get("devices", 1), max_tokens=MOST, tokens=128)
    return TorchBackend(network, max_tokens=MOST, pad=padding(network), frame=(2, 3), threads=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny")
    return make_bundle(root / "bundle", make_encoder(root / "encoder"))


@pytest.fixture(scope="module", params=KINDS)
def each(request: pytest.FixtureRequest, folder: Path) -> Backend:
    return backend(request.param, folder)


def test_states_are_those_of_the_network(folder: Path) -> None:
    network, _ = read_network(folder, read_manifest(folder))
    windows = windows_of(60)
    wanted = expected(network, windows)
    size = np.abs(wanted).mean()
    for kind, bound in (("torch", 1e-5), ("packed", 1e-5), ("openvino", 0.05)):
        gap = np.abs(backend(kind, folder).pooled(windows) - wanted)
        assert gap.max() < bound * 10 * size and gap.mean() < bound * size, kind


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 39), min_size=1, max_size=60))
def test_a_window_has_the_same_bits_in_any_company(each: Backend, chosen: list[int]) -> None:
    windows = windows_of(40, seed=1)
    alone = {index: each.pooled([windows[index]])[0].tobytes() for index in set(chosen)}
    together = each.pooled([windows[index] for index in chosen])
    assert [row.tobytes() for row in together] == [alone[index] for index in chosen]


def test_eight_threads_never_mix_up_windows(each: Backend) -> None:
    windows = windows_of(50, seed=2)
    wanted = [row.tobytes() for row in each.pooled(windows)]
    wrong: list[int] = []

    def ask(number: int) -> None:
        chance = random.Random(number)
        for _ in range(12):
            some = chance.choices(range(len(windows)), k=chance.randint(1, 30))
            rows = each.pooled([windows[index] for index in some])
            wrong.extend(index for index, row in zip(some, rows, strict=True) if row.tobytes() != wanted[index])

    in_threads(8, ask)
    assert not wrong


def test_nothing_asked_gives_nothing(each: Backend) -> None:
    assert each.pooled([]).shape == (0, 32)


def test_several_devices_share_the_passes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[int] = set()
    first = threading.Barrier(3, timeout=60)
    launch = Device.launch

    def noted(self: Device, windows: Sequence[tuple[int, ...]]) -> object:
        if id(self) not in used:
            used.add(id(self))
            first.wait()  # nobody takes a second pass before each has one
        return launch(self, windows)

    monkeypatch.setattr(Device, "launch", noted)
    windows = windows_of(200, seed=3)
    several = backend("packed", folder, devices=3).pooled(windows)
    monkeypatch.undo()
    assert len(used) == 3
    assert several.tobytes() == backend("packed", folder).pooled(windows).tobytes()


@pytest.mark.parametrize("devices", [1, 2])
def test_too_little_memory_halves_the_passes_and_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, devices: int
) -> None:
    prepare = Device.prepare

    def scarce(self: Device, tokens: int) -> None:
        if tokens > 64:
            raise torch.OutOfMemoryError("CUDA out of memory")
        prepare(self, tokens)

    monkeypatch.setattr(Device, "prepare", scarce)
    windows = windows_of(80, seed=4)
    small = backend("packed", folder, devices=devices)
    found = small.pooled(windows)
    assert found.tobytes() == small.pooled(windows).tobytes()
    assert caplog.text.count("passes of 128 tokens: 64 from now on") == 1
    network, _ = read_network(folder, read_manifest(folder))
    assert np.allclose(found, expected(network, windows), atol=1e-4)


def test_memory_for_no_pass_at_all_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(self: Device, tokens: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Device, "prepare", none)
    with pytest.raises(torch.OutOfMemoryError):
        backend("packed", folder).pooled(windows_of(3))


def test_out_of_memory_halves_padded_passes_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = backend("torch", folder)
    assert isinstance(plain, TorchBackend)
    windows = windows_of(40, seed=5)
    wanted = plain.pooled(windows)
    forward = TorchBackend._forward

    def scarce(self: TorchBackend, given: Sequence[tuple[int, ...]], rows: int, length: int) -> NDArray[np.float32]:
        if rows * length > 64:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, given, rows, length)

    monkeypatch.setattr(TorchBackend, "_forward", scarce)
    assert np.allclose(plain.pooled(windows), wanted, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("kind", ["openvino", "packed"])
def test_both_poolings_are_computed(tmp_path: Path, kind: str, pooling: str) -> None:
    encoder = make_encoder(tmp_path / "encoder")
    folder = make_bundle(tmp_path / "bundle", encoder)
    network, _ = read_network(folder, read_manifest(folder))
    network.pooling = pooling  # type: ignore[assignment]
    windows = windows_of(30, seed=6)
    wanted = expected(network, windows)
    found: Backend
    if kind == "openvino":
        found = OpenVinoBackend(converted(network), threads=1)
    else:
        found = AcceleratedBackend(network, devices=["cpu"], max_tokens=MOST, tokens=0)
    assert np.abs(found.pooled(windows) - wanted).mean() < 0.05 * np.abs(wanted).mean()


def test_roberta_counts_positions_from_behind_its_padding() -> None:
    from transformers import XLMRobertaConfig, XLMRobertaModel

    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=200,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=1,
        type_vocab_size=1,
    )
    encoder = XLMRobertaModel(config, add_pooling_layer=False).eval()
    network = Network(encoder, pooling="mean", topics=2).eval()
    windows = windows_of(20, seed=7)
    wanted = expected(network, windows)
    packed = AcceleratedBackend(network, devices=["cpu"], max_tokens=MOST, tokens=128).pooled(windows)
    assert np.allclose(packed, wanted, atol=1e-5)
    graph = OpenVinoBackend(converted(network), threads=1).pooled(windows)
    assert np.abs(graph - wanted).mean() < 0.05 * np.abs(wanted).mean()


def test_other_encoders_are_converted_but_not_packed() -> None:
    from transformers import DistilBertConfig, DistilBertModel

    torch.manual_seed(0)
    config = DistilBertConfig(vocab_size=200, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=64)
    network = Network(DistilBertModel(config).eval(), pooling="mean", topics=2).eval()
    windows = windows_of(20, seed=8)
    wanted = expected(network, windows)
    found = OpenVinoBackend(converted(network), threads=1).pooled(windows)
    assert np.abs(found - wanted).mean() < 0.05 * np.abs(wanted).mean()
    with pytest.raises(ValueError, match="distilbert cannot be packed"):
        AcceleratedBackend(network, devices=["cpu"], max_tokens=MOST, tokens=128)


@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_learned_tokens_in_front_are_converted_too(tmp_path: Path, kind: str) -> None:
    folder = make_prompted_bundle(tmp_path / "bundle", make_encoder(tmp_path / "encoder"), kind)
    texts = ["bank profit falls", "", "oil", "record deal of the quarter " * 9]
    plain = load_bundle(folder, device="cpu", threads=1).probabilities(texts)
    fast = load_bundle(folder, device="cpu", threads=1, runtime="openvino").probabilities(texts)
    assert np.abs(plain[0] - fast[0]).mean() < 0.02


def test_eight_bits_keep_a_matrix_to_half_a_step() -> None:
    weight = np.random.default_rng(0).normal(size=(7, 50)).astype(np.float32)
    weight[3] = 0
    codes, scales = in_eight_bits(weight)
    assert codes.dtype == np.int8 and np.abs(codes).max() == 127
    assert (np.abs(codes * scales - weight) <= scales / 2 + 1e-7).all()


@given(st.lists(st.integers(1, 100), max_size=80), st.integers(40, 700), st.sampled_from([0, 1, 2, 4]))
def test_packed_passes_hold_every_window_once_and_are_filled_up(lengths: list[int], tokens: int, alike_by: int) -> None:
    found = list(packed(lengths, tokens, alike_by))
    assert sorted(index for part in found for index in part) == list(range(len(lengths)))
    left = sorted(lengths)
    for part in found:
        sizes = [lengths[index] for index in part]
        room = tokens - sum(sizes)
        assert room >= 0 or len(part) == 1
        assert not alike_by or max(sizes) <= alike_by * min(sizes)
        for size in sizes:
            left.remove(size)
        # What came later did not fit, or is too short for it.
        late = [size for size in left if size <= room and (not alike_by or size * alike_by >= max(sizes))]
        assert not late or len(part) == max(1, tokens // SHORT)


@given(st.lists(st.integers(1, 600), max_size=80))
def test_passes_of_one_length_hold_every_window_once(lengths: list[int]) -> None:
    found = list(alike(lengths, 512))
    assert sorted(index for part in found for index in part) == list(range(len(lengths)))
    assert all(len({lengths[index] for index in part}) == 1 for part in found)
    assert all(len(part) == 1 or sum(lengths[index] for index in part) <= 512 for part in found)
    assert all(len(part).bit_count() == 1 for part in found)


@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=50), min_size=1, max_size=12), st.integers(0, 40))
def test_windows_laid_end_to_end_are_found_again(windows: list[list[int]], more: int) -> None:
    count = sum(map(len, windows))
    ids, positions, slots, real, places = laid([tuple(window) for window in windows], count + more)
    assert ids.tolist() == [*(token for window in windows for token in window), *[0] * more]
    assert positions[:count].tolist() == [place for window in windows for place in range(len(window))]
    assert slots.shape == real.shape and slots.shape[1] % 16 == 0
    for row, window in enumerate(windows):
        assert real[row].tolist() == [1.0] * len(window) + [0.0] * (slots.shape[1] - len(window))
        assert ids[slots[row, : len(window)]].tolist() == window
    # And back: each token stands in the slot that its place names.
    assert slots.ravel()[places[:count]].tolist() == list(range(count))


@given(st.integers(1, 40_000), st.integers(1, 32))
def test_every_thread_gets_a_share_of_the_tokens(count: int, threads: int) -> None:
    each = tokens_each(count, threads)
    assert each % 64 == 0 and 64 <= each <= TOKENS
    rounds = -(-count // (TOKENS * threads))  # as few as there must be
    assert each * threads * rounds >= count > (each - 64) * threads * rounds


def test_first_use_of_openvino_is_by_one_thread(folder: Path) -> None:
    """Two that use it first at the same time may wait for each other for good, seen in one start of twelve."""
    network, _ = read_network(folder, read_manifest(folder))
    made = OpenVinoBackend(converted(network), threads=8)
    assert made._own.request is not None  # by this thread, which computes nothing else


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_threads_of_numpy_leave_the_cores_to_the_passes(folder: Path, runtime: str) -> None:
    code = """
        import sys
        from pathlib import Path
        import numpy
        from threadpoolctl import threadpool_info
        from monitor.understand.bundle import load_bundle
        load_bundle(Path(sys.argv[1]), device="cpu", runtime=sys.argv[2]).probabilities(["bank loss"])
        print([pool["num_threads"] for pool in threadpool_info() if "numpy" in pool["filepath"]])
    """
    said = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(folder), runtime], check=True, capture_output=True, text=True
    )
    found = json.loads(said.stdout)
    assert found and set(found) == {1}


def test_signals_are_survived_when_models_come_and_go(folder: Path) -> None:
    """OpenVINO lays an alternate signal stack under a thread, and would take it away with its last model."""
    code = """
        import faulthandler, gc, os, signal, sys, threading
        from pathlib import Path
        faulthandler.enable()
        signal.signal(signal.SIGUSR1, lambda *_: None)
        from monitor.understand.bundle import load_bundle
        held = [load_bundle(Path(sys.argv[1]), device="cpu", runtime="openvino", threads=1) for _ in range(3)]
        print(held[0].probabilities(["bank loss"])[0].shape)
        thread = threading.Thread(target=lambda: (held.clear(), gc.collect()))
        thread.start()
        thread.join()
        for _ in range(50):
            os.kill(os.getpid(), signal.SIGUSR1)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(folder)], check=True)
