"""The tables of the record. `migrations/` makes them; a test holds the two against each other.

No table names a schema: the connection's search path does (`bellwether` for the live record, `replay_…` for
each replay), so the same statements serve all of them.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)

Instant = DateTime(timezone=True)

identities = Table(
    "identities",
    metadata,
    Column("key", Uuid, primary_key=True),
    Column("published_at", Instant, nullable=False, index=True),
    comment="One row a document ever stored. A partitioned table cannot hold a key unique over all its days; this can.",
)

documents = Table(
    "documents",
    metadata,
    Column("published_at", Instant, primary_key=True),
    Column("key", Uuid, primary_key=True),
    Column("id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("lang", Text, nullable=False),
    Column("symbols", ARRAY(Text), nullable=False),
    Column("companies", ARRAY(Text), nullable=False),
    Column("fingerprint", BigInteger, nullable=False),
    Column("url", Text),
    Column("author", Text),
    Column("extra", JSONB, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("received_at", Instant, nullable=False, server_default=func.now()),
    Index("documents_key_idx", "key"),
    Index("documents_companies_idx", "companies", postgresql_using="gin"),
    postgresql_partition_by="RANGE (published_at)",
    comment="Partitioned by day of published_at (UTC).",
)

scores = Table(
    "scores",
    metadata,
    Column("published_at", Instant, primary_key=True),
    Column("key", Uuid, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("negative", REAL, nullable=False),
    Column("neutral", REAL, nullable=False),
    Column("positive", REAL, nullable=False),
    Column("topics", ARRAY(Text), nullable=False),
    Column("topic_probabilities", ARRAY(REAL), nullable=False),
    Column("scored_at", Instant, nullable=False, server_default=func.now()),
    Column("cut", Boolean, nullable=False, server_default=text("false"), comment="longer than the model reads"),
    Index("scores_topics_idx", "topics", postgresql_using="gin"),
    Index("scores_cut_idx", "key", postgresql_where=text("cut")),
    postgresql_partition_by="RANGE (published_at)",
    comment="One row a document and model; scoring again adds rows. Partitioned by day of published_at (UTC).",
)

company_scores = Table(
    "company_scores",
    metadata,
    Column("published_at", Instant, primary_key=True),
    Column("key", Uuid, primary_key=True),
    Column("company", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("negative", REAL, nullable=False),
    Column("neutral", REAL, nullable=False),
    Column("positive", REAL, nullable=False),
    postgresql_partition_by="RANGE (published_at)",
    comment="Sentiment toward each company of a document that names several; where there is no row the document's own "
    "counts. Partitioned by day of published_at (UTC).",
)

shadow_scores = Table(
    "shadow_scores",
    metadata,
    Column("published_at", Instant, primary_key=True),
    Column("key", Uuid, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("negative", REAL, nullable=False),
    Column("neutral", REAL, nullable=False),
    Column("positive", REAL, nullable=False),
    Column("topics", ARRAY(Text), nullable=False),
    Column("topic_probabilities", ARRAY(REAL), nullable=False),
    Column("scored_at", Instant, nullable=False, server_default=func.now()),
    Column("companies", ARRAY(Text), nullable=False, server_default=text("'{}'"), comment="those it told apart"),
    Column("company_labels", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("company_scores", ARRAY(REAL), nullable=False, server_default=text("'{}'"), comment="positive - negative"),
    postgresql_partition_by="RANGE (published_at)",
    comment="What a model in shadow mode would have said; nothing is judged on it. Partitioned by day of published_at.",
)

rollups = Table(
    "rollups",
    metadata,
    Column("minute", Instant, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("company", Text, primary_key=True),
    Column("lang", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("late", Boolean, primary_key=True),
    Column("total", Integer, nullable=False),
    Column("negative", Integer, nullable=False),
    Column("neutral", Integer, nullable=False),
    Column("positive", Integer, nullable=False),
    Column("score_sum", BigInteger, nullable=False),
    Index("rollups_series_idx", "topic", "company", "lang", "minute"),
    postgresql_partition_by="RANGE (minute)",
    comment="Counts per minute of event time. An empty topic or company stands for any: a document counts once in each "
    "of its series. total includes unscored documents. score_sum is in ten-thousandths. Partitioned by month.",
)

rejected = Table(
    "rejected",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("received_at", Instant, nullable=False, server_default=func.now(), index=True),
    Column("reason", Text, nullable=False, index=True),
    Column("detail", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
)

positions = Table(
    "positions",
    metadata,
    Column("consumer_group", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, comment="the offset to read next; null: never read"),
    Column("event_time_high", Instant, comment="the latest event time committed"),
    Column("last_message_at", Instant, comment="wall clock of the last committed message"),
    Column("caught_up_at", Instant, comment="wall clock when a consumer last stood at the end of the partition"),
    Column("closed", Boolean, nullable=False, server_default=text("false"), comment="no message will follow"),
    comment="How far each partition was read. Postgres, not Kafka, is the truth for offsets.",
)

clock = Table(
    "clock",
    metadata,
    Column("id", SmallInteger, primary_key=True, server_default=text("1"), autoincrement=False),
    Column("watermark", Instant, comment="no on-time document before this will be added"),
    Column("judged_through", Instant, comment="every minute that ends at or before this was judged"),
    CheckConstraint("id = 1", name="one_row"),
    comment="Event time of the service: a single row.",
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True, comment="a hash of the series and the opening minute"),
    Column("topic", Text, nullable=False),
    Column("company", Text, nullable=False),
    Column("lang", Text, nullable=False),
    Column("state", Text, nullable=False, comment="open, acknowledged or resolved"),
    Column("severity", Text, nullable=False, comment="warning or critical"),
    Column("opened_at", Instant, nullable=False, index=True),
    Column("resolved_at", Instant),
    Column("window_minutes", Integer, nullable=False),
    Column("observed", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("expected", Double, nullable=False),
    Column("p_value", Double, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", JSONB, nullable=False, comment="stories, words, companies and sources behind it"),
    Column("tracked", JSONB, nullable=False, comment="state of the hysteresis, to go on after a restart"),
    Column("acknowledged_at", Instant),
    Column("acknowledged_by", Text),
    Column("resolved_by", Text, comment="who resolved it by hand; null: it calmed down"),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    Column("updated_at", Instant, nullable=False, server_default=func.now(), index=True),
    Index("alerts_active_idx", "state", postgresql_where=text("state <> 'resolved'")),
    CheckConstraint("state in ('open', 'acknowledged', 'resolved')", name="state"),
)

alert_events = Table(
    "alert_events",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("alert_id", Text, ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", Instant, nullable=False, server_default=func.now()),
    Column("actor", Text, nullable=False, comment="a user, or `detector`"),
    Column("action", Text, nullable=False, comment="open, escalate, acknowledge, reopen, comment or resolve"),
    Column("note", Text, nullable=False, server_default=text("''")),
    comment="What happened to each alert, in order.",
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("alert_id", Text, ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("event", Text, nullable=False, comment="open, escalate, repeat or resolve"),
    Column("channel", Text, nullable=False, comment="email or webhook"),
    Column("target", Text, nullable=False, comment="the receiver: an address or a URL"),
    Column("idempotency_key", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_at", Instant, nullable=False, server_default=func.now()),
    Column("last_error", Text),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    Column("sent_at", Instant),
    UniqueConstraint("idempotency_key"),
    Index("outbox_due_idx", "next_attempt_at", postgresql_where=text("state = 'pending'")),
    CheckConstraint("state in ('pending', 'sent', 'dead')", name="state"),
    comment="Notifications, written in the transaction of the alert they tell of, delivered at least once.",
)

users = Table(
    "users",
    metadata,
    Column("name", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
)

models = Table(
    "models",
    metadata,
    Column("model", Text, primary_key=True, comment="name@version"),
    Column("languages", ARRAY(Text), nullable=False),
    Column("stage", Text, nullable=False, comment="candidate, champion or archived"),
    Column(
        "serves", ARRAY(Text), nullable=False, server_default=text("'{}'"), comment="languages it is the champion of"
    ),
    Column("shadow", Boolean, nullable=False, server_default=text("false"), comment="scores beside the champion"),
    Column("folder", Text, nullable=False, comment="the bundle, below the registry's folder"),
    Column("digest", Text, nullable=False, comment="SHA-256 of its bundle.json"),
    Column("parent", Text, comment="the model it was taught on from, if any"),
    Column("lineage", JSONB, nullable=False, comment="recipe, data files and their hashes, seed, versions"),
    Column("metrics", JSONB, nullable=False),
    Column("registered_at", Instant, nullable=False, server_default=func.now()),
    Column("registered_by", Text, nullable=False),
    CheckConstraint("stage in ('candidate', 'champion', 'archived')", name="stage"),
    CheckConstraint("(stage = 'champion') = (serves <> '{}')", name="serves"),
    comment="The registry. The champion of a language scores its documents.",
)

model_events = Table(
    "model_events",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("at", Instant, nullable=False, server_default=func.now()),
    Column("actor", Text, nullable=False),
    Column("model", Text, nullable=False, index=True),
    Column("action", Text, nullable=False, comment="register, promote, refuse, rollback, archive, shadow or unshadow"),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("details", JSONB, nullable=False, comment="what it replaced, and the comparison that allowed it"),
    comment="What was done with models, in order.",
)

labels = Table(
    "labels",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("key", Uuid, nullable=False, comment="the document"),
    Column(
        "company", Text, nullable=False, server_default=text("''"), comment="toward whom; empty: the text as a whole"
    ),
    Column("actor", Text, nullable=False),
    Column("sentiment", Text, comment="null: not said"),
    Column("topics", ARRAY(Text), comment="null: not said; empty: none of them"),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("lang", Text, nullable=False),
    Column("published_at", Instant, nullable=False),
    Column("note", Text, nullable=False, server_default=text("''")),
    Column(
        "origin", Text, nullable=False, server_default=text("''"), comment="page, an import's file, or why it was asked"
    ),
    Column("labelled_at", Instant, nullable=False, server_default=func.now(), index=True),
    Column("kind", Text, comment="news or comment, as the document's; null: not known"),
    UniqueConstraint("key", "company", "actor"),
    CheckConstraint("sentiment in ('negative', 'neutral', 'positive')", name="sentiment"),
    comment="What people said of documents. The text is kept with it: labels outlive the documents' retention.",
)
