"""Signed webhooks."""

from __future__ import annotations

import json
import ssl
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from monitor.alerts import signature
from monitor.alerts.channels import guarded, version4
from monitor.alerts.channels.guarded import Answer, Place
from monitor.alerts.notice import Notice
from monitor.errors import DeliveryError, DeliveryRefused
from monitor.settings import Settings

# Answers in the 400s that speak of the moment, not of the message.
_PASSING = {408, 425, 429}


class Webhook:
    """Posts Alertmanager's JSON to a URL, a connection each."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._context: ssl.SSLContext | None = None

    def send(self, notice: Notice) -> None:
        """Post one notification. Raises DeliveryError, DeliveryRefused."""
        place = Place.parse(notice.target)
        content = version4.document(notice, self._settings.alerts.public_url)
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "bellwether",
            "Idempotency-Key": notice.key,
        }
        webhook = self._settings.webhook
        if webhook.secret is not None:
            headers[signature.HEADER] = signature.sign(webhook.secret.get_secret_value(), body, time.time())
        answer = guarded.post(
            place,
            body,
            headers,
            timeout=webhook.timeout,
            allow_private=webhook.allow_private,
            context=self._trusted(),
        )
        if not 200 <= answer.status < 300:
            raise _problem(place, answer)

    def check(self) -> str:
        """Reach every receiver without posting anything. Raises DeliveryError naming the setting."""
        webhook = self._settings.webhook
        for url in webhook.urls:
            guarded.connect(
                Place.parse(url),
                timeout=webhook.timeout,
                allow_private=webhook.allow_private,
                context=self._trusted(),
            ).close()
        signed = "signed" if webhook.secret is not None else "not signed: webhook.secret is empty"
        number = len(webhook.urls)
        return f"{number} receiver{'' if number == 1 else 's'} reached, {signed}"

    def close(self) -> None:
        """Nothing is kept open."""

    def _trusted(self) -> ssl.SSLContext:
        if self._context is None:
            file = self._settings.webhook.ca_file
            try:
                self._context = ssl.create_default_context(cafile=str(file) if file else None)
            except (OSError, ssl.SSLError) as error:
                raise DeliveryError(
                    f"{file} holds no certificate ({error}); check webhook.ca_file (BELLWETHER_WEBHOOK_CA_FILE)"
                ) from None
        return self._context


def _problem(place: Place, answer: Answer) -> DeliveryError:
    said = f"{place.shown} answers {answer.status}{f': {answer.text}' if answer.text else ''}"
    if 300 <= answer.status < 400:
        return DeliveryRefused(f"{said}; redirects are not followed, set the final address in webhook.urls")
    if 400 <= answer.status < 500 and answer.status not in _PASSING:
        return DeliveryRefused(said)
    return DeliveryError(said, retry_after=_seconds(answer.retry_after))


def _seconds(value: str | None) -> float | None:
    """Retry-After, which is a number of seconds or a date (RFC 9110, 10.2.3).

    >>> _seconds("120"), _seconds(None), _seconds("soon"), _seconds("Wed, 21 Oct 2015 07:28:00 GMT")
    (120.0, None, None, 0.0)
    """
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
