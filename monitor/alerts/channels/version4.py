"""Prometheus Alertmanager's webhook JSON, version 4.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config: whatever understands Alertmanager's
webhooks understands ours. Each notification holds one alert.
"""

from __future__ import annotations

import json
from typing import Any

from monitor.alerts.notice import Notice, address

NAME = "NegativeSurge"
_NEVER = "0001-01-01T00:00:00Z"  # how Alertmanager writes a time that has not come


def document(notice: Notice, public_url: str | None) -> dict[str, Any]:
    """The JSON of one notification.

    Labels name the alert and never change while it lives, but for `severity`; annotations describe it.
    """
    alert, evidence = notice.alert, notice.evidence
    topic, company, lang = (part.replace("*", "") for part in alert["series"].split("/"))
    labels = {
        "alertname": NAME,
        "company": company,
        "lang": lang,
        "series": alert["series"],
        "severity": alert["severity"],
        "topic": topic,
    }
    # In Prometheus an empty label is a label that is not there.
    labels = {name: value for name, value in labels.items() if value}
    status = "resolved" if alert["resolved_at"] else "firing"
    annotations = {
        "summary": notice.title,
        "description": alert["reason"],
        "event": notice.event,
        "observed": str(alert["observed"]),
        "expected": str(alert["expected"]),
        "p_value": str(alert["p_value"]),
        "stories": json.dumps([story["headline"] for story in evidence.get("stories", ())], ensure_ascii=False),
        "words": ", ".join(word["word"] for word in evidence.get("words", ())),
    }
    annotations = {name: value for name, value in annotations.items() if value}
    group = {name: labels[name] for name in ("alertname", "series")}
    inner = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in group.items())
    return {
        "version": "4",
        "groupKey": f"{{}}:{{{inner}}}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "bellwether",
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": public_url or "",
        "alerts": [
            {
                "status": status,
                "labels": labels,
                "annotations": annotations,
                "startsAt": alert["opened_at"],
                "endsAt": alert["resolved_at"] or _NEVER,
                "generatorURL": address(public_url, alert["id"]) or "",
                "fingerprint": alert["id"],
            }
        ],
    }
