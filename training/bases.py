"""The encoder a run starts from: found as the service finds it, or made ready for the run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from monitor.errors import BundleError, InputError
from monitor.understand.encoders import FILES, EncoderSource, find_encoder
from training import e5
from training.data.examples import Example
from training.placing import placed
from training.recipe import Recipe

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Base:
    """An encoder's folder.

    Attributes:
        own: it was made for this run, so that nobody else has it.
        origin: of an own one, the encoder everybody can have whose weights it has been trained on from; None when
            there is no such encoder (its vocabulary was trimmed, or its own origin is not to be had).
    """

    folder: Path
    own: bool
    origin: Path | None = None

    @property
    def public(self) -> Path | None:
        """The encoder a bundle may refer to, to hold only the difference."""
        return self.origin if self.own else self.folder


def base_for(recipe: Recipe, examples: Sequence[Example], workplace: Path) -> Base:
    """The encoder to start from.

    Args:
        examples: the texts of the run, for an encoder that is to be trimmed to their pieces.

    Raises:
        BundleError: the encoder cannot be had.
    """
    choice = recipe.encoder
    if choice is None:
        raise InputError(f"recipe {recipe.name}: names no encoder")
    made = workplace / "encoder"
    if _is_whole(made):
        return Base(made, True)
    try:
        folder, own = find_encoder(EncoderSource(choice.name, choice.revision)), False
    except BundleError:
        if choice.name != e5.NAME or not e5.carried():
            raise
        folder, own = workplace / "e5", True
        if not _is_whole(folder):
            with placed(folder) as part:
                e5.unpack(part)
    if choice.trim:
        from training.trimming import trim

        trimmed = workplace / "trimmed" if choice.layers else made
        with placed(trimmed) as part:
            kept = trim(folder, [example.text for example in examples], part, least=choice.trim_least)
        log.info("%s: %d pieces of the vocabulary kept", recipe.name, kept)
        folder, own = trimmed, True
    if choice.layers:
        from training.shallow import shallow

        with placed(made) as part:
            shallow(folder, choice.layers, part)
        own = True
    return Base(folder if not choice.layers else made, own)


def _is_whole(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES)
