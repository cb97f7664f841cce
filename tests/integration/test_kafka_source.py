"""Reading from a real broker: offsets kept by us, partitions shared, and a broker that goes away and comes back."""

from __future__ import annotations

import logging
import socket
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from monitor.errors import BrokerError, SettingsError
from monitor.sources.broker import bounds, lag
from monitor.sources.event_time import EVENT_TIME_HIGH
from monitor.sources.kafka import KafkaSource
from monitor.sources.produce import produce
from tests.broker import PASSWORD, USER, Broker, free_port
from tests.kafka.fixtures import create_topic
from tests.kafka.members import Member, kafka_settings, send, until

pytestmark = pytest.mark.kafka


def numbers(start: int, end: int) -> list[str]:
    return [f"m{number}" for number in range(start, end)]


def test_partition_is_read_from_its_first_message_in_order(kafka_bootstrap: str, make_topic: Callable[..., str]):
    topic = make_topic(3)
    for partition in range(3):
        send(kafka_bootstrap, topic, numbers(0, 200), partition)
    with Member(kafka_settings(kafka_bootstrap, topic)) as member:
        until(lambda: len(member.messages) >= 600, member)
        assert member.source.partitions() == [(topic, 0), (topic, 1), (topic, 2)]
    for partition in range(3):
        mine = [message for message in member.messages if message.partition == partition]
        assert [message.offset for message in mine] == list(range(200))
        assert [message.value for message in mine] == [text.encode() for text in numbers(0, 200)]


def test_reading_goes_on_at_the_stored_offset(kafka_bootstrap: str, make_topic: Callable[..., str]):
    topic = make_topic(2)
    send(kafka_bootstrap, topic, numbers(0, 100), 0)
    send(kafka_bootstrap, topic, numbers(0, 50), 1)
    with Member(kafka_settings(kafka_bootstrap, topic), {(topic, 0): 90, (topic, 1): 50}) as member:
        until(lambda: all(member.source.caught_up().get((topic, number)) for number in (0, 1)), member)
        send(kafka_bootstrap, topic, ["new"], 1)
        until(lambda: len(member.messages) >= 11, member)
    assert member.texts == [*numbers(90, 100), "new"]


def test_offsets_committed_to_kafka_are_for_show_only(kafka_bootstrap: str, make_topic: Callable[..., str]):
    topic = make_topic(1)
    send(kafka_bootstrap, topic, numbers(0, 10))
    settings = kafka_settings(kafka_bootstrap, topic)
    with Member(settings) as member:
        until(lambda: len(member.messages) >= 10, member)
        member.source.commit({(topic, 0): 10, (topic, 7): 3})
    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    shown = admin.list_group_offsets({settings.kafka.group: None})[settings.kafka.group]
    admin.close()
    assert {at: offset.offset for at, offset in shown.items()} == {TopicPartition(topic, 0): 10}
    # Our own record says 4, and that is what counts.
    with Member(settings, {(topic, 0): 4}) as member:
        until(lambda: len(member.messages) >= 6, member)
    assert member.texts == numbers(4, 10)


def test_offset_deleted_by_retention_goes_on_at_the_first_there_is_and_says_how_many_are_lost(
    kafka_bootstrap: str, make_topic: Callable[..., str], caplog: pytest.LogCaptureFixture
):
    topic = make_topic(1)
    send(kafka_bootstrap, topic, numbers(0, 100))
    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    admin.delete_records({TopicPartition(topic, 0): 60})
    admin.close()
    settings = kafka_settings(kafka_bootstrap, topic)
    assert bounds(settings.kafka) == {(topic, 0): (60, 100)}
    assert lag(settings.kafka, {(topic, 0): 10}) == {(topic, 0): 40}
    with Member(settings, {(topic, 0): 10}) as member:
        until(lambda: len(member.messages) >= 40, member)
    assert member.texts == numbers(60, 100)
    assert f"{topic}[0]: 50 messages were deleted by retention before they were read" in caplog.text


def test_topic_made_anew_is_read_whole(
    kafka_bootstrap: str, make_topic: Callable[..., str], caplog: pytest.LogCaptureFixture
):
    topic = make_topic(1)
    send(kafka_bootstrap, topic, numbers(0, 5))
    with Member(kafka_settings(kafka_bootstrap, topic), {(topic, 0): 1_000}) as member:
        until(lambda: len(member.messages) >= 5, member)
    assert member.texts == numbers(0, 5)
    assert "before the stored offset 1000" in caplog.text


