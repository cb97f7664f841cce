"""classify, replay, backfill and alerts, as their users run them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.acceptance.feeds import steady, with_crisis
from tests.acceptance.processes import Process, environment, ok, run, until, write_feed


def status(env: dict[str, str], *more: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(ok(["status", "--json", *more], env))
    return found


def test_classify_adds_what_was_found_and_keeps_the_fields(tmp_path: Path) -> None:
    lines = [
        {"text": "Boeing misses estimates and cuts its outlook, shares plunge", "mine": [1]},
        {"title": "Apple beats estimates", "lang": "en"},
        {"text": "贵州茅台净利润同比增长35%，超出市场预期"},
        {"text": "Los precios del petróleo suben por tercer día consecutivo en los mercados"},
    ]
    feed = tmp_path / "texts.jsonl.gz"
    feed.write_bytes(gzip.compress("\n".join(json.dumps(line) for line in lines).encode()))
    env = environment(tmp_path / "data")
    ok(["classify", str(feed), "--out", str(tmp_path / "out.jsonl")], env)
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [item["lang"] for item in found] == ["en", "en", "zh", "es"]
    assert found[0]["sentiment"]["label"] == "negative" and found[0]["companies"] == ["BA"] and found[0]["mine"] == [1]
    assert found[1]["sentiment"]["label"] == "positive" and found[1]["companies"] == ["AAPL"]
    assert found[2]["sentiment"]["label"] == "positive" and found[2]["companies"] == ["600519.SH"]
    assert found[3]["sentiment"] is None and found[3]["model"] is None and found[3]["topics"] == []
    assert found[0]["model"] != found[2]["model"]
    for item in found[:3]:
        three = [item["sentiment"][label] for label in ("negative", "neutral", "positive")]
        assert sum(three) == pytest.approx(1, abs=3e-4)
        probabilities = [topic["probability"] for topic in item["topics"]]
        assert probabilities == sorted(probabilities, reverse=True)


def test_classify_marks_what_it_cannot_use_and_goes_on(tmp_path: Path) -> None:
    sent = b'{"text": "Shares fall"}\nnot json\n{"title": 7}\n[]\n{"text": "Shares rise"}\n'
    done = run(["classify"], environment(tmp_path / "data"), stdin=sent)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [item.get("line") for item in found] == [None, 2, 3, 4, None]
    assert done.stderr.decode().splitlines()[-1].startswith("bellwether: 3 of 5 lines")


def test_replay_that_was_killed_goes_on_to_the_same_alerts(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    feed = write_feed(tmp_path / "feed.jsonl", with_crisis(700, days=5, crisis=50))
    env = environment(tmp_path / "data", batch_documents="20")
    whole, halves = tmp_path / "whole.jsonl", tmp_path / "halves.jsonl"
    ok(["replay", str(feed), "--name", "whole", "--alerts", str(whole)], env)
    killed = Process(["replay", str(feed), "--name", "halves"], env)
    try:
        until(lambda: run(["status", "--json", "--name", "halves"], env).returncode == 0, seconds=60, what="the replay")
        until(lambda: int(str(status(env, "--name", "halves")["documents"])) >= 40, seconds=60, what="documents")
    finally:
        killed.end()
    before = int(str(status(env, "--name", "halves")["documents"]))
    ok(["replay", str(feed), "--name", "halves", "--resume", "--alerts", str(halves)], env)
    after = status(env, "--name", "halves")
    assert 40 <= before <= 750 and after["documents"] == 750 and after["late"] == 0
    assert whole.read_bytes() and halves.read_bytes() == whole.read_bytes()


def test_paced_replay_waits_for_its_documents_and_can_be_interrupted(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    feed = write_feed(tmp_path / "feed.jsonl", steady(3, days=1))
    env = environment(tmp_path / "data")
    replay = Process(["replay", str(feed), "--name", "paced", "--speed", "60x"], env)
    try:
        # The first document is shown at once; the second is due eight hours later, in eight minutes.
        until(lambda: run(["status", "--json", "--name", "paced"], env).returncode == 0, seconds=60, what="the replay")
        until(lambda: status(env, "--name", "paced")["documents"] == 1, seconds=60, what="the first document")
        assert replay.running
        replay.interrupt()
        assert replay.wait(20) == 130, replay.output
    finally:
        replay.end()
    assert status(env, "--name", "paced")["documents"] == 1


def test_backfill_is_history_that_raises_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    feed = write_feed(tmp_path / "feed.jsonl", with_crisis(400, days=5, crisis=50))
    env = environment(tmp_path / "data")
    ok(["migrate"], env)
    ok(["replay", str(feed), "--backfill"], env)
    ok(["schedule", "--once"], env)
    found = status(env)
    assert found["documents"] == 450
    assert found["alerts"] == {"open": 0, "acknowledged": 0, "resolved": 0}
    # A second time, nothing is added.
    ok(["replay", str(feed), "--backfill"], env)
    assert status(env)["documents"] == 450


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["replay", "FEED", "--speed", "fast"], "--speed"),
        (["replay", "FEED", "--name", "Not A Name"], "name"),
        (["alerts", "--name", "nobody"], "nobody"),
        (["replay", "CUT"], "cut.jsonl.gz"),
        (["replay", "ODD"], "odd.xyz"),
        (["status", "--name", "nobody"], "nobody"),
    ],
)
def test_users_mistake_is_one_clear_line(tmp_path: Path, arguments: list[str], word: str) -> None:
    tmp_path.chmod(0o755)
    feed = write_feed(tmp_path / "feed.jsonl", steady(3, days=1))
    (tmp_path / "odd.xyz").write_text("?")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(feed.read_bytes())[:-20])
    names = {"FEED": str(feed), "ODD": str(tmp_path / "odd.xyz"), "CUT": str(tmp_path / "cut.jsonl.gz")}
    done = run([names.get(argument, argument) for argument in arguments], environment(tmp_path / "data"))
    said = [line for line in done.stderr.decode().splitlines() if line.startswith("bellwether:")]
    assert done.returncode == 1
    assert len(said) == 1 and word in said[0]
    assert "Traceback" not in done.stderr.decode()
