"""What leaves the house: letters, webhook JSON, signatures, and the guard before addresses."""

from __future__ import annotations

import json
import socket
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from monitor.alerts import signature
from monitor.alerts.channels import guarded, letter, targets, version4
from monitor.alerts.channels.curve import picture
from monitor.alerts.notice import Notice
from monitor.errors import DeliveryError, DeliveryRefused
from monitor.settings import Settings, load

STORIES = [
    {
        "headline": 'Halvern Bank <script>alert("x")</script> hit by run',
        "copies": 12,
        "first_seen": "2026-03-02T13:22:00Z",
        "sources": ["wire", "desk"],
        "url": "https://example.com/a?b=1&c=2",
        "key": "1",
    },
    {
        "headline": "海文银行遭挤兑，股价跌停",
        "copies": 1,
        "first_seen": "2026-03-02T13:40:00Z",
        "sources": ["财经网"],
        "url": "javascript:alert(1)",
        "key": "2",
    },
]


def settings(**values: str) -> Settings:
    return load({}, {name.replace("_", ".", 1): value for name, value in values.items()}).settings


def notice(**changes: Any) -> Notice:
    alert = {
        "id": "0123456789abcdef",
        "series": "*/HLVN/en",
        "severity": "critical",
        "opened_at": "2026-03-02T14:20:00Z",
        "resolved_at": None,
        "window_minutes": 60,
        "observed": 41,
        "total": 63,
        "expected": 2.1,
        "p_value": 3e-22,
        "reason": "41 negative of 63 documents on Halvern Bank & friends.",
    } | changes.pop("alert", {})
    evidence = {
        "name": "Halvern Bank",
        "stories": STORIES,
        "words": [{"word": "挤兑", "z": 4.1, "count": 9}, {"word": "run", "z": 3.0, "count": 7}],
        "companies": [{"symbol": "HLVN", "name": "Halvern Bank", "count": 41}],
        "curve": {
            "step_minutes": 15,
            "points": [
                {"at": f"2026-03-02T{h:02}:{m:02}:00Z", "observed": h, "expected": 2.0, "lower": 0, "upper": 6}
                for h in range(14)
                for m in (0, 15, 30, 45)
            ],
        },
    }
    values: dict[str, Any] = {
        "key": "k1",
        "thread": "k1",
        "event": "open",
        "target": "Risk desk <desk@bank.example>",
        "alert": alert,
        "evidence": evidence | changes.pop("evidence", {}),
    }
    return Notice(**(values | changes))


