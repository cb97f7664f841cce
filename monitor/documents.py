"""The value types that flow through the pipeline, from a message to an alert."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal
from uuid import UUID

Kind = Literal["news", "comment"]
Label = Literal["negative", "neutral", "positive"]
LABELS: tuple[Label, ...] = ("negative", "neutral", "positive")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message was read: a Kafka topic, partition and offset, or an archive and its line.

    For an archive `topic` is the stream's name, `partition` 0 and `offset` the record's number from 0.
    `event_time_high` is the latest event time the producer had written when it wrote this message, if it
    said so: it lets a partition that holds a thin slice of a feed know how far the whole feed has come.
    """

    topic: str
    partition: int
    offset: int
    event_time_high: datetime | None = None


@dataclass(frozen=True)
class Document:
    """One message that can be used.

    `published_at` is the event time, in UTC. `lang` is what the source declared (ISO 639-1) or None.
    `symbols` are the source's own company tags, upper case. `extra` keeps the fields we do not know.
    """

    id: str
    source: str
    kind: Kind
    published_at: datetime
    title: str
    text: str
    lang: str | None = None
    symbols: tuple[str, ...] = ()
    url: str | None = None
    author: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def key(self) -> UUID:
        """The identity of the document: 128 bits of a hash of (source, id)."""
        digest = hashlib.blake2b(f"{self.source}\x00{self.id}".encode(), digest_size=16).digest()
        return UUID(bytes=digest)

    @cached_property
    def body(self) -> str:
        """What is read and classified: the title, then the text (a text that repeats its title counts once)."""
        if not self.title or self.text.startswith(self.title):
            return self.text or self.title
        return f"{self.title}\n{self.text}" if self.text else self.title


def derived_id(source: str, published_at: datetime, text: str) -> str:
    """The id of a document that came without one: a hash of (source, published_at, text)."""
    seed = f"{source}\x00{published_at.isoformat()}\x00{text}".encode()
    return hashlib.blake2b(seed, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that cannot be used: why, and its bytes, cut at a bound.

    `reason` is a short code (`not-json`, `no-text` …) to group by; `detail` says it in words.
    `size` is the whole message's length in bytes, also when `raw` was cut.
    """

    reason: str
    detail: str
    raw: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came in: its origin and what decoding made of it."""

    origin: Origin
    content: Document | Rejected


@dataclass(frozen=True, slots=True)
class Sentiment:
    """Calibrated probabilities, each in [0, 1], summing to 1 within rounding; `label` is the likeliest."""

    negative: float
    neutral: float
    positive: float

    @property
    def label(self) -> Label:
        """The likeliest class; a tie goes to neutral, then negative."""
        best = max(self.negative, self.neutral, self.positive)
        if self.neutral == best:
            return "neutral"
        return "negative" if self.negative == best else "positive"

    @property
    def score(self) -> float:
        """Positive less negative probability, in [-1, 1]."""
        return self.positive - self.negative

    def as_dict(self) -> dict[str, Any]:
        """The label and the three probabilities."""
        return {
            "label": self.label,
            "negative": self.negative,
            "neutral": self.neutral,
            "positive": self.positive,
        }


@dataclass(frozen=True, slots=True)
class TopicScore:
    """A topic's id in the taxonomy and its probability in [0, 1]."""

    id: str
    probability: float


@dataclass(frozen=True, slots=True)
class Understanding:
    """What was made of one document.

    `lang` is an ISO 639-1 code or "und". `model` is "name@version" of the bundle that scored the text; None
    when no bundle covers its language: then there is no sentiment and there are no topics.
    `companies` are watch-list symbols. `fingerprint` is a signed 64-bit SimHash of the normalised text: texts
    whose fingerprints differ in few bits tell the same story.
    `toward` is the sentiment toward each company of a text that concerns several, in the order the text mentions them;
    empty where the whole text's stands for all of them. `cut`: the text is longer than the model reads.
    """

    lang: str
    companies: tuple[str, ...]
    fingerprint: int
    model: str | None = None
    sentiment: Sentiment | None = None
    topics: tuple[TopicScore, ...] = ()
    toward: tuple[tuple[str, Sentiment], ...] = ()
    cut: bool = False

    def toward_company(self, symbol: str) -> Sentiment | None:
        """The sentiment toward a company: its own where it has one, else the whole text's; None: nothing scored it."""
        return dict(self.toward).get(symbol, self.sentiment)


@dataclass(frozen=True, slots=True)
class ShadowScore:
    """What a model in shadow mode says of one document; nothing is judged on it. `model` is name@version.

    `toward` as in `Understanding`.
    """

    published_at: datetime
    key: UUID
    model: str
    sentiment: Sentiment
    topics: tuple[TopicScore, ...]
    toward: tuple[tuple[str, Sentiment], ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """What is counted and judged: everything, a topic, a company, or a company within a topic, in one language.

    An empty string stands for "any". The printed form is `topic/company/lang` with `*` for any.
    """

    topic: str
    company: str
    lang: str

    def __str__(self) -> str:
        return "/".join(part or "*" for part in (self.topic, self.company, self.lang))

    @classmethod
    def parse(cls, text: str) -> Series:
        """The reverse of `str(series)`; raises ValueError on anything else."""
        parts = text.split("/")
        if len(parts) != 3:
            raise ValueError(f"a series reads topic/company/lang, not {text!r}")
        return cls(*("" if part == "*" else part for part in parts))
