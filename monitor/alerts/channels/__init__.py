"""The ways a notification leaves the house, one file a channel."""

from __future__ import annotations

from typing import Protocol

from monitor.alerts.notice import Notice
from monitor.settings import Settings


class Channel(Protocol):
    """A way to send notifications. Connections may be kept between sends until `close`."""

    def send(self, notice: Notice) -> None:
        """Hand the notification to its receiver.

        Raises:
            DeliveryError: it was not accepted; trying again may help.
            DeliveryRefused: it never will be.
        """

    def check(self) -> str:
        """Try the connection without sending anything; return a line that says what was reached.

        Raises:
            DeliveryError: what is wrong, naming the setting to change.
        """

    def close(self) -> None:
        """Return connections."""


CHANNELS = ("email", "webhook")


def targets(settings: Settings) -> list[tuple[str, str]]:
    """Every (channel, receiver) the settings name."""
    found = []
    if settings.smtp.url is not None:
        found += [("email", address) for address in settings.smtp.to]
    found += [("webhook", url) for url in settings.webhook.urls]
    return list(dict.fromkeys(found))


def make(name: str, settings: Settings) -> Channel:
    """The channel of this name."""
    # Here, not above: who only writes to the outbox needs neither.
    if name == "email":
        from monitor.alerts.channels.email import Email

        return Email(settings)
    if name == "webhook":
        from monitor.alerts.channels.webhook import Webhook

        return Webhook(settings)
    raise ValueError(f"there is no channel {name!r}")
