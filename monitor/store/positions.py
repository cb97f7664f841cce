"""How far each partition was read, and what that says of event time.

Of one partition the watermark is its latest event time less the allowed lateness. A partition that stays
silent although a consumer stands at its end does not hold the service back: there the wall clock, as of the
moment the consumer last looked, takes over. A partition nobody reads does hold it back: its backlog is
unknown. A closed partition (the end of an archive) has no bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

Partition = tuple[str, int]
_COLUMNS = 'topic, "partition", next_offset, event_time_high, last_message_at, caught_up_at, closed'
END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Position:
    """One row of `positions`."""

    topic: str
    partition: int
    next_offset: int | None
    event_time_high: datetime | None
    last_message_at: datetime | None
    caught_up_at: datetime | None
    closed: bool

    def watermark(self, lateness: timedelta, idle_after: timedelta) -> datetime | None:
        """Event time before which this partition adds nothing on time; None: nothing is known yet."""
        if self.closed:
            return END_OF_TIME
        bounds = []
        if self.event_time_high is not None:
            bounds.append(self.event_time_high - lateness)
        if self.caught_up_at is not None:
            silent_since = self.last_message_at or self.caught_up_at
            # A partition that never held a message has no last one: standing at its end is enough.
            if self.last_message_at is None or self.caught_up_at - silent_since >= idle_after:
                bounds.append(self.caught_up_at - max(lateness, idle_after))
        return max(bounds, default=None)


def read(connection: Connection, group: str) -> list[Position]:
    """All positions of a group, by topic and partition."""
    rows = connection.execute(
        text(f'SELECT {_COLUMNS} FROM positions WHERE consumer_group = :group ORDER BY topic, "partition"'),
        {"group": group},
    )
    return [Position(*row) for row in rows]


def hold(connection: Connection, group: str, partitions: Iterable[Partition]) -> dict[Partition, Position]:
    """Lock these positions, and no others, in order, until the end of the transaction."""
    wanted = sorted(partitions)
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM positions WHERE consumer_group = :group AND "
            '(topic, "partition") IN (SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:numbers AS int[]))) '
            'ORDER BY topic, "partition" FOR UPDATE'
        ),
        {"group": group, "topics": [topic for topic, _ in wanted], "numbers": [number for _, number in wanted]},
    )
    return {(row.topic, row.partition): Position(*row) for row in rows}


def register(connection: Connection, group: str, partitions: Iterable[Partition]) -> None:
    """Make a row for each partition there is, so that one nobody has read yet holds the watermark back."""
    for topic, partition in sorted(partitions):
        connection.execute(
            text(
                'INSERT INTO positions (consumer_group, topic, "partition") VALUES (:group, :topic, :partition) '
                "ON CONFLICT DO NOTHING"
            ),
            {"group": group, "topic": topic, "partition": partition},
        )


def offsets(connection: Connection, group: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
    """The stored next offset of those partitions that were ever read."""
    wanted = set(partitions)
    return {
        (position.topic, position.partition): position.next_offset
        for position in read(connection, group)
        if (position.topic, position.partition) in wanted and position.next_offset is not None
    }


def mark_caught_up(connection: Connection, group: str, standing: Mapping[Partition, int | None]) -> None:
    """Note that a consumer stands, now, at the end of these partitions.

    `standing` gives for each the offset the consumer last stored (None: it never did). The note is kept only
    where that is still the stored one: what another consumer has in hand is not overlooked.
    """
    for (topic, partition), offset in sorted(standing.items()):
        connection.execute(
            text(
                "UPDATE positions SET caught_up_at = now() WHERE consumer_group = :group AND topic = :topic "
                'AND "partition" = :partition AND next_offset IS NOT DISTINCT FROM :offset'
            ),
            {"group": group, "topic": topic, "partition": partition, "offset": offset},
        )


def close(connection: Connection, group: str, partitions: Iterable[Partition]) -> None:
    """Note that nothing more will come from these partitions."""
    for topic, partition in sorted(partitions):
        connection.execute(
            text(
                "UPDATE positions SET closed = true WHERE consumer_group = :group AND topic = :topic "
                'AND "partition" = :partition'
            ),
            {"group": group, "topic": topic, "partition": partition},
        )
