"""A staged feed: some quiet days of three companies, then a burst, a storm of copies and a man who shouts.

Documents come with a hand-made understanding, so that no model is needed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from monitor.documents import Document, Kind, Origin, Received, Sentiment, TopicScore, Understanding
from monitor.store import positions
from monitor.store.database import Database
from monitor.store.writer import Batch, Read, Writer
from monitor.understand.novelty import fingerprint

GROUP = "staged"
START = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 6
BURST = START + timedelta(days=4, hours=13)  # real: many stories of HLVN
COPIES = START + timedelta(days=4, hours=20)  # one story of CANG, forty times
SHOUT = START + timedelta(days=5, hours=3)  # one account on ORLN, forty posts
COMPANIES = ("CANG", "HLVN", "ORLN")

_VOCABULARY = """
    margin factory contract branch dividend audit tender pipeline licence refinery vessel warehouse
    reviews opens delays signs widens trims extends files closes moves tests names
    north harbour valley coast capital border island delta plain lake ridge port
"""
_WORDS = _VOCABULARY.split()


def read(
    number: int,
    at: datetime,
    company: str,
    text: str,
    *,
    negative: bool,
    kind: Kind = "news",
    author: str | None = None,
    source: str = "wire",
) -> Read:
    document = Document(str(number), source, kind, at, "", text, symbols=(company,), author=author)
    understanding = Understanding(
        "en",
        (company,),
        fingerprint(text),
        "en@1",
        Sentiment(0.8, 0.1, 0.1) if negative else Sentiment(0.1, 0.8, 0.1),
        (TopicScore("legal_regulation", 0.9),) if number % 5 == 0 else (),
    )
    return Read(Received(Origin("news", 0, number), document), understanding)


def feed(*, burst: bool = True) -> list[Read]:
    """The documents, by time; offsets count from 0."""
    dice = random.Random(7)

    def said(company: str) -> str:
        return f"{company} {' '.join(dice.sample(_WORDS, 6))} {dice.randrange(10_000)}"

    drafts: list[tuple[datetime, str, str, bool, Kind, str | None, str]] = []
    for hour in range(24 * DAYS):
        for company in COMPANIES:
            for _ in range(dice.choice((1, 1, 2, 3))):
                at = START + timedelta(hours=hour, seconds=dice.randrange(3600))
                drafts.append((at, company, said(company), dice.random() < 0.15, "news", None, "wire"))
    if burst:
        for _ in range(45):
            at = BURST + timedelta(seconds=dice.randrange(2400))
            text = f"{said('HLVN')} depositors withdraw funding"
            drafts.append((at, "HLVN", text, True, "news", None, dice.choice(("wire", "desk", "gazette"))))
    for number in range(40):
        at = COPIES + timedelta(seconds=dice.randrange(1800))
        text = f"RT @reader{number}: CANG recalls every lift it has sold since spring https://t.example/{number}"
        drafts.append((at, "CANG", text, True, "comment", f"reader{number}", "boards"))
        at = SHOUT + timedelta(seconds=dice.randrange(1800))
        drafts.append((at, "ORLN", f"{said('ORLN')} is doomed", True, "comment", "bear99", "boards"))
    drafts.sort(key=lambda draft: draft[:3])
    return [
        read(number, at, company, text, negative=negative, kind=kind, author=author, source=source)
        for number, (at, company, text, negative, kind, author, source) in enumerate(drafts)
    ]


def write(database: Database, reads: Sequence[Read], lateness: timedelta = timedelta(minutes=5)) -> None:
    """Write one batch, going on at the stored offset."""
    with database.transaction() as connection:
        begin: Mapping[positions.Partition, int] = positions.offsets(connection, GROUP, [("news", 0)])
    partition = ("news", 0)
    following = reads[-1].received.origin.offset + 1
    Writer(database, GROUP, lateness).write(Batch(reads, {partition: begin.get(partition)}, {partition: following}))


def close(database: Database) -> None:
    """Say that nothing follows."""
    with database.transaction() as connection:
        positions.close(connection, GROUP, [("news", 0)])
