"""A small record made by hand: two weeks of talk in two languages, a crisis, an alert, and some odd documents."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from monitor.documents import Document, Kind, Origin, Received, Rejected, Sentiment, TopicScore, Understanding
from monitor.store.database import Database
from monitor.store.writer import Batch, Read, Writer

LATENESS = timedelta(minutes=5)
ALERT = "a1b2c3d4e5f60718"
SCRIPT = "<script>document.title = 'run'</script>"
MARKUP = "<b>bold</b> <img src=x onerror=\"document.title='run'\"> & <a href='javascript:1'>link</a>"

_EN = {
    "earnings": ["quarterly profit rises on loan growth", "margin narrows as costs climb", "raises its outlook"],
    "macro": ["central bank leaves rates unchanged", "factory orders slip in the north", "inflation cools again"],
    "legal_regulation": ["regulator opens an inquiry", "settles a patent dispute", "wins an appeal in court"],
    "company_product": ["unveils a faster charger", "recalls a batch of scooters", "opens a plant by the river"],
}
_ZH = {
    "earnings": ["季度净利润同比增长", "毛利率小幅回落", "上调全年业绩指引"],
    "macro": ["央行维持利率不变", "制造业订单略有下滑", "通胀继续降温"],
    "company_product": ["发布新款充电设备", "召回一批滑板车", "新工厂投产"],
}
_NAMES = {"AAPL": "Apple", "JPM": "JPMorgan", "600519.SH": "贵州茅台", "0700.HK": "腾讯控股", "TSLA": "Tesla"}


def document(
    id: str,
    at: datetime,
    words: str,
    *,
    title: str = "",
    lang: str = "en",
    label: str | None = "neutral",
    topics: Sequence[str] = ("macro",),
    companies: Sequence[str] = (),
    toward: Mapping[str, str] | None = None,
    source: str = "wire",
    kind: Kind = "news",
    url: str | None = None,
    extra: dict[str, Any] | None = None,
) -> Read:
    """One message, decoded and understood. `label` None: no model covers its language. `toward`: company to label."""
    strong = {"negative": (0.86, 0.1, 0.04), "neutral": (0.08, 0.83, 0.09), "positive": (0.03, 0.12, 0.85)}
    sentiment = Sentiment(*strong[label]) if label else None
    scored = tuple(TopicScore(topic, 0.9 - i / 10) for i, topic in enumerate(topics)) if label else ()
    understood = Understanding(
        lang,
        tuple(companies),
        hash(words) % 2**62,
        f"{lang}-small@1" if label else None,
        sentiment,
        scored,
        tuple((symbol, Sentiment(*strong[each])) for symbol, each in (toward or {}).items()),
    )
    content = Document(
        id, source, kind, at, title, words, lang, tuple(companies), url, "A. Writer", extra or {"desk": "markets"}
    )
    return Read(Received(Origin(source, 0, 0), content), understood)


def write(database: Database, reads: Iterable[Read]) -> None:
    """Write messages after those that are there, one source a topic."""
    by_source: dict[str, list[Read]] = {}
    for read in reads:
        by_source.setdefault(read.received.origin.topic, []).append(read)
    writer = Writer(database, "browser", LATENESS)
    for source, found in by_source.items():
        with database.transaction() as connection:
            begin = connection.execute(
                text("SELECT next_offset FROM positions WHERE consumer_group = 'browser' AND topic = :topic"),
                {"topic": source},
            ).scalar()
        placed = [
            Read(Received(Origin(source, 0, (begin or 0) + i), read.received.content), read.understanding)
            for i, read in enumerate(found)
        ]
        writer.write(Batch(placed, {(source, 0): begin}, {(source, 0): (begin or 0) + len(placed)}))


def talk(now: datetime, days: int = 14, a_day: int = 60) -> list[Read]:
    """Everyday talk up to `now`, and a crisis of one company in the last three hours."""
    chance = random.Random(7)
    reads = []
    for i in range(days * a_day):
        at = now - timedelta(minutes=chance.uniform(0, days * 24 * 60))
        chinese = chance.random() < 0.35
        topic = chance.choice(list(_ZH if chinese else _EN))
        company = chance.choice(["600519.SH", "0700.HK"] if chinese else ["AAPL", "JPM", "TSLA"])
        phrase = chance.choice((_ZH if chinese else _EN)[topic])
        words = f"{_NAMES[company]}{phrase}，第{i}号报道。" if chinese else f"{_NAMES[company]} {phrase}, report {i}."
        reads.append(
            document(
                f"talk-{i}",
                at,
                words,
                title=words[:40] if i % 2 else "",
                lang="zh" if chinese else "en",
                label=chance.choices(["negative", "neutral", "positive"], [0.2, 0.5, 0.3])[0],
                topics=[topic],
                companies=[company] if topic != "macro" else [],
                source=chance.choice(["wire", "courier", "雪线财经"] if chinese else ["wire", "courier", "forum"]),
                kind="comment" if chance.random() < 0.3 else "news",
                url=f"https://news.example/{i}" if i % 3 else None,
            )
        )
    for i in range(70):
        at = now - timedelta(minutes=chance.uniform(1, 170))
        words = chance.choice(
            ["Tesla halts two lines after a battery fire", "Tesla recalls cars over brakes", "Tesla sued by investors"]
        )
        reads.append(
            document(
                f"crisis-{i}",
                at,
                f"{words}, update {i}.",
                title=words,
                label="negative" if i % 9 else "neutral",
                topics=["company_product", "legal_regulation"],
                companies=["TSLA"],
                source=chance.choice(["wire", "courier", "forum"]),
                url=f"https://news.example/c{i}",
            )
        )
    return sorted(reads, key=lambda read: read.received.content.published_at)  # type: ignore[union-attr]


def oddities(now: datetime) -> list[Read]:
    """Documents that try to be more than text."""
    refused = Rejected("not-json", "line 1 column 1", b"\xff\xfe", 2)
    return [
        document(
            "script",
            now - timedelta(minutes=3),
            f"{MARKUP} body",
            title=f"Shares {SCRIPT} fall",
            label="negative",
            source="<i>evil</i>",
            companies=["<u>X</u>"],
            topics=["<svg onload=alert(1)>"],
            url="javascript:document.title='run'",
        ),
        document(
            "formula", now - timedelta(minutes=4), '=HYPERLINK("http://x","y")', title="@SUM(A1)", source="+forum"
        ),
        document("other", now - timedelta(minutes=5), "Ceny akcji spadły o 5 % (100_000)", lang="pl", label=None),
        Read(Received(Origin("wire", 0, 0), refused), None),
    ]


def raise_alert(database: Database, opened: datetime, *, id: str = ALERT, severity: str = "critical") -> None:
    """An open alert as detection writes it."""
    points = [
        {
            "at": (opened - timedelta(minutes=15 * (96 - i))).isoformat(),
            "observed": 24 + i % 4 * 5 if i > 91 else i % 3,
            "expected": round(1.2 + (i % 32) / 20, 2),
            "lower": 0,
            "upper": 4 + i % 32 // 8,
        }
        for i in range(96)
    ]
    stories = [
        {
            "headline": "Tesla halts two lines after a battery fire",
            "copies": 23,
            "first_seen": (opened - timedelta(minutes=52)).isoformat(),
            "sources": ["wire", "courier"],
            "key": str(document("crisis-1", opened, "").received.content.key),  # type: ignore[union-attr]
            "url": "https://news.example/c1",
        },
        {
            "headline": f"Shares {SCRIPT} fall",
            "copies": 1,
            "first_seen": (opened - timedelta(minutes=20)).isoformat(),
            "sources": ["forum"],
            "key": None,
            "url": "javascript:document.title='run'",
        },
    ]
    evidence = {
        "name": "Tesla",
        "window": {"begin": (opened - timedelta(hours=1)).isoformat(), "end": opened.isoformat()},
        "share": 41 / 44,
        "expected_share": 0.18,
        "stories": stories,
        "stories_total": 3,
        "sources_total": 3,
        "words": [{"word": word, "z": 4.0, "count": 20 - i} for i, word in enumerate(["fire", "recall", "brakes"])],
        "companies": [{"symbol": "TSLA", "name": "Tesla", "count": 62}],
        "topics": [
            {"id": "company_product", "name": "Company and product news", "count": 62},
            {"id": "legal_regulation", "name": "Law and regulation", "count": 40},
        ],
        "sources": [{"name": "wire", "count": 30}, {"name": "courier", "count": 20}, {"name": "forum", "count": 12}],
        "curve": {"step_minutes": 15, "points": points},
    }
    reason = (
        "41 negative of 44 documents in the hour to 14:20 UTC, 2.1 expected (19.5 times, p under 1e-12). "
        f"3 distinct stories from 3 sources; first: “{SCRIPT} Tesla halts two lines”."
    )
    with database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO alerts (id, topic, company, lang, state, severity, opened_at, window_minutes, observed, "
                "total, expected, p_value, reason, evidence, tracked) VALUES (:id, '', 'TSLA', 'en', 'open', "
                ":severity, :opened, 60, 41, 44, 2.1, 3e-13, :reason, :evidence, :tracked)"
            ),
            {
                "id": id,
                "severity": severity,
                "opened": opened,
                "reason": reason,
                "evidence": json.dumps(evidence, ensure_ascii=False),
                "tracked": '{"open": {}}',
            },
        )
        connection.execute(
            text("INSERT INTO alert_events (alert_id, actor, action) VALUES (:id, 'detector', 'open')"), {"id": id}
        )
