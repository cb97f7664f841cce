"""Following the registry: a new champion is loaded in the background and takes over between two batches.

A thread of its own looks at the registry every `engine.reload_every` (one query on a small table). When the lineup has
changed, it loads what is new beside what runs; bundles that stay are not loaded again. So at the peak a process holds
the old lineup and the new bundles; the old ones go when the batch in hand is through. A bundle that cannot be loaded
is refused with one line in the log, whoever read its languages before goes on, and it is tried again after growing
pauses.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from monitor import champions
from monitor.errors import BellwetherError, DatabaseUnavailable
from monitor.settings import Settings
from monitor.store.database import Database
from monitor.store.queries.models import Active
from monitor.understand.lineup import Seat

if TYPE_CHECKING:
    from monitor.understand.bundle import Bundle
    from monitor.understand.reader import Reader

log = logging.getLogger(__name__)
LONGEST_PAUSE = 600.0  # seconds between attempts to load a bundle that was refused


class Reloader:
    """Holds the reader of the current lineup; use it as a context manager.

    Args:
        registry: the live record.
        active: what the registry said when `reader` was loaded.
    """

    def __init__(self, settings: Settings, registry: Database, reader: Reader, active: tuple[Active, ...]) -> None:
        self._settings = settings
        self._registry = registry
        self._reader = reader
        self._active = active
        self._wanted_shadows = tuple(seat for seat, _ in reader.shadows.seats)
        self._every = settings.engine.reload_every.total_seconds()
        self._refused: set[str] = set()
        self._pause, self._again_at = self._every, 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reload", daemon=True)

    def newest(self) -> Reader:
        """The reader for the next batch."""
        return self._reader

    def __enter__(self) -> Reloader:
        if not self._settings.engine.bundles:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        # A bundle half loaded is not waited for: the thread is a daemon.

    def _run(self) -> None:
        while not self._over.wait(self._every):
            try:
                self.look()
            except DatabaseUnavailable as error:
                log.debug("the registry was not asked: %s", error)
            except Exception as error:
                log.warning("the models stay as they are: %s", error, exc_info=not isinstance(error, BellwetherError))

    def look(self) -> bool:
        """Ask the registry once; load what changed. Whether `newest` gives another reader now."""
        active = champions.ask(self._settings, self._registry)
        if active == self._active and not (self._refused and time.monotonic() >= self._again_at):
            return False
        if active != self._active:
            self._refused.clear()
            self._pause = self._every
        self._load(active)
        self._active = active
        if self._refused:
            self._again_at = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        return True

    def _load(self, active: tuple[Active, ...]) -> None:
        from monitor.understand.engine import Engine, load_seat
        from monitor.understand.shadow import Shadows

        lineup = champions.lineup_of(self._settings, active)
        old = self._reader
        loaded = {seat.key: bundle for seat, bundle in (*old.engine.seats, *old.shadows.seats)}
        before = {language: (seat, bundle) for seat, bundle in old.engine.seats for language in seat.languages}
        seats: list[tuple[Seat, Bundle]] = []
        for seat in lineup.seats:
            try:
                bundle = loaded.get(seat.key) or load_seat(self._settings.engine, seat)
            except Exception as error:
                if seat.model not in self._refused:
                    log.error(
                        "model %s is refused, who read %s goes on: %s", seat.model, ", ".join(seat.languages), error
                    )
                self._refused.add(seat.model)
                # A language each: the bundle that goes on may lose its others to somebody who can be loaded.
                seats += [
                    (replace(before[language][0], languages=(language,)), before[language][1])
                    for language in seat.languages
                    if language in before
                ]
                continue
            self._refused.discard(seat.model)
            loaded[seat.key] = bundle
            seats.append((seat, bundle))
        engine = Engine.of(seats)
        if lineup.shadows == self._wanted_shadows:
            shadows = old.shadows
        else:
            shadows = Shadows.load(
                lineup.shadows, lambda seat: loaded.get(seat.key) or load_seat(self._settings.engine, seat)
            )
            self._wanted_shadows = lineup.shadows
        for language, model in engine.models.items():
            was = old.engine.models.get(language)
            if model != was:
                log.info("model %s reads %s from the next batch on, instead of %s", model, language, was or "nobody")
        self._reader = old.renewed(engine, shadows)
