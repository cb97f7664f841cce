"""Alert e-mails over SMTP."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from monitor.alerts.channels import letter
from monitor.alerts.notice import Notice
from monitor.errors import DeliveryError, DeliveryRefused, SettingsError
from monitor.settings import Settings, SmtpSettings

_SETTING = "smtp.url (BELLWETHER_SMTP_URL)"


@dataclass(frozen=True, slots=True)
class Server:
    """What `smtp.url` says."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None

    @classmethod
    def parse(cls, url: str) -> Server:
        """Read `smtp://user:password@host:port` or `smtps://…`. Raises SettingsError.

        >>> Server.parse("smtps://desk%40bank.example:s%2Fecret@mail.example")
        Server(host='mail.example', port=465, tls=True, user='desk@bank.example', password='s/ecret')
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise SettingsError(f"{_SETTING} must be smtp://user:password@host:587 or smtps://user:password@host:465")
        tls = parts.scheme == "smtps"
        return cls(
            parts.hostname,
            port or (465 if tls else 587 if parts.username else 25),
            tls,
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
        )


class Email:
    """Sends letters over one SMTP connection, opened at the first and kept until `close`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: smtplib.SMTP | None = None

    def send(self, notice: Notice) -> None:
        """Send one letter to one address. Raises DeliveryError, DeliveryRefused."""
        message = letter.compose(notice, self._settings)
        sender = letter.mailbox(self._settings.smtp.sender, "smtp.sender").addr_spec
        receiver = letter.mailbox(notice.target, "smtp.to").addr_spec
        client = self._connected()
        where = self._where()
        try:
            client.send_message(message, sender, [receiver])
        except smtplib.SMTPRecipientsRefused as error:
            code, text = error.recipients[receiver]
            raise _answered(code, text, f"{where} does not take mail for {receiver}") from None
        except smtplib.SMTPSenderRefused as error:
            # A wrong sender is put right in the settings; the letter itself is not at fault.
            said = _said(error.smtp_code, error.smtp_error)
            raise DeliveryError(
                f"{where} refuses the sender {sender} ({said}); check smtp.sender (BELLWETHER_SMTP_SENDER)"
            ) from None
        except smtplib.SMTPDataError as error:
            raise _answered(error.smtp_code, error.smtp_error, f"{where} does not take the letter") from None
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise DeliveryError(f"{where} went away while a letter was sent ({_brief(error)})") from None

    def check(self) -> str:
        """Connect, log in and say NOOP. Raises DeliveryError naming the setting."""
        letter.mailbox(self._settings.smtp.sender, "smtp.sender")
        for address in self._settings.smtp.to:
            letter.mailbox(address, "smtp.to")
        client = self._connected()
        try:
            code, text = client.noop()
        except (smtplib.SMTPException, OSError) as error:
            raise DeliveryError(f"{self._where()} went away ({_brief(error)}); check {_SETTING}") from None
        finally:
            self.close()
        if code != 250:
            raise DeliveryError(f"{self._where()} answers {_said(code, text)}; check {_SETTING}")
        receivers = len(self._settings.smtp.to)
        return f"{self._where()}: ready, {receivers} receiver{'' if receivers == 1 else 's'}"

    def close(self) -> None:
        """Say goodbye."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(smtplib.SMTPException, OSError):
                client.quit()

    def _server(self) -> Server:
        url = self._settings.smtp.url
        if url is None:
            raise DeliveryError(f"no mail server is set; set {_SETTING}")
        try:
            return Server.parse(url.get_secret_value())
        except SettingsError as error:
            raise DeliveryError(str(error)) from None

    def _where(self) -> str:
        server = self._server()
        return f"the mail server {server.host}:{server.port}"

    def _connected(self) -> smtplib.SMTP:
        if self._client is not None:
            with suppress(smtplib.SMTPException, OSError):
                if self._client.rset()[0] == 250:
                    return self._client
            self.close()
        server, where, smtp = self._server(), self._where(), self._settings.smtp
        client: smtplib.SMTP | None = None
        try:
            context = _context(smtp)
            if server.tls:
                client = smtplib.SMTP_SSL(server.host, server.port, timeout=smtp.timeout, context=context)
            else:
                client = smtplib.SMTP(server.host, server.port, timeout=smtp.timeout)
                _start_tls(client, smtp, server, where, context)
            if server.user is not None:
                client.login(server.user, server.password or "")
        except DeliveryError:
            _drop(client)
            raise
        except smtplib.SMTPAuthenticationError as error:
            _drop(client)
            said = _said(error.smtp_code, error.smtp_error)
            raise DeliveryError(f"{where} refuses the user or password ({said}); check {_SETTING}") from None
        except smtplib.SMTPNotSupportedError:
            _drop(client)
            raise DeliveryError(f"{where} offers no way to log in; leave user and password out of {_SETTING}") from None
        except ssl.SSLCertVerificationError as error:
            _drop(client)
            raise DeliveryError(
                f"{where} shows a certificate that is not trusted ({error.verify_message}); "
                "check smtp.ca_file (BELLWETHER_SMTP_CA_FILE)"
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            _drop(client)
            raise DeliveryError(f"{where} cannot be reached ({_brief(error)}); check {_SETTING}") from None
        self._client = client
        return client


def _start_tls(client: smtplib.SMTP, smtp: SmtpSettings, server: Server, where: str, context: ssl.SSLContext) -> None:
    if smtp.starttls == "never":
        return
    client.ehlo_or_helo_if_needed()
    if client.has_extn("starttls"):
        client.starttls(context=context)
        client.ehlo()
    elif smtp.starttls == "require" or server.password:
        raise DeliveryError(
            f"{where} offers no STARTTLS, and nothing is sent unencrypted "
            f"{'with a password' if server.password else 'because smtp.starttls is require'}; "
            "use smtps:// or set smtp.starttls (BELLWETHER_SMTP_STARTTLS) to never"
        )


def _context(smtp: SmtpSettings) -> ssl.SSLContext:
    if smtp.ca_file is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=str(smtp.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise DeliveryError(
            f"{smtp.ca_file} holds no certificate ({_brief(error)}); check smtp.ca_file (BELLWETHER_SMTP_CA_FILE)"
        ) from None


def _drop(client: smtplib.SMTP | None) -> None:
    if client is not None:
        client.close()


def _answered(code: int, text: bytes | str, what: str) -> DeliveryError:
    message = f"{what} ({_said(code, text)})"
    return DeliveryRefused(message) if 500 <= code < 600 else DeliveryError(message)


def _said(code: int, text: bytes | str) -> str:
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return " ".join(f"{code} {plain}".split())[:200]


def _brief(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