def received(item: Notice, **values: str) -> EmailMessage:
    """The letter as a mail program reads it from the bytes on the wire."""
    sent = letter.compose(item, settings(smtp_sender="Bellwether <watch@bank.example>", **values)).as_bytes()
    assert all(len(line) <= 998 for line in sent.split(b"\r\n"))
    message = message_from_bytes(sent, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def part(message: EmailMessage, kind: str) -> Any:
    return next(part for part in message.walk() if part.get_content_type() == kind).get_content()


def test_letter_tells_all_in_text_html_and_picture() -> None:
    message = received(notice(), alerts_public_url="https://watch.bank.example/")
    assert message["Subject"] == "[critical] Halvern Bank: 41 negative, 2.1 expected"
    assert message["To"] == "Risk desk <desk@bank.example>"
    text = part(message, "text/plain")
    assert "海文银行遭挤兑，股价跌停" in text and "挤兑, run" in text
    assert "https://watch.bank.example/alerts/0123456789abcdef" in text
    assert message.get_body(("html",)) is not None
    image = part(message, "image/png")
    assert image.startswith(b"\x89PNG")
    shown = next(p for p in message.walk() if p.get_content_type() == "image/png")
    assert f"cid:{shown['Content-ID'].strip('<>')}" in part(message, "text/html")


def test_letter_escapes_what_strangers_wrote() -> None:
    page = part(received(notice()), "text/html")
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "javascript:" not in page
    assert 'href="https://example.com/a?b=1&amp;c=2"' in page
    assert "海文银行遭挤兑" in page


def test_letters_of_one_alert_form_a_thread() -> None:
    first, later = received(notice()), received(notice(key="k2", event="resolve"))
    assert first["Message-ID"] == "<k1@bank.example>" and first["References"] is None
    assert later["Message-ID"] == "<k2@bank.example>"
    assert later["References"] == later["In-Reply-To"] == "<k1@bank.example>"
    assert later["Subject"].startswith("[resolved] Halvern Bank is calm again")
    assert first["Auto-Submitted"] == "auto-generated" and "alerts.bellwether.bank.example" in first["List-Id"]


def test_no_header_can_be_smuggled_in() -> None:
    message = received(notice(evidence={"name": "Halvern\r\nBcc: thief@example.com\x00 Bank"}))
    assert message["Bcc"] is None
    assert "Halvern Bcc: thief@example.com Bank" in message["Subject"]
    for bad in ("desk@bank.example\nBcc: thief@example.com", "nobody", "", "a@b@c", "desk@bank.example, x@y.z;"):
        with pytest.raises(DeliveryRefused, match=r"smtp\.to"):
            letter.mailbox(bad, "smtp.to")


def test_letter_without_a_curve_has_no_picture() -> None:
    message = received(notice(evidence={"curve": None}))
    assert "image/png" not in {part.get_content_type() for part in message.walk()}
    assert "cid:" not in part(message, "text/html")


def test_same_curve_gives_the_same_picture() -> None:
    points = [
        {"at": "2026-03-02T13:00:00Z", "observed": 3, "expected": None, "lower": None, "upper": None},
        {"at": "2026-03-02T13:15:00Z", "observed": 9, "expected": 1.0, "lower": 0, "upper": 4},
    ]
    assert picture(points, 15) == picture(points, 15)
    assert picture(points[:1], 15) != picture(points, 15)


def test_webhook_speaks_alertmanager_version_4() -> None:
    content = version4.document(notice(), "https://watch.bank.example")
    assert content["version"] == "4" and content["status"] == "firing"
    assert content["groupKey"] == '{}:{alertname="NegativeSurge", series="*/HLVN/en"}'
    (alert,) = content["alerts"]
    assert alert["labels"] == {
        "alertname": "NegativeSurge",
        "company": "HLVN",
        "lang": "en",
        "series": "*/HLVN/en",
        "severity": "critical",
    }
    assert (alert["startsAt"], alert["endsAt"]) == ("2026-03-02T14:20:00Z", "0001-01-01T00:00:00Z")
    assert alert["generatorURL"] == "https://watch.bank.example/alerts/0123456789abcdef"
    assert alert["fingerprint"] == "0123456789abcdef"
    assert all(isinstance(value, str) for value in alert["annotations"].values())
    assert "海文银行" in json.dumps(content, ensure_ascii=False)
    over = version4.document(notice(event="resolve", alert={"resolved_at": "2026-03-02T18:00:00Z"}), None)
    assert over["status"] == over["alerts"][0]["status"] == "resolved"
    assert over["alerts"][0]["endsAt"] == "2026-03-02T18:00:00Z"


def test_signature_holds_for_the_body_and_a_while() -> None:
    header = signature.sign("secret", b'{"a":1}', 1_000_000)
    assert signature.verify("secret", header, b'{"a":1}', 1_000_200)
    assert not signature.verify("other", header, b'{"a":1}', 1_000_200)
    assert not signature.verify("secret", header, b'{"a":2}', 1_000_200)
    assert not signature.verify("secret", header, b'{"a":1}', 1_000_301)
    assert not signature.verify("secret", header.replace("t=1000000", "t=1000200"), b'{"a":1}', 1_000_200)
    assert signature.verify("secret", f"{header},v1={'0' * 64}", b'{"a":1}', 1_000_000)
    for broken in ("", "t=,v1=", "v1=abc", "t=x,v1=é", "t=-5,v1=aa", header.split(",")[0]):
        assert not signature.verify("secret", broken, b'{"a":1}', 1_000_000)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "https://10.1.2.3/hook",
        "http://192.168.0.1:8080/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::a00:1]/",
        "http://[fd00::1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://0x7f.1/",
    ],
)
def test_receiver_inside_the_network_is_refused(url: str) -> None:
    with pytest.raises(DeliveryRefused, match=r"webhook\.allow_private"):
        guarded.addresses(guarded.Place.parse(url), allow_private=False)


def test_metadata_address_is_refused_even_when_private_ones_are_allowed() -> None:
    assert guarded.addresses(guarded.Place.parse("http://127.0.0.1:81/"), allow_private=True) == ["127.0.0.1"]
    with pytest.raises(DeliveryRefused):
        guarded.addresses(guarded.Place.parse("http://169.254.169.254/"), allow_private=True)


def test_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("93.184.215.14", "10.0.0.7")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(DeliveryRefused, match=r"10\.0\.0\.7"):
        guarded.addresses(guarded.Place.parse("https://hooks.example/"), allow_private=False)


@pytest.mark.parametrize(
    "url", ["ftp://a.example/", "file:///etc/passwd", "https://", "http://a b/", "http://a\r\nX: y/", "http://a:99999/"]
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(DeliveryRefused, match=r"webhook\.urls"):
        guarded.Place.parse(url)


def test_secrets_of_a_url_are_not_shown() -> None:
    place = guarded.Place.parse("https://user:hunter2@hooks.example/T0/secret?token=abc")
    assert place.shown == "https://hooks.example"
    assert place.authorization == "Basic dXNlcjpodW50ZXIy"
    assert place.path == "/T0/secret?token=abc"


def test_host_without_an_address_may_be_tried_again() -> None:
    with pytest.raises(DeliveryError) as caught:
        guarded.addresses(guarded.Place.parse("https://nowhere.invalid/"), allow_private=False)
    assert not isinstance(caught.value, DeliveryRefused)


def test_receivers_come_from_the_settings() -> None:
    assert targets(settings(smtp_to="a@b.example")) == []
    found = targets(
        settings(smtp_url="smtp://h", smtp_to="a@b.example,c@d.example", webhook_urls="https://h.example/x")
    )
    assert found == [("email", "a@b.example"), ("email", "c@d.example"), ("webhook", "https://h.example/x")]