def test_two_members_share_the_partitions_and_keep_what_they_have(kafka_bootstrap: str, make_topic: Callable[..., str]):
    topic = make_topic(4)
    settings = kafka_settings(kafka_bootstrap, topic)
    stored: dict[tuple[str, int], int] = {}
    every = {(topic, number) for number in range(4)}
    with Member(settings, stored) as first:
        until(lambda: set(first.source.assignment()) == every, first)
        with Member(settings, stored) as second:
            until(lambda: len(second.source.assignment()) == len(first.source.assignment()) == 2, first, second)
            assert set(first.source.assignment()) | set(second.source.assignment()) == every
            # Cooperative: the first gave two away and was never asked to let go of the other two.
            kept = set(first.source.assignment())
            assert [kind for kind, _ in first.told] == ["assigned", "revoked"]
            assert not kept & set(first.told[1][1])
            for number in range(4):
                send(kafka_bootstrap, topic, [f"p{number}-{index}" for index in range(50)], number)
            until(lambda: len(first.messages) + len(second.messages) >= 200, first, second)
            assert {message.partition for message in first.messages} == {number for _, number in kept}
        # The second left in order: what it had comes back at once, not after its session would have run out.
        assert until(lambda: set(first.source.assignment()) == every, first) < 10
    found = sorted(first.texts + second.texts)
    assert found == sorted(f"p{number}-{index}" for number in range(4) for index in range(50))
    assert stored == dict.fromkeys(every, 50)


def test_members_that_poll_seldom_and_shortly_settle_all_the_same(kafka_bootstrap: str, make_topic: Callable[..., str]):
    topic = make_topic(2)
    settings = kafka_settings(kafka_bootstrap, topic)
    with Member(settings) as first:
        until(lambda: len(first.source.assignment()) == 2, first)
        with Member(settings) as second:
            # The group's answers arrive between two polls, hardly ever during one.
            deadline = time.monotonic() + 25
            while not len(first.source.assignment()) == len(second.source.assignment()) == 1:
                assert time.monotonic() < deadline
                first.poll(0.001)
                second.poll(0.001)
                time.sleep(0.2)
            told = len(first.told) + len(second.told)
            quiet = time.monotonic() + 4
            while time.monotonic() < quiet:
                first.poll(0.001)
                second.poll(0.001)
                time.sleep(0.2)
            assert len(first.told) + len(second.told) == told == 3


def test_paused_member_keeps_its_partitions_for_longer_than_its_session(
    kafka_bootstrap: str, make_topic: Callable[..., str]
):
    topic = make_topic(2)
    with Member(kafka_settings(kafka_bootstrap, topic, session_timeout=6)) as member:
        until(lambda: len(member.source.assignment()) == 2, member)
        member.source.pause()
        send(kafka_bootstrap, topic, numbers(0, 10), 0)
        paused = time.monotonic()
        while time.monotonic() - paused < 8:
            assert member.poll(0.5) == []
        assert not any(member.source.caught_up().values())
        assert [kind for kind, _ in member.told] == ["assigned"]
        member.source.resume()
        until(lambda: len(member.messages) >= 10, member)
    assert member.texts == numbers(0, 10)


def test_partition_assigned_while_paused_waits_too(kafka_bootstrap: str, make_topic: Callable[..., str]):
    topic = make_topic(1)
    send(kafka_bootstrap, topic, numbers(0, 10))
    with Member(kafka_settings(kafka_bootstrap, topic)) as member:
        member.source.pause()
        until(lambda: bool(member.source.assignment()), member)
        assert member.poll(1.0) == []
        member.source.resume()
        until(lambda: len(member.messages) >= 10, member)


def test_seek_goes_back_and_leaves_partitions_of_others_alone(kafka_bootstrap: str, make_topic: Callable[..., str]):
    topic = make_topic(1)
    send(kafka_bootstrap, topic, numbers(0, 10))
    with Member(kafka_settings(kafka_bootstrap, topic)) as member:
        until(lambda: len(member.messages) >= 10, member)
        member.source.seek((topic, 0), 7)
        member.source.seek((topic, 5), 3)
        until(lambda: len(member.messages) >= 13, member)
        member.source.seek((topic, 0), None)
        until(lambda: len(member.messages) >= 23, member)
    assert member.texts == numbers(0, 10) + numbers(7, 10) + numbers(0, 10)


def test_caught_up_tells_whether_anything_is_left(kafka_bootstrap: str, make_topic: Callable[..., str]):
    topic = make_topic(2)
    send(kafka_bootstrap, topic, numbers(0, 1_200), 0)
    with Member(kafka_settings(kafka_bootstrap, topic)) as member:
        until(lambda: bool(member.messages), member)
        assert member.source.caught_up()[topic, 0] is False
        until(lambda: len(member.messages) >= 1_200, member)
        until(lambda: member.source.caught_up() == {(topic, 0): True, (topic, 1): True}, member, seconds=5)
        assert member.source.end_offsets() == {(topic, 0): 1_200, (topic, 1): 0}


