"""Letters over a real SMTP connection: plain, STARTTLS, TLS, with a login."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.alerts.channels.email import Email
from monitor.errors import DeliveryError, DeliveryRefused
from monitor.settings import Settings
from tests.integration.receivers import Mailbox, accepts, certificate, smtp_server
from tests.unit.test_alert_channels import notice


@pytest.fixture(scope="module")
def cert(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def tls(cert: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*cert)
    return context


def send(settings: Settings) -> None:
    channel = Email(settings)
    try:
        channel.send(notice())
    finally:
        channel.close()


def test_letter_arrives_whole(make_settings: Callable[..., Settings]) -> None:
    mailbox = Mailbox()
    with smtp_server(mailbox) as port:
        channel = Email(make_settings(smtp_url=f"smtp://127.0.0.1:{port}"))
        channel.send(notice())
        channel.send(notice(key="k2", event="escalate"))
        channel.close()
    first, second = mailbox.messages()
    assert first["Subject"] == "[critical] Halvern Bank: 41 negative, 2.1 expected"
    assert second["References"] == first["Message-ID"]
    body = first.get_body(("plain",))
    assert body is not None and "海文银行遭挤兑，股价跌停" in body.get_content()


def test_password_travels_encrypted(
    make_settings: Callable[..., Settings], cert: tuple[Path, Path], tls: ssl.SSLContext
) -> None:
    mailbox = Mailbox()
    options = {"tls_context": tls, "require_starttls": True, "authenticator": accepts("desk@bank.example", "s/ecret")}
    with smtp_server(mailbox, auth_required=True, **options) as port:
        url = f"smtp://desk%40bank.example:s%2Fecret@localhost:{port}"
        good = make_settings(smtp_url=url, smtp_ca_file=cert[0])
        send(good)
        assert "ready" in Email(good).check()
        with pytest.raises(DeliveryError, match=r"refuses the user or password .*smtp\.url \(BELLWETHER_SMTP_URL\)"):
            send(make_settings(smtp_url=url.replace("s%2Fecret", "wrong"), smtp_ca_file=cert[0]))
        with pytest.raises(DeliveryError, match=r"not trusted .*smtp\.ca_file"):
            send(make_settings(smtp_url=url))
    assert len(mailbox.letters) == 1


def test_password_is_not_sent_in_the_clear(make_settings: Callable[..., Settings]) -> None:
    mailbox = Mailbox()
    with smtp_server(mailbox, authenticator=accepts("u", "p"), auth_require_tls=False) as port:
        url = f"smtp://u:p@127.0.0.1:{port}"
        with pytest.raises(DeliveryError, match=r"no STARTTLS.*smtp\.starttls"):
            send(make_settings(smtp_url=url))
        with pytest.raises(DeliveryError, match=r"no STARTTLS.*smtp\.starttls"):
            send(make_settings(smtp_url=f"smtp://127.0.0.1:{port}", smtp_starttls="require"))
        assert mailbox.letters == []
        send(make_settings(smtp_url=url, smtp_starttls="never"))
    assert len(mailbox.letters) == 1


def test_smtps_is_encrypted_from_the_start(
    make_settings: Callable[..., Settings], cert: tuple[Path, Path], tls: ssl.SSLContext
) -> None:
    mailbox = Mailbox()
    with smtp_server(mailbox, ssl_context=tls, server_hostname="localhost") as port:
        send(make_settings(smtp_url=f"smtps://localhost:{port}", smtp_ca_file=cert[0]))
    assert len(mailbox.letters) == 1


def test_what_is_wrong_is_said_with_the_setting(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    for values, said in (
        ({"smtp_url": "smtp://127.0.0.1:1"}, r"127\.0\.0\.1:1 cannot be reached .*smtp\.url \(BELLWETHER_SMTP_URL\)"),
        ({"smtp_url": "mail.example:25"}, r"smtp\.url \(BELLWETHER_SMTP_URL\) must be smtp://"),
        ({}, r"no mail server is set"),
        ({"smtp_url": "smtp://h", "smtp_to": "nobody"}, r"'nobody' is no e-mail address; check smtp\.to"),
        ({"smtp_url": "smtp://127.0.0.1:1", "smtp_ca_file": tmp_path / "none.pem"}, r"check smtp\.ca_file"),
    ):
        with pytest.raises(DeliveryError, match=said) as caught:
            Email(make_settings(**values)).check()
        assert "\n" not in str(caught.value)


def test_server_that_says_no_for_good_is_believed(make_settings: Callable[..., Settings]) -> None:
    mailbox = Mailbox(data_answer="554 looks like spam")
    with smtp_server(mailbox) as port:
        settings = make_settings(smtp_url=f"smtp://127.0.0.1:{port}")
        with pytest.raises(DeliveryRefused, match="554 looks like spam"):
            send(settings)
        mailbox.data_answer = "451 come back later"
        with pytest.raises(DeliveryError, match="451") as caught:
            send(settings)
        assert not isinstance(caught.value, DeliveryRefused)


def test_lost_connection_is_made_anew(make_settings: Callable[..., Settings]) -> None:
    mailbox = Mailbox()
    with smtp_server(mailbox) as port:
        channel = Email(make_settings(smtp_url=f"smtp://127.0.0.1:{port}"))
        channel.send(notice())
        assert channel._client is not None and channel._client.sock is not None
        channel._client.sock.close()
        channel.send(notice(key="k2"))
        channel.close()
    assert len(mailbox.letters) == 2
