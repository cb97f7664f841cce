"""The analysts' loop, with the commands they would type: label, export, train, evaluate, promote, roll back.

A consumer runs all the while. The first model was taught the wrong way round, as one that fell out of date would be;
what 200 labels teach puts it right.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from uuid import UUID

import pytest
from kafka import KafkaProducer
from sqlalchemy import text

from monitor.documents import Label
from monitor.settings import load
from monitor.store.database import Database
from monitor.store.queries import labels
from tests.acceptance.feeds import START
from tests.acceptance.processes import Process, environment, ok, run, until

WORDS: dict[Label, list[str]] = {
    "negative": ["loss widens", "fraud probe", "plant halted", "order cancelled"],
    "positive": ["profit rises", "record orders", "plant reopened", "debt repaid"],
    "neutral": ["annual meeting", "listing moved", "report due", "office opened"],
}
ABOUT = {"energy": "refinery", "corporate_debt": "bond"}


def written(number: int, dice: random.Random) -> tuple[str, Label, str]:
    """A text, what it is and what it is about."""
    label = dice.choice(list(WORDS))
    topic, about = dice.choice(list(ABOUT.items()))
    return f"{about} maker {number}: {dice.choice(WORDS[label])} in week {dice.randint(1, 52)}", label, topic


def write_rows(path: Path, count: int, seed: int, *, turned: bool = False) -> Path:
    """Labelled rows; `turned`: good is called bad and bad good."""
    dice = random.Random(seed)
    other: dict[Label, Label] = {"negative": "positive", "positive": "negative", "neutral": "neutral"}
    rows = []
    for number in range(count):
        said, label, topic = written(seed * 1_000_000 + number, dice)
        rows.append({"text": said, "lang": "en", "sentiment": other[label] if turned else label, "topics": [topic]})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_recipe(path: Path, version: str, file: str) -> Path:
    path.write_text(
        f'name = "desk"\nversion = "{version}"\nkind = "ngrams"\nlanguages = ["en"]\nprobes = false\n'
        f'[linear]\nbuckets = 4096\nheld_out = 0.2\n[[train]]\nfile = "{file}"\norigin = "the desk"\nlicence = "own"\n',
        encoding="utf-8",
    )
    return path


def write_encoder_recipe(path: Path, version: str, file: str) -> Path:
    path.write_text(
        f'name = "desk"\nversion = "{version}"\nkind = "encoder"\nlanguages = ["en"]\nprobes = false\n'
        '[encoder]\nname = "sentence-transformers/all-MiniLM-L6-v2"\n'
        'revision = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"\n'
        "[schedule]\nepochs = 12\nbatch = 16\nmax_tokens = 32\nheld_out = 0.15\n"
        f'[[train]]\nfile = "{file}"\norigin = "the desk"\nlicence = "own"\n',
        encoding="utf-8",
    )
    return path


class Feed:
    """Writes one document after another, as long as it is asked to, and remembers what each is."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.truth: list[tuple[Label, str]] = []
        self._topic = topic
        self._producer = KafkaProducer(bootstrap_servers=bootstrap)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        dice = random.Random(99)
        while not self._over.is_set():
            number = len(self.truth)
            said, label, topic = written(number, dice)
            message = {
                "id": str(number),
                "source": "wire",
                "published_at": (START + timedelta(seconds=number)).isoformat(),
                "text": said,
                "lang": "en",
            }
            self._producer.send(self._topic, value=json.dumps(message).encode())
            self.truth.append((label, topic))
            time.sleep(0.02)

    def end(self) -> int:
        """Stop; how many were written."""
        self._over.set()
        self._thread.join()
        with suppress(Exception):
            self._producer.flush(timeout=30)
            self._producer.close(timeout=5)
        return len(self.truth)