def test_failed_callback_is_asked_again_and_nothing_is_read_before_it_answers(
    kafka_bootstrap: str, make_topic: Callable[..., str]
):
    topic = make_topic(1)
    send(kafka_bootstrap, topic, numbers(0, 10))
    calls = 0

    def flaky(partitions: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise ConnectionError("the record is away")
        return dict.fromkeys(partitions, 8)

    settings = kafka_settings(kafka_bootstrap, topic)
    with KafkaSource(settings, on_assigned=flaky, on_revoked=lambda _: None) as source:
        failures, found = 0, []
        deadline = time.monotonic() + 30
        while len(found) < 2 and time.monotonic() < deadline:
            try:
                found += source.poll(0.2)
            except ConnectionError:
                failures += 1
                assert not found
    assert failures == 2
    assert [message.offset for message in found] == [8, 9]


def test_headers_tell_how_far_the_feed_has_come_unless_they_are_absurd(
    kafka_bootstrap: str, make_topic: Callable[..., str]
):
    topic = make_topic(1)
    soon = datetime.now(UTC) + timedelta(hours=1)
    headers = [b"2024-07-01T11:00:00Z", b"yesterday", b"\xff", b"", soon.isoformat().encode(), b"1969-01-01T00:00:00Z"]
    producer = KafkaProducer(bootstrap_servers=kafka_bootstrap)
    for value in headers:
        producer.send(topic, value=b"m", headers=[("other", b"x"), (EVENT_TIME_HIGH, value)])
    producer.send(topic, value=None, key=b"tombstone")
    producer.close(timeout=10)
    with Member(kafka_settings(kafka_bootstrap, topic)) as member:
        until(lambda: len(member.messages) >= len(headers) + 1, member)
    told = [message.event_time_high for message in member.messages]
    assert told == [datetime(2024, 7, 1, 11, tzinfo=UTC)] + [None] * len(headers)
    assert member.messages[-1].value is None


def test_topic_that_does_not_exist_yet_is_waited_for(kafka_bootstrap: str, caplog: pytest.LogCaptureFixture):
    topic = f"later-{time.time_ns()}"
    with Member(kafka_settings(kafka_bootstrap, topic)) as member:
        assert f"waiting for topic {topic}, which does not exist yet" in caplog.text
        assert member.source.partitions() == []
        assert member.poll(1.0) == []
        create_topic(kafka_bootstrap, 2, topic)
        send(kafka_bootstrap, topic, numbers(0, 10), 1)
        until(lambda: len(member.messages) >= 10, member)
        assert member.source.partitions() == [(topic, 0), (topic, 1)]


def test_topic_that_is_required_and_missing_is_named(kafka_bootstrap: str):
    settings = kafka_settings(kafka_bootstrap, "no-such-topic")
    with pytest.raises(BrokerError, match=r"has no topic no-such-topic; create it or change kafka\.topics"):
        Member(settings, require_topics=True)
    assert bounds(settings.kafka) == {}


@pytest.mark.parametrize("address", ["127.0.0.1:{closed}", "127.0.0.1:{silent}", "no-such-host.invalid:9092"])
def test_broker_that_does_not_answer_is_one_clear_line_naming_the_setting(address: str):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        bootstrap = address.format(closed=free_port(), silent=silent.getsockname()[1])
        settings = kafka_settings(bootstrap, "news", timeout=2)
        started = time.monotonic()
        with pytest.raises(BrokerError) as caught:
            Member(settings)
        assert time.monotonic() - started < 6
    assert str(caught.value).startswith(f"Kafka at {bootstrap} did not answer within 2 s")
    assert "kafka.bootstrap (BELLWETHER_KAFKA_BOOTSTRAP)" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(BrokerError, match="did not answer within 2 s"):
        bounds(settings.kafka)


def test_address_that_is_none_is_a_settings_error():
    with pytest.raises(SettingsError, match=r"kafka\.bootstrap \(BELLWETHER_KAFKA_BOOTSTRAP\)"):
        Member(kafka_settings("localhost:ninety", "news", timeout=2))


@pytest.fixture
def secure_broker(tmp_path: Path, private_broker_factory: Callable[..., Broker]) -> tuple[Broker, Path]:
    """A broker with TLS and a login, and the certificate to trust."""
    keystore, certificate = tmp_path / "broker.p12", tmp_path / "broker.pem"
    common = ["-alias", "broker", "-keystore", str(keystore), "-storepass", PASSWORD]
    names = ["-dname", "CN=broker", "-ext", "san=ip:127.0.0.1", "-validity", "10"]
    make = ["keytool", "-genkeypair", "-keyalg", "EC", "-storetype", "PKCS12", *names, *common]
    subprocess.run(make, check=True, capture_output=True)
    subprocess.run(
        ["keytool", "-exportcert", "-rfc", "-file", str(certificate), *common], check=True, capture_output=True
    )
    return private_broker_factory(keystore=keystore), certificate


def test_tls_and_login_are_used_and_a_refusal_names_the_settings(secure_broker: tuple[Broker, Path], tmp_path: Path):
    broker, certificate = secure_broker
    topic = create_topic(broker.bootstrap)
    send(broker.bootstrap, topic, numbers(0, 10))
    login = {"security": "SASL_SSL", "sasl_mechanism": "PLAIN", "username": USER, "password": PASSWORD}
    trusted = login | {"ca_file": certificate, "timeout": 5}
    with Member(kafka_settings(broker.secure_bootstrap, topic, **trusted)) as member:
        until(lambda: len(member.messages) >= 10, member)
    assert member.texts == numbers(0, 10)
    path = tmp_path / "a.jsonl"
    path.write_text('{"published_at": "2024-07-01T11:00:00Z", "text": "fell"}')
    assert produce([path], kafka_settings(broker.secure_bootstrap, topic, **trusted)).acknowledged == 1

    with pytest.raises(BrokerError, match=r"refuses our login; check kafka\.username, kafka\.password") as caught:
        Member(kafka_settings(broker.secure_bootstrap, topic, **(trusted | {"password": "wrong"})))
    assert "wrong" not in str(caught.value)
    for unfit in (login | {"timeout": 3}, {"timeout": 3}):  # the certificate is not trusted; TLS is not spoken
        with pytest.raises(BrokerError, match="did not answer within 3 s"):
            Member(kafka_settings(broker.secure_bootstrap, topic, **unfit))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"security": "SASL_SSL"}, "kafka.sasl_mechanism (BELLWETHER_KAFKA_SASL_MECHANISM) is not set"),
        ({"security": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"}, "needs kafka.username and kafka.password"),
        ({"security": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}, "needs kafka.password with the token"),
        ({"security": "SSL", "ca_file": "/no/such.pem"}, "BELLWETHER_KAFKA_CA_FILE): there is no file /no/such.pem"),
    ],
)
def test_security_settings_that_do_not_fit_are_named(keys: dict[str, str], words: str):
    with pytest.raises(SettingsError) as caught:
        bounds(kafka_settings("127.0.0.1:9", "news", timeout=1, **keys).kafka)
    assert words in str(caught.value)


