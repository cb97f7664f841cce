"""Webhooks over TLS: the connection goes to the checked address, the certificate is checked against the name."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.alerts.channels.webhook import Webhook
from monitor.errors import DeliveryError, DeliveryRefused
from monitor.settings import Settings
from tests.integration.receivers import Hook, certificate, hook_server
from tests.unit.test_alert_channels import notice


@pytest.fixture(scope="module")
def cert(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def hook(cert: tuple[Path, Path]) -> Iterator[Hook]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*cert)
    with hook_server(Hook(), tls) as found:
        yield found


def test_certificate_must_be_trusted_and_of_the_name(
    make_settings: Callable[..., Settings], hook: Hook, cert: tuple[Path, Path]
) -> None:
    url = f"https://user:pass@localhost:{hook.port}/in?x=1"
    good = make_settings(webhook_urls=url, webhook_allow_private="true", webhook_ca_file=cert[0])
    Webhook(good).send(notice(target=url))
    (request,) = hook.requests
    assert request.path == "/in?x=1"
    assert request.headers["Host"] == f"localhost:{hook.port}"
    assert request.headers["Authorization"] == "Basic dXNlcjpwYXNz"
    assert "X-Bellwether-Signature" not in request.headers  # no secret, no signature
    assert Webhook(good).check() == "1 receiver reached, not signed: webhook.secret is empty"
    with pytest.raises(DeliveryError, match=r"not trusted .*webhook\.ca_file"):
        Webhook(make_settings(webhook_urls=url, webhook_allow_private="true")).send(notice(target=url))
    with pytest.raises(DeliveryError, match="not trusted"):
        Webhook(good).send(notice(target=f"https://127.0.0.1:{hook.port}/in"))
    assert len(hook.requests) == 1


def test_name_that_changes_its_address_gains_nothing(
    make_settings: Callable[..., Settings], hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the first answer is harmless, every later one points inside."""
    asked = []

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        # 192.0.2.1 (TEST-NET-1) counts as private, so a public address stands for the harmless answer.
        address = "93.184.215.14" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    tried = []

    def connect(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        tried.append(address)
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    url = f"https://rebind.example:{hook.port}/"
    with pytest.raises(DeliveryError, match="cannot be reached"):
        Webhook(make_settings(webhook_urls=url)).send(notice(target=url))
    assert tried == [("93.184.215.14", hook.port)]
    with pytest.raises(DeliveryRefused, match=r"127\.0\.0\.1"):
        Webhook(make_settings(webhook_urls=url)).send(notice(target=url))
    assert len(tried) == 1 and hook.requests == []


def test_unreachable_receiver_is_named_with_the_setting(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    for values, said in (
        (
            {"webhook_urls": "http://127.0.0.1:1/x", "webhook_allow_private": "true"},
            r"127\.0\.0\.1:1 cannot be reached",
        ),
        ({"webhook_urls": "https://nowhere.invalid/x"}, r"no address .*webhook\.urls \(BELLWETHER_WEBHOOK_URLS\)"),
        ({"webhook_urls": "gopher://x"}, r"webhook\.urls"),
        ({"webhook_urls": "https://x", "webhook_ca_file": tmp_path / "none.pem"}, r"check webhook\.ca_file"),
    ):
        with pytest.raises(DeliveryError, match=said) as caught:
            Webhook(make_settings(**values)).check()
        assert "\n" not in str(caught.value)