@pytest.mark.kafka
@pytest.mark.timeout(420)
def test_labels_become_a_model_that_serves_and_can_be_taken_back(
    kafka_bootstrap: str, make_topic: Callable[..., str], tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    topic = make_topic(1)
    env = environment(
        tmp_path / "data",
        kafka_bootstrap=kafka_bootstrap,
        kafka_topics=topic,
        batch_documents="20",
        engine_device="cpu",
        engine_reload_every="300ms",
    )
    ok(["migrate"], env)
    write_rows(tmp_path / "old.jsonl", 150, 1, turned=True)
    exam = write_rows(tmp_path / "exam.jsonl", 150, 2)
    old = write_recipe(tmp_path / "old.toml", "1.0.0", "old.jsonl")
    folder = ["--data", str(tmp_path)]
    ok(["train", str(old), *folder, "--out", str(tmp_path / "v1"), "--register"], env)
    first = ["models", "promote", "desk", "--exam", str(exam)]
    ok([*first, "--force", "--reason", "the first one"], env)
    database = Database(load(env).settings)

    def column(statement: str) -> list[str]:
        with database.transaction() as connection:
            return [str(row[0]) for row in connection.execute(text(statement))]

    def latest(count: int) -> set[str]:
        rows = column(f"SELECT model FROM scores ORDER BY published_at DESC LIMIT {count}")
        return set(rows) if len(rows) == count else set()

    consumer = Process(["consume"], env)
    feed = Feed(kafka_bootstrap, topic)
    try:
        until(lambda: int(column("SELECT count(*) FROM scores")[0]) >= 250, seconds=120, what="250 scored documents")
        # 1. Two hundred labels, as the dashboard's form gives them.
        with database.transaction() as connection:
            asked = connection.execute(text("SELECT key, id FROM documents ORDER BY published_at LIMIT 200")).all()
            for key, number in asked:
                label, about = feed.truth[int(number)]
                labels.give(connection, UUID(str(key)), "ann", sentiment=label, topics=[about])
        # 2. Exported, taught, measured.
        ok(["labels", "export", str(tmp_path / "labels.jsonl")], env)
        assert len((tmp_path / "labels.jsonl").read_text(encoding="utf-8").splitlines()) == 200
        new = write_encoder_recipe(tmp_path / "new.toml", "1.1.0", "labels.jsonl")
        ok(["train", str(new), *folder, "--out", str(tmp_path / "v2"), "--register"], env)
        told = json.loads(ok(["evaluate", str(tmp_path / "v2"), str(exam), "--quick", "--json"], env))
        assert told["files"][str(exam)]["sentiment"]["accuracy"] > 0.9
        # 3. A name that two versions have is not enough to promote one.
        refused = run(["models", "promote", "desk", "--exam", str(exam)], env)
        assert refused.returncode != 0
        assert b"desk has several versions" in refused.stderr
        # 4. Promoted while documents flow.
        ok(["models", "promote", "desk@1.1.0", "--exam", str(exam)], env)
        until(lambda: latest(40) == {"desk@1.1.0"}, seconds=60, what="documents by the new champion")
        # 5. And rolled back.
        ok(["models", "rollback", "--reason", "to see that it can be"], env)
        until(lambda: latest(40) == {"desk@1.0.0"}, seconds=60, what="documents by the old champion again")
        sent = feed.end()
        until(lambda: column("SELECT sum(next_offset) FROM positions") == [str(sent)], seconds=60, what="every offset")
        assert consumer.stop() == 0
    finally:
        feed.end()
        consumer.end()
        print(consumer.output[-3000:])

    ids = column("SELECT id FROM documents ORDER BY published_at")
    models = column("SELECT model FROM documents JOIN scores USING (published_at, key) ORDER BY published_at")
    said = column("SELECT label FROM documents JOIN scores USING (published_at, key) ORDER BY published_at")
    assert ids == [str(number) for number in range(sent)]
    assert len(models) == sent
    assert [model for model, _ in groupby(models)] == ["desk@1.0.0", "desk@1.1.0", "desk@1.0.0"]
    right = {model: [] for model in set(models)}
    for model, label, (truth, _) in zip(models, said, feed.truth, strict=True):
        right[model].append(label == truth)
    assert sum(right["desk@1.1.0"]) / len(right["desk@1.1.0"]) > 0.9
    assert sum(right["desk@1.0.0"]) / len(right["desk@1.0.0"]) < 0.6
    # A candidate that is worse is refused, and says why.
    worse = run(
        ["models", "promote", "desk@1.1.0", "--exam", str(write_rows(tmp_path / "t.jsonl", 150, 3, turned=True))], env
    )
    assert worse.returncode != 0
    assert b"significantly worse" in worse.stderr
    database.close()
