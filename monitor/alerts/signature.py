"""The signature of webhooks: HMAC-SHA256 over the time stamp and the body.

The header reads `t=1772460000,v1=5f0c…`. The time stamp is signed with the body, so a message caught on its way
cannot be sent again later. Needs nothing but the standard library: a receiver may copy this file.
"""

from __future__ import annotations

import hashlib
import hmac

HEADER = "X-Bellwether-Signature"


def sign(secret: str, body: bytes, now: float) -> str:
    """The header's value for a body sent at `now` (seconds since 1970).

    >>> sign("key", b"{}", 1772460000.7)
    't=1772460000,v1=816526c1e530ffda99358908f067d222d8d481bd3794fccd21baebec3d63f129'
    """
    stamp = str(int(now))
    return f"t={stamp},v1={_digest(secret, stamp, body)}"


def verify(secret: str, header: str, body: bytes, now: float, tolerance: float = 300) -> bool:
    """Whether `body`, exactly as received, was signed with `secret` no longer than `tolerance` seconds ago.

    Several `v1` parts are allowed, so that a secret can be changed without a gap.

    >>> header = sign("key", b"{}", 1772460000)
    >>> verify("key", header, b"{}", 1772460100), verify("key", header, b"{ }", 1772460100)
    (True, False)
    >>> verify("key", header, b"{}", 1772470000)
    False
    """
    parts = [part.strip().partition("=") for part in header.split(",")]
    stamp = next((value for name, _, value in parts if name == "t"), "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 20) or abs(now - int(stamp)) > tolerance:
        return False
    wanted = _digest(secret, stamp, body).encode()
    given = [value.encode(errors="replace") for name, _, value in parts if name == "v1"]
    return any(hmac.compare_digest(wanted, value) for value in given)


def _digest(secret: str, stamp: str, body: bytes) -> str:
    return hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
