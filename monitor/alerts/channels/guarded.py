"""HTTP to addresses that were looked at first.

A webhook's URL must not become a way into the inside of the network (server-side request forgery): the host is
resolved here, every address it has is checked, and the connection is made to a checked address, so that a name
that points elsewhere a moment later changes nothing. The certificate is still checked against the name.
Redirects are not followed, answers are read only a little way, and the whole exchange has one time limit.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from monitor.errors import DeliveryError, DeliveryRefused

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_READ = 2_000  # bytes of an answer: enough for its reason
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, the start of the body as text, and the Retry-After header."""

    status: int
    text: str
    retry_after: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """A URL taken apart; user and password of it are left out of `shown`."""

    scheme: str
    host: str
    port: int
    path: str
    authorization: str | None

    @classmethod
    def parse(cls, url: str) -> Place:
        """Take a URL apart. Raises DeliveryRefused unless it is http:// or https:// with a host."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        clean = url.isascii() and url.isprintable() and " " not in url
        if parts.scheme not in {"http", "https"} or not parts.hostname or not clean:
            raise DeliveryRefused(
                "a receiver in webhook.urls (BELLWETHER_WEBHOOK_URLS) is no http:// or https:// address"
            )
        path = parts.path or "/"
        if parts.query:
            path += f"?{parts.query}"
        port = port or (443 if parts.scheme == "https" else 80)
        return cls(parts.scheme, parts.hostname, port, path, _authorization(parts))

    @property
    def shown(self) -> str:
        """Where it is, without anything that may be a secret."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host and, unless it is the usual one, port: the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.scheme == "https" else 80
        return host if self.port == usual else f"{host}:{self.port}"


def forbidden(address: IPAddress, allow_private: bool) -> bool:
    """Whether we must not talk to this address.

    Link-local addresses (cloud metadata services live there), multicast and the unspecified address are never
    allowed; loopback, private, shared and reserved ones with `allow_private` only. An IPv4 address wrapped in an
    IPv6 one counts as what it is.

    >>> [forbidden(ipaddress.ip_address(a), False) for a in ("8.8.8.8", "10.0.0.1", "::ffff:127.0.0.1", "100.64.0.1")]
    [False, True, True, True]
    >>> [forbidden(ipaddress.ip_address(a), True) for a in ("127.0.0.1", "169.254.169.254", "fe80::1")]
    [False, True, True]
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return forbidden(inner, allow_private)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return True
    return not address.is_global and not allow_private


def addresses(place: Place, allow_private: bool) -> list[str]:
    """The addresses of the host, all of them allowed.

    Raises:
        DeliveryError: the host has no address just now.
        DeliveryRefused: one of its addresses is forbidden.
    """
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no valid name"
        raise DeliveryError(
            f"{place.shown}: the host has no address ({reason}); check webhook.urls (BELLWETHER_WEBHOOK_URLS)"
        ) from None
    names = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for name in names:
        if forbidden(ipaddress.ip_address(name.partition("%")[0]), allow_private):
            raise DeliveryRefused(
                f"{place.shown} leads to {name}, an address inside the network; "
                "webhook.allow_private (BELLWETHER_WEBHOOK_ALLOW_PRIVATE) allows loopback and private ones"
            )
    return names


def post(
    place: Place,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout: float,
    allow_private: bool,
    context: ssl.SSLContext,
) -> Answer:
    """Send a POST; `timeout` bounds the whole exchange in seconds.

    Raises DeliveryError when no answer came, DeliveryRefused when the address is forbidden.
    """
    deadline = time.monotonic() + timeout
    connection = connect(place, timeout=timeout, allow_private=allow_private, context=context)
    # A receiver that sends a byte now and then would outlive every time-out of a single read.
    alarm = threading.Timer(max(deadline - time.monotonic(), 0.01), _hang_up, [connection.sock])
    alarm.daemon = True
    alarm.start()
    try:
        sent = {"Host": place.authority, **headers}
        if place.authorization:
            sent["Authorization"] = place.authorization
        connection.request("POST", place.path, body, sent)
        response = connection.getresponse()
        text = response.read(_READ).decode("utf-8", "replace")
        return Answer(response.status, " ".join(text.split())[:200], response.getheader("Retry-After"))
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = time.monotonic() >= deadline - 0.01 or isinstance(error, TimeoutError)
        reason = f"no answer within {timeout:g} s (webhook.timeout)" if late else f"no answer ({_brief(error)})"
        raise DeliveryError(f"{place.shown}: {reason}") from None
    finally:
        alarm.cancel()
        connection.close()


def connect(
    place: Place, *, timeout: float, allow_private: bool, context: ssl.SSLContext
) -> http.client.HTTPConnection:
    """A connection to one of the host's checked addresses, TLS done. Raises DeliveryError, DeliveryRefused."""
    problem: BaseException | None = None
    deadline = time.monotonic() + timeout
    for address in addresses(place, allow_private):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        connection = http.client.HTTPConnection(place.host, place.port, timeout=left)
        try:
            connection.sock = socket.create_connection((address, place.port), left)
            if place.scheme == "https":
                connection.sock = context.wrap_socket(connection.sock, server_hostname=place.host)
            return connection
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise DeliveryError(
                f"{place.shown} shows a certificate that is not trusted ({error.verify_message}); "
                "check webhook.ca_file (BELLWETHER_WEBHOOK_CA_FILE)"
            ) from None
        except OSError as error:
            connection.close()
            problem = error
    reason = _brief(problem) if problem else f"no connection within {timeout:g} s"
    raise DeliveryError(
        f"{place.shown} cannot be reached ({reason}); check webhook.urls (BELLWETHER_WEBHOOK_URLS)"
    ) from None


def _hang_up(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _authorization(parts: SplitResult) -> str | None:
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _brief(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
