"""Whether a service of docker-compose.yml does its work: exit status 0 if so, else 1 and a line that says why.

    python health.py consumer | scheduler | dashboard

The consumer is well when it has lately written, or noted that it stands at the end of its partitions; the scheduler
when one leads; the dashboard when it answers.
"""

from __future__ import annotations

import sys
import urllib.request
from datetime import UTC, datetime, timedelta

from monitor.errors import BellwetherError
from monitor.settings import Settings, load

RECENT = timedelta(minutes=2)


def consumer(settings: Settings) -> str | None:
    """What is wrong with the consumers of our group; None: nothing."""
    from monitor.store import positions
    from monitor.store.database import Database

    with Database(settings).transaction() as connection:
        found = positions.read(connection, settings.kafka.group)
    moments = [time for row in found for time in (row.last_message_at, row.caught_up_at) if time is not None]
    if not moments:
        return "nothing was read yet"
    age = datetime.now(UTC) - max(moments)
    return f"nothing was read for {age.total_seconds():.0f} s" if age > RECENT else None


def scheduler(settings: Settings) -> str | None:
    """What is wrong with the schedulers; None: nothing."""
    from monitor.store.database import Database
    from monitor.store.queries import status

    database = Database(settings)
    with database.transaction() as connection:
        return None if status.has_leader(connection, database.schema) else "no scheduler leads"


def dashboard(settings: Settings) -> str | None:
    """What is wrong with the dashboard on this machine; None: nothing."""
    url = f"http://127.0.0.1:{settings.dashboard.port}/healthz"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return None if answer.status == 200 else f"{url} answers {answer.status}"
    except OSError as error:
        return f"{url}: {error}"


CHECKS = {"consumer": consumer, "scheduler": scheduler, "dashboard": dashboard}


def main() -> None:
    """Run the check that the command line names."""
    if sys.argv[1:2] == [] or sys.argv[1] not in CHECKS:
        sys.exit(f"usage: health.py {' | '.join(CHECKS)}")
    try:
        sys.exit(CHECKS[sys.argv[1]](load().settings))
    except BellwetherError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
