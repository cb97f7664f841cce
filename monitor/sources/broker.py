"""How Kafka is reached: client options from the settings, errors in words, and short looks at the log.

The only other modules that touch kafka-python are `kafka.py` (reading) and `produce.py` (writing).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import (
    AuthorizationError,
    KafkaConfigurationError,
    KafkaError,
    KafkaTimeoutError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
from kafka.net.compat import KafkaNetClient
from kafka.net.sasl.oauth import AbstractTokenProvider

from monitor.errors import BrokerError, SettingsError
from monitor.settings import KafkaSettings
from monitor.sources.last_words import keep_last_words

Partition = tuple[str, int]
"""Topic and partition number."""

Client = TypeVar("Client")
_REFUSALS = (AuthorizationError, SaslAuthenticationFailedError, UnsupportedSaslMechanismError)
_SETTING = "kafka.bootstrap (BELLWETHER_KAFKA_BOOTSTRAP)"


class _Token(AbstractTokenProvider):
    """OAUTHBEARER with a token given as kafka.password."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token

    def token(self) -> str:
        return self._token


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """The options every kafka-python client of ours is made with.

    The library's own time-outs (30 s a request, reconnecting after up to 30 s) are cut, so that a dead broker is
    noticed and one that is back is found within seconds.

    Raises:
        SettingsError: SASL is asked for, but not how, or a certificate file is not there.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": [part.strip() for part in settings.bootstrap.split(",") if part.strip()],
        "client_id": "bellwether",
        "bootstrap_timeout_ms": round(settings.timeout * 1000),
        "request_timeout_ms": 10_000,
        "reconnect_backoff_ms": 50,
        "reconnect_backoff_max_ms": 2_000,
        "retry_backoff_ms": 100,
        "security_protocol": settings.security,
    }
    for option, key in (("ssl_cafile", "ca_file"), ("ssl_certfile", "cert_file"), ("ssl_keyfile", "key_file")):
        path = getattr(settings, key)
        if path is not None:
            if not path.is_file():
                raise SettingsError(f"setting kafka.{key} (BELLWETHER_KAFKA_{key.upper()}): there is no file {path}")
            options[option] = str(path)
    if settings.security.startswith("SASL"):
        options |= _sasl(settings)
    return options


def _sasl(settings: KafkaSettings) -> dict[str, Any]:
    mechanism = settings.sasl_mechanism
    password = settings.password.get_secret_value() if settings.password else None
    if not mechanism:
        raise SettingsError(
            f"kafka.security is {settings.security}, "
            "but kafka.sasl_mechanism (BELLWETHER_KAFKA_SASL_MECHANISM) is not set"
        )
    if mechanism == "GSSAPI":
        return {"sasl_mechanism": mechanism}
    if not password or (mechanism != "OAUTHBEARER" and not settings.username):
        wanted = "kafka.password with the token" if mechanism == "OAUTHBEARER" else "kafka.username and kafka.password"
        raise SettingsError(f"kafka.sasl_mechanism is {mechanism}, which needs {wanted}")
    if mechanism == "OAUTHBEARER":
        return {"sasl_mechanism": mechanism, "sasl_oauth_token_provider": _Token(password)}
    return {
        "sasl_mechanism": mechanism,
        "sasl_plain_username": settings.username,
        "sasl_plain_password": password,
    }


def connected(make: Callable[..., Client], settings: KafkaSettings, **more: Any) -> Client:
    """Make a kafka-python client that has spoken with the broker.

    Args:
        make: `KafkaConsumer`, `KafkaProducer` or `KafkaAdminClient`.
        more: options beside `client_options`.

    Raises:
        BrokerError: the broker was not reached within `settings.timeout`, or it refuses us.
        SettingsError: an option cannot be used.
    """
    tame_logging()
    # A client that fails to come up leaves its network thread behind and gives no handle to end it, and of why its
    # connections failed it tells nothing but its log: both are had from the part that connects.
    begun: list[KafkaNetClient] = []
    failures: list[Exception] = []

    def network(**options: Any) -> KafkaNetClient:
        client = KafkaNetClient(**options)
        begun.append(client)
        keep_last_words(client._manager)
        connection_to = client._manager.get_connection

        def watched(*arguments: Any, **named: Any) -> Any:
            connection = connection_to(*arguments, **named)
            connection.init_future.add_errback(failures.append)
            return connection

        client._manager.get_connection = watched
        return client

    try:
        return make(**client_options(settings) | more, kafka_client=network)
    except (KafkaError, OSError, ValueError) as error:
        for client in begun:
            client.close()
        # After a refused login the client tries again, and the last attempt may have been cut short.
        cause = next((failure for failure in failures if refused(failure)), failures[-1] if failures else None)
        raise translated(error, settings, cause) from None


@contextmanager
def broker_errors(settings: KafkaSettings) -> Iterator[None]:
    """Turns the library's errors into ours."""
    try:
        yield
    except KafkaError as error:
        raise translated(error, settings) from None


