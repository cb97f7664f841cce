"""Who served which language before whom, told from the events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from monitor.store.queries.models import Event


@dataclass(frozen=True, slots=True)
class Reign:
    """A model's time as the champion of a language; `event` is the promotion it began with."""

    event: int
    model: str


def reigns(events: Iterable[Event]) -> dict[str, list[Reign]]:
    """Language → the promotions that were not taken back, oldest first; the last one serves.

    A rollback takes the last one away for good, so a second rollback goes one further back.
    """
    found: dict[str, list[Reign]] = {}
    for event in events:
        if event.action == "promote":
            for language in event.details["languages"]:
                found.setdefault(language, []).append(Reign(event.id, event.model))
        elif event.action == "rollback":
            for language in event.details["languages"]:
                found[language].pop()
    return found


def taken_back(found: dict[str, list[Reign]], language: str | None) -> dict[str, tuple[str, str | None]]:
    """Language → (the model that serves, the one before it, None for what ships) of the next rollback.

    Args:
        language: only this one; None: all languages of the last promotion that was not taken back.

    Empty when there is nothing to take back.
    """
    serving = {one: stack for one, stack in found.items() if stack}
    if language is None:
        last = max((stack[-1].event for stack in serving.values()), default=0)
        chosen = [one for one, stack in serving.items() if stack[-1].event == last]
    else:
        chosen = [language] if language in serving else []
    return {
        one: (serving[one][-1].model, serving[one][-2].model if len(serving[one]) > 1 else None)
        for one in sorted(chosen)
    }
