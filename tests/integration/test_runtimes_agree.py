"""The bundles that ship, on 2,000 texts of every length: each way to compute them gives PyTorch's float32 answers."""

from __future__ import annotations

import gzip
import json
import random
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from monitor.understand.bundle import FAST, SHIPPED, Bundle, load_bundle
from monitor.understand.language import detect
from monitor.understand.manifest import read_manifest
from monitor.understand.runtimes.accelerated import AcceleratedBackend
from monitor.understand.runtimes.agreement import compared
from monitor.understand.runtimes.encoder import EncoderRuntime
from monitor.understand.runtimes.loading import heads_of
from monitor.understand.runtimes.pytorch import read_network

TEXTS = 1_000  # of each language
MEAN, MOST, LABELS = 0.005, 0.15, 0.985
"""The bound that docs/performance.md states for eight bits: of probabilities on average and at most, and of labels."""


def texts_of(language: str) -> list[str]:
    """Real texts, joined and cut to lengths from nothing to 10,000 characters."""
    feed = Path(str(resources.files("monitor.sample") / "feed.jsonl.gz"))
    with gzip.open(feed, "rt", encoding="utf-8") as lines:
        every = [row.get("text") or row["title"] for row in map(json.loads, lines)]
    read = [text for text in every if detect(text, None) == language]
    chance = random.Random(11)
    found = ["", " ", "a", *(" ".join(chance.choices(read, k=400))[:10_000] for _ in range(4))]
    found += [" ".join(chance.choices(read, k=12))[: chance.randint(1, 900)] for _ in range(TEXTS // 5)]
    return [*found, *read[: TEXTS - len(found)]]


def runtime_of(bundle: Bundle) -> EncoderRuntime:
    deep = getattr(bundle.runtime, "deep", bundle.runtime)
    assert isinstance(deep, EncoderRuntime)
    return deep


@pytest.mark.parametrize("folder", [*SHIPPED, *FAST], ids=lambda folder: folder.name)
def test_answers_agree_with_float32(folder: Path, tmp_path: Path) -> None:
    texts = texts_of(read_manifest(folder).languages[0])
    assert len(texts) == TEXTS and len(texts[3]) == 10_000
    plain = load_bundle(folder, device="cpu")
    wanted = plain.probabilities(texts)
    fast = load_bundle(folder, device="cpu", runtime="openvino", cache=tmp_path).probabilities(texts)
    found = compared(wanted, fast)
    assert found.mean < MEAN and found.most < MOST and found.labels > LABELS, str(found)

    # The passes of a GPU, in float32: nothing but the last bits may differ.
    some = [*texts[:5], *texts[7:120]]
    manifest = read_manifest(folder)
    assert manifest.encoder is not None
    network, tokenizer = read_network(folder, manifest)
    most = manifest.encoder.max_tokens
    packed = AcceleratedBackend(network, devices=["cpu"], max_tokens=most, tokens=2_048)
    runtime = EncoderRuntime(packed, heads_of(folder), tokenizer, max_tokens=most)
    one, other = runtime.logits(some), runtime_of(plain).logits(some)
    assert np.allclose(one.sentiment, other.sentiment, atol=1e-3)
    assert np.allclose(one.topics, other.topics, atol=1e-3)