def test_broker_killed_and_restarted_is_waited_for_and_nothing_is_lost(
    private_broker: Broker, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, logger="monitor")
    topic = create_topic(private_broker.bootstrap, 2)
    send(private_broker.bootstrap, topic, numbers(0, 500), 0)
    send(private_broker.bootstrap, topic, numbers(500, 1_000), 1)
    with Member(kafka_settings(private_broker.bootstrap, topic, session_timeout=6)) as member:
        until(lambda: len(member.messages) >= 300, member)
        private_broker.kill()
        until(lambda: member.source.lost, member, seconds=15)
        assert not any(member.source.caught_up().values())
        with pytest.raises(BrokerError, match=r"did not answer|not reachable|Kafka at"):
            member.source.end_offsets()
        private_broker.restart()
        until(lambda: len(member.messages) >= 1_000, member, seconds=60)
        send(private_broker.bootstrap, topic, numbers(1_000, 1_100), 1)
        until(lambda: len(member.messages) >= 1_100, member)
        assert not member.source.lost
    assert sorted(member.texts, key=lambda text: int(text[1:])) == numbers(0, 1_100)
    assert caplog.text.count("is not reachable; waiting for it to come back") == 1
    assert caplog.text.count("is back after") == 1


def test_client_that_broke_for_good_is_replaced(
    kafka_bootstrap: str, make_topic: Callable[..., str], caplog: pytest.LogCaptureFixture
):
    topic = make_topic(1)
    send(kafka_bootstrap, topic, numbers(0, 10))
    with Member(kafka_settings(kafka_bootstrap, topic, session_timeout=6)) as member:
        until(lambda: len(member.messages) >= 10, member)
        # The library's network thread is gone, as after an error in it that it does not survive.
        member.source._consumer._client.close()  # type: ignore[union-attr]
        send(kafka_bootstrap, topic, numbers(10, 20))
        until(lambda: len(member.messages) >= 20, member, seconds=60)
    assert member.texts == numbers(0, 20)
    assert "the Kafka client failed and is started anew" in caplog.text
    assert ("revoked", [(topic, 0)]) in member.told
