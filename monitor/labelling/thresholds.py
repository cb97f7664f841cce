"""The thresholds of the models at hand, as their folders say them."""

from __future__ import annotations

from monitor.champions import lineup
from monitor.errors import BundleError
from monitor.labelling.uncertain import Thresholds
from monitor.settings import Settings
from monitor.store.database import Database
from monitor.understand.manifest import read_manifest


def at_hand(settings: Settings, database: Database) -> Thresholds:
    """name@version → topic → threshold, of the models that read documents now. Loads none of them.

    A folder that cannot be read is left out: the choice of documents can do without.
    """
    found = {}
    try:
        seats = lineup(settings, database).seats
    except BundleError:
        return {}
    for seat in seats:
        try:
            manifest = read_manifest(seat.folder)
        except BundleError:
            continue
        found[manifest.model] = manifest.thresholds
    return found