def refused(error: Exception) -> bool:
    """Whether the broker says no to us for good: trying again is useless until somebody changes something."""
    return isinstance(error, _REFUSALS)


def translated(
    error: Exception, settings: KafkaSettings, cause: Exception | None = None
) -> BrokerError | SettingsError:
    """An error of the library in our words, naming the setting to change; `cause` is why connections failed."""
    where = f"Kafka at {settings.bootstrap}"
    if any(isinstance(one, SaslAuthenticationFailedError | UnsupportedSaslMechanismError) for one in (error, cause)):
        return BrokerError(f"{where} refuses our login; check kafka.username, kafka.password and kafka.sasl_mechanism")
    if isinstance(error, AuthorizationError):
        return BrokerError(f"{where} forbids it ({_words(error)}); ask for access to kafka.topics and kafka.group")
    if isinstance(error, KafkaTimeoutError | OSError):
        why = f" ({_words(cause)})" if cause else ""
        tls = "kafka.security and kafka.ca_file" if "SSL" in settings.security else "kafka.security if it asks for TLS"
        return BrokerError(
            f"{where} did not answer within {settings.timeout:g} s{why}; start it, or check {_SETTING}, {tls}"
        )
    if isinstance(error, KafkaConfigurationError | ValueError):
        return SettingsError(f"Kafka cannot be used as set up: {_words(error)}; check {_SETTING} and its neighbours")
    return BrokerError(f"{where}: {_words(error)}; check {_SETTING}")


def _words(error: Exception) -> str:
    return " ".join(str(error).split()).removeprefix(f"{type(error).__name__}: ")[:300] or type(error).__name__


def tame_logging() -> None:
    """Keep kafka-python's own log lines back, a dozen for each lost connection; what matters we say ourselves.

    Whoever logs at DEBUG hears them all.
    """
    debugging = logging.getLogger().isEnabledFor(logging.DEBUG)
    logging.getLogger("kafka").setLevel(logging.NOTSET if debugging else logging.CRITICAL + 1)


def bounds(settings: KafkaSettings) -> dict[Partition, tuple[int, int]]:
    """First offset and end (the offset the next message will get) of each partition of `kafka.topics`.

    A topic that does not exist has no partitions here. Uses a client of its own, for a second or less.

    Raises:
        BrokerError: Kafka cannot be reached.
    """
    consumer = connected(KafkaConsumer, settings, allow_auto_create_topics=False, metrics_enabled=False)
    try:
        with broker_errors(settings):
            existing = consumer.topics()
            found = [
                TopicPartition(topic, number)
                for topic in settings.topics
                if topic in existing
                for number in sorted(consumer.partitions_for_topic(topic))
            ]
            if not found:
                return {}
            known = log_bounds(consumer, found, settings.timeout)
            return {(at.topic, at.partition): ends for at, ends in known.items()}
    finally:
        consumer.close(autocommit=False, timeout_ms=1_000)


def log_bounds(
    consumer: KafkaConsumer, partitions: Sequence[TopicPartition], seconds: float
) -> dict[TopicPartition, tuple[int, int]]:
    """First offset and end of some partitions, asked of the broker now; raises kafka-python's errors."""
    first = consumer.beginning_offsets(partitions, timeout_ms=round(seconds * 1000))
    end = consumer.end_offsets(partitions, timeout_ms=round(seconds * 1000))
    return {at: (first[at], end[at]) for at in partitions}


def start(stored: int | None, first: int, end: int) -> int:
    """Where reading a partition begins: at the stored offset, or at the first if the log no longer holds that one."""
    return first if stored is None or not first <= stored <= end else stored


def lag(settings: KafkaSettings, stored: Mapping[Partition, int]) -> dict[Partition, int]:
    """Messages of each partition that wait to be read, given the offsets up to which they are stored.

    Raises:
        BrokerError: Kafka cannot be reached.
    """
    return {
        partition: end - start(stored.get(partition), first, end)
        for partition, (first, end) in bounds(settings).items()
    }
