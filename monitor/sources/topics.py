"""Topics that are to be written to: that they exist, and how much they take."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from monitor.errors import BrokerError
from monitor.settings import KafkaSettings
from monitor.sources.broker import broker_errors, connected

DEFAULT_LIMIT = 1_048_588
"""Kafka's own default of `max.message.bytes`, for brokers that do not tell."""


def ensure_topics(settings: KafkaSettings, topics: Sequence[str], partitions: int | None) -> dict[str, int]:
    """See that topics exist; make the missing ones with so many partitions each.

    Returns:
        For each topic the bytes a batch of messages may have at most (`max.message.bytes`).

    Raises:
        BrokerError: one is missing and `partitions` is None, or it cannot be made.
    """
    admin = connected(KafkaAdminClient, settings)
    try:
        with broker_errors(settings):
            missing = sorted(set(topics) - set(admin.list_topics()))
            if missing and partitions is None:
                raise BrokerError(
                    f"Kafka at {settings.bootstrap} has no topic {', '.join(missing)}; "
                    "create it, let --partitions N create it, or name another"
                )
            if missing:
                # Another producer may create it at the same moment; then it is there, which is what we want.
                with suppress(TopicAlreadyExistsError):
                    admin.create_topics({topic: {"num_partitions": partitions} for topic in missing})
                admin.wait_for_topics(missing, timeout_ms=round(settings.timeout * 1000))
            return {topic: _limit(admin, topic) for topic in set(topics)}
    finally:
        admin.close()


def _limit(admin: KafkaAdminClient, topic: str) -> int:
    """What one may write need not be what one may ask about: without an answer it is Kafka's default."""
    wanted = ConfigResource(ConfigResourceType.TOPIC, topic, ["max.message.bytes"])
    with suppress(KafkaError, KeyError, TypeError, ValueError):
        found = admin.describe_configs([wanted], config_filter="all")
        return int(found["topic"][topic]["max.message.bytes"]["value"])
    return DEFAULT_LIMIT
