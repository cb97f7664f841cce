"""The e-mail itself: plain text, HTML that Outlook can show, and the curve as a picture in it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses
from typing import Any

from monitor.alerts.channels.curve import picture
from monitor.alerts.notice import Notice, address
from monitor.errors import DeliveryRefused
from monitor.settings import Settings

_COLOURS = {"critical": "#b3261e", "warning": "#9a6700", "resolved": "#1a7f37"}
_FONT = "font-family:'Segoe UI',Arial,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif"


def mailbox(text: str, setting: str) -> Address:
    """An address as in `desk@bank.example` or `Risk desk <desk@bank.example>`.

    Raises DeliveryRefused naming the setting when it is none; no header can be smuggled in by it.
    """
    found = getaddresses([text])
    try:
        if any(ord(sign) < 32 for sign in text) or len(found) != 1 or "@" not in found[0][1]:
            raise ValueError(text)
        name, spec = found[0]
        return Address(name, addr_spec=spec)
    except (ValueError, IndexError, HeaderParseError):
        raise DeliveryRefused(f"{text!r} is no e-mail address; check {setting}") from None


def compose(notice: Notice, settings: Settings, now: datetime | None = None) -> EmailMessage:
    """The letter for one receiver.

    Its Message-ID is made of the notification's key, so that a letter that was sent twice is shown once, and all
    letters of one alert refer to one thread.
    """
    sender = mailbox(settings.smtp.sender, "smtp.sender")
    domain = sender.domain
    message = EmailMessage(policy=SMTP)
    message["Subject"] = _one_line(notice.title)
    message["From"] = sender if sender.display_name else Address("Bellwether", addr_spec=sender.addr_spec)
    message["To"] = mailbox(notice.target, "smtp.to")
    message["Date"] = format_datetime(now or datetime.now(UTC))
    message["Message-ID"] = f"<{notice.key}@{domain}>"
    if notice.thread != notice.key:
        message["In-Reply-To"] = f"<{notice.thread}@{domain}>"
        message["References"] = f"<{notice.thread}@{domain}>"
    message["List-Id"] = f"Bellwether alerts <alerts.bellwether.{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message["X-Bellwether-Key"] = notice.key
    link = address(settings.alerts.public_url, notice.alert["id"])
    message.set_content(text_of(notice, link), subtype="plain", charset="utf-8", cte="base64")
    curve = notice.evidence.get("curve") or {}
    image = picture(curve["points"], curve["step_minutes"]) if curve.get("points") else None
    content_id = f"curve.{notice.key}@{domain}"
    message.add_alternative(
        html_of(notice, link, content_id if image else None), subtype="html", charset="utf-8", cte="base64"
    )
    if image:
        body = message.get_payload()[1]  # type: ignore[index]
        body.add_related(  # type: ignore[union-attr]
            image, "image", "png", cid=f"<{content_id}>", filename="curve.png", disposition="inline"
        )
    return message


def text_of(notice: Notice, link: str | None) -> str:
    """The plain text."""
    lines = [notice.title, "", notice.alert["reason"]]
    stories = notice.evidence.get("stories", ())
    if stories:
        lines += ["", "Stories"]
        lines += [f"- {_one_line(story['headline'])} ({_detail(story)})" for story in stories]
    for name, value in _facts(notice):
        lines += ["", f"{name}: {value}"]
    if link:
        lines += ["", link]
    lines += ["", f"Bellwether, alert {notice.alert['id']}"]
    return "\n".join(lines) + "\n"


def html_of(notice: Notice, link: str | None, content_id: str | None) -> str:
    """The same as HTML: tables and inline styles only, every text escaped."""
    state = "resolved" if notice.event == "resolve" else notice.alert["severity"]
    colour = _COLOURS.get(state, "#444444")
    cell = f'style="{_FONT};font-size:14px;line-height:1.45;color:#1f2328;padding:6px 20px"'
    rows = [
        f'<tr><td style="{_FONT};font-size:18px;font-weight:bold;color:#ffffff;background:{colour};'
        f'padding:14px 20px">{_escaped(notice.title)}</td></tr>',
        f"<tr><td {cell}>{_escaped(notice.alert['reason'])}</td></tr>",
    ]
    if content_id:
        rows.append(
            f'<tr><td {cell}><img src="cid:{_escaped(content_id)}" width="600" alt="Negative documents per 15 '
            'minutes over the last day, with the expected band" style="display:block;max-width:100%"></td></tr>'
        )
    stories = notice.evidence.get("stories", ())
    if stories:
        items = "".join(
            f'<tr><td style="{_FONT};font-size:14px;color:#1f2328;padding:4px 0;border-top:1px solid #d8dee4">'
            f"{_headline(story)}<br>"
            f'<span style="font-size:12px;color:#59636e">{_escaped(_detail(story))}</span></td></tr>'
            for story in stories
        )
        rows.append(f'<tr><td {cell}><b>Stories</b><table width="100%" cellpadding="0" cellspacing="0" border="0">')
        rows.append(f"{items}</table></td></tr>")
    rows += [f"<tr><td {cell}><b>{_escaped(name)}:</b> {_escaped(value)}</td></tr>" for name, value in _facts(notice)]
    if link:
        rows.append(
            f'<tr><td {cell}><a href="{_escaped(link)}" style="color:#0969da">'
            "Open this alert in Bellwether</a></td></tr>"
        )
    rows.append(
        f'<tr><td style="{_FONT};font-size:12px;color:#59636e;padding:14px 20px">'
        f"Bellwether, alert {_escaped(notice.alert['id'])}</td></tr>"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>'
        f"{_escaped(notice.title)}</title></head>\n"
        '<body style="margin:0;padding:0;background:#f6f8fa">\n'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr><td align="center">\n'
        '<table role="presentation" width="640" cellpadding="0" cellspacing="0" border="0" '
        'style="background:#ffffff;border:1px solid #d8dee4">\n' + "\n".join(rows) + "\n</table></td></tr></table>\n"
        "</body></html>\n"
    )


def _facts(notice: Notice) -> list[tuple[str, str]]:
    evidence = notice.evidence
    found = []
    words = ", ".join(word["word"] for word in evidence.get("words", ()))
    if words:
        found.append(("Words that stand out", words))
    for name, key in (("Companies", "companies"), ("Topics", "topics"), ("Sources", "sources")):
        listed = _counted(evidence.get(key, ()))
        if listed:
            found.append((name, listed))
    opened = _moment(notice.alert["opened_at"])
    ended = notice.alert.get("resolved_at")
    found.append(("Opened", f"{opened}, calm since {_moment(ended)}" if ended else opened))
    return found


def _counted(items: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{_one_line(item['name'])} ({item['count']})" for item in items)


def _detail(story: Mapping[str, Any]) -> str:
    copies = story["copies"]
    sources = ", ".join(_one_line(source) for source in story["sources"])
    return f"{copies} {'copy' if copies == 1 else 'copies'} · first {_moment(story['first_seen'])} · {sources}"


def _headline(story: Mapping[str, Any]) -> str:
    headline = _escaped(_one_line(story["headline"]))
    url = story.get("url") or ""
    if url.startswith(("https://", "http://")):
        return f'<a href="{_escaped(url)}" style="color:#0969da;text-decoration:none">{headline}</a>'
    return headline


def _moment(text: str) -> str:
    return f"{text[:10]} {text[11:16]} UTC"


def _one_line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _escaped(text: str) -> str:
    return html.escape(text, quote=True)
