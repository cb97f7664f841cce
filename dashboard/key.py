"""The secret that sessions are signed with. Kept in the data folder, so that a restart logs nobody out."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from monitor.errors import SettingsError

_BYTES = 32


def session_key(folder: Path) -> bytes:
    """The key in `folder`/dashboard.key, made at the first start, readable by its owner only.

    Raises:
        SettingsError: the file can neither be read nor made.
    """
    path = folder / "dashboard.key"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; check data.dir (BELLWETHER_DATA_DIR)") from None
    if len(key) < _BYTES:
        raise SettingsError(f"{path} is no key; delete it and a new one is made (everybody has to log in again)")
    return key


def _make(path: Path) -> None:
    # Written whole under another name first: two dashboards that start at once must end up with one key.
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(_BYTES))
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
