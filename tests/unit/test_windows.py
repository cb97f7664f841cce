"""How far a text is read, and that it is told where that is not to its end."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from monitor.commands.classify import classify
from monitor.documents import Document
from monitor.settings import EngineSettings
from monitor.understand.bundle import SHIPPED, load_bundle
from monitor.understand.engine import Engine
from monitor.understand.explain import Explainer
from monitor.understand.manifest import read_manifest
from monitor.understand.reader import Reader
from monitor.understand.runtimes.gradients import SMALL
from monitor.understand.runtimes.ngrams import MAX_CHARS, is_cut
from monitor.understand.runtimes.windows import MAX_WINDOWS
from tests.unit.models import make_bundle, make_encoder, make_toward_bundle, make_wide_bundle

ROOM = 30
"""Tokens of a window of the tiny encoder; each of `WORD` is one."""
WORD = "profit "
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Path:
    return make_bundle(tmp_path_factory.mktemp("deep"), encoder)


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toward_bundle(tmp_path_factory.mktemp("linear"), languages=("en", "zh"))


def of_tokens(count: int) -> str:
    """A text of so many tokens that does not begin with what it repeats (that would be read once)."""
    return "bank " + WORD * (count - 1)


def filled(words: int) -> str:
    """So many different words that are one token each but for the number before them (which takes more)."""
    return " ".join(f"{n} profit" for n in range(words))


def test_a_text_of_8000_tokens_is_read_to_its_end(deep: Path) -> None:
    assert MAX_WINDOWS * 126 >= 8_000, "at 128 tokens a window"
    bundle = load_bundle(deep, device="cpu", threads=1)
    start = of_tokens(MAX_WINDOWS * ROOM - 1)
    one, other = (bundle.runtime.logits([start + end]) for end in ("loss", "oil"))
    assert not one.cut and len(one.sentiment) == MAX_WINDOWS
    assert abs(one.sentiment[-1] - other.sentiment[-1]).max() > 1e-3


def test_only_texts_longer_than_is_read_are_told_to_be_cut(deep: Path, linear: Path) -> None:
    texts = ["loss", of_tokens(MAX_WINDOWS * ROOM) + "loss", "", of_tokens(MAX_WINDOWS * ROOM), "a b " * 600_000]
    assert load_bundle(deep, device="cpu", threads=1).runtime.logits(texts).cut == {1, 4}
    texts = [
        "跌",
        "ab" + "x跌" * (MAX_CHARS // 2 - 1),
        "abc" + "x跌" * (MAX_CHARS // 2 - 1),
        "a" + "ﷺb" * (MAX_CHARS // 19 + 1),
    ]
    assert load_bundle(linear).runtime.logits(texts).cut == {2, 3}
    most = (MAX_CHARS - 2) // 18
    assert not is_cut("ab" + "ﷺ" * most) and is_cut("ab" + "ﷺ" * (most + 1))


def test_linear_heads_read_far_beyond_a_page(linear: Path) -> None:
    bundle = load_bundle(linear)
    for place in (5_000, MAX_CHARS - 100):
        filler = filled(MAX_CHARS)[:place]
        sentiment, _ = bundle.probabilities([filler, f"{filler} [this company] falls"])
        assert sentiment[1, 0] > 0.9 > sentiment[0, 0]


def test_text_beside_it_or_a_long_batch_changes_nothing(linear: Path) -> None:
    bundle = load_bundle(linear)
    texts = [f"{filled(n % 40)} [this company] {('falls', 'rises')[n % 2]}" for n in range(150)]
    together = bundle.runtime.logits(texts).sentiment
    assert [row.tobytes() for row in together] == [
        bundle.runtime.logits([text]).sentiment[0].tobytes() for text in texts
    ]


def test_linear_heads_take_time_in_proportion_to_the_length() -> None:
    (folder,) = (one for one in SHIPPED if read_manifest(one).languages == ("zh",))
    heads = load_bundle(folder).runtime

    def seconds(characters: int) -> float:
        text = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(characters))
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            heads.logits([text])
            best = min(best, time.process_time() - began)
        return best

    seconds(100)
    assert seconds(MAX_CHARS) < 40 * max(seconds(MAX_CHARS // 10), 0.0005)


def test_engine_and_reader_tell_which_documents_were_cut(deep: Path) -> None:
    settings = EngineSettings(bundles=[deep], device="cpu", threads=1)
    long = of_tokens(MAX_WINDOWS * ROOM + 1)
    scored = Engine(settings).score(["loss", long, "Verlust"], ["en", "en", "de"])
    assert [one and one.cut for one in scored] == [False, True, None]
    documents = [Document(str(n), "wire", "news", NOON, "", text, "en") for n, text in enumerate(["loss", long])]
    assert [one.cut for one in Reader(settings).read(documents)] == [False, True]


def test_classify_tells_which_texts_were_cut(deep: Path) -> None:
    lines = "\n".join(json.dumps({"text": text, "lang": "en"}) for text in ("loss", of_tokens(MAX_WINDOWS * ROOM + 1)))
    done = CliRunner().invoke(classify, ["--model", str(deep)], input=lines)
    assert done.exit_code == 0, done.output
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert "cut" not in first and second["cut"] is True


def explained(folder: Path, text: str) -> tuple[int, int]:
    found = Explainer(folder).explain(text, label="negative")
    assert abs(found.gap) <= SMALL * max(abs(found.value - found.baseline), 0.1) + 0.03
    return found.read, found.length


def test_explanation_says_how_far_the_text_was_read(deep: Path, linear: Path, encoder: Path, tmp_path: Path) -> None:
    short = "bank  profit &amp; loss"
    long = of_tokens(MAX_WINDOWS * ROOM + 100) + "loss"
    reach = len(of_tokens(MAX_WINDOWS * ROOM)) - 1
    for folder in (deep, linear):
        assert explained(folder, short) == (len("bank profit & loss"),) * 2
    assert explained(deep, long) == (reach, len(long))
    chinese = "本司跌" + "跌x" * MAX_CHARS
    assert explained(linear, chinese) == (MAX_CHARS, 2 * MAX_CHARS + 3)
    both = make_wide_bundle(tmp_path / "wide", encoder)
    assert explained(both, short) == (len("bank profit & loss"),) * 2
    assert explained(both, long) == (reach, len(long))
