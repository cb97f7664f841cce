"""What a channel is given to send: one notification for one receiver, complete in itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from monitor.alerts import numerals

Event = Literal["open", "escalate", "repeat", "resolve"]


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification.

    `key` is the same each time this notification is sent, `thread` the same in all that tell one receiver of one
    alert. `alert` is the alert as `monitor.alerts.export.as_json` gives it, `evidence` as docs/alerts.md describes.
    """

    key: str
    thread: str
    event: Event
    target: str
    alert: Mapping[str, Any]
    evidence: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What the alert is about, in words."""
        return str(self.evidence.get("name") or self.alert["series"])

    @property
    def title(self) -> str:
        """One line that says it all: `[critical] Halvern Bank: 41 negative, 2.1 expected`."""
        mark = "resolved" if self.event == "resolve" else self.alert["severity"]
        news = {"escalate": " grows worse", "repeat": " is still open", "resolve": " is calm again"}.get(self.event, "")
        expected = numerals.count(self.alert["expected"])
        return f"[{mark}] {self.name}{news}: {self.alert['observed']} negative, {expected} expected"


def address(public_url: str | None, alert_id: str) -> str | None:
    """Where the dashboard shows the alert, if `alerts.public_url` is set."""
    return f"{public_url.rstrip('/')}/alerts/{alert_id}" if public_url else None
