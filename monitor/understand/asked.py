"""What a model is asked about a document."""

from __future__ import annotations

from typing import NamedTuple


class Asked(NamedTuple):
    """A document's text as the engine is asked about it.

    `aimed` are the texts marked for each of `targets`; both are empty where the whole text's sentiment counts for all
    of `companies`.
    """

    body: str
    lang: str
    companies: tuple[str, ...]
    targets: tuple[str, ...]
    aimed: tuple[str, ...]
