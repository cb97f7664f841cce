"""The lineup: which bundle reads which language, and which ones score beside it in shadow mode.

Where a lineup comes from (the settings, the registry, what ships) is said by `monitor/champions.py`; this is only what
it is, and that its folders hold what they should. Needs no model library.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from monitor.errors import BundleError, SettingsError
from monitor.settings import EngineSettings
from monitor.understand.bundle import FAST, SHIPPED
from monitor.understand.encoders import find_encoder, sha256
from monitor.understand.manifest import MANIFEST, Manifest, check_files, read_manifest
from monitor.understand.topics import Taxonomy

Origin = Literal["engine.bundles", "registry", "shipped"]


@dataclass(frozen=True)
class Seat:
    """A bundle and the languages it reads.

    Attributes:
        model: name@version.
        languages: those it is asked about; it may know more.
        origin: who says so.
        digest: SHA-256 its bundle.json must have; None: whatever is there.
    """

    folder: Path
    model: str
    languages: tuple[str, ...]
    origin: Origin
    digest: str | None = None

    @property
    def key(self) -> tuple[Path, str | None]:
        """What a loaded bundle is known by: the same for any languages it is asked about."""
        return self.folder, self.digest


@dataclass(frozen=True)
class Lineup:
    """Who reads what. No two seats share a language; shadows may share one with anybody."""

    seats: tuple[Seat, ...]
    shadows: tuple[Seat, ...] = ()

    @property
    def by_language(self) -> Mapping[str, Seat]:
        """Language → the seat that reads it."""
        return {language: seat for seat in self.seats for language in seat.languages}


def standing(settings: EngineSettings) -> Lineup:
    """The bundles that the settings name, or those that ship: who reads what as long as no registry says otherwise.

    Raises:
        BundleError: a manifest cannot be read, or two cover the same language.
    """
    if not settings.bundles:
        return Lineup(shipped(fast=settings.model == "fast"))
    return Lineup(_seats(tuple(path.expanduser() for path in settings.bundles), "engine.bundles"))


@lru_cache(maxsize=2)
def _shipped(fast: bool) -> tuple[Seat, ...]:
    small = _seats(FAST, "shipped") if fast else ()
    taken = {language for seat in small for language in seat.languages}
    return (*small, *_without(_seats(SHIPPED, "shipped"), taken))


def shipped(without: Collection[str] = (), *, fast: bool = False) -> tuple[Seat, ...]:
    """The bundles that ship, less the languages somebody else reads.

    Args:
        fast: the small students, where there are some.
    """
    return _without(_shipped(fast), without)


def _without(seats: tuple[Seat, ...], languages: Collection[str]) -> tuple[Seat, ...]:
    left = [replace(seat, languages=tuple(one for one in seat.languages if one not in languages)) for seat in seats]
    return tuple(seat for seat in left if seat.languages)


def _seats(folders: tuple[Path, ...], origin: Origin) -> tuple[Seat, ...]:
    seats = []
    covered: dict[str, Path] = {}
    for folder in folders:
        manifest = read_manifest(folder)
        for language in manifest.languages:
            if language in covered:
                raise BundleError(
                    f"{folder} and {covered[language]} both cover {language}; keep one of them in engine.bundles"
                )
            covered[language] = folder
        seats.append(Seat(folder, manifest.model, manifest.languages, origin))
    return tuple(seats)


def check(settings: EngineSettings, lineup: Lineup | None = None) -> list[Manifest]:
    """Check every bundle of a lineup as far as that goes without loading one: manifests, files, languages.

    Raises:
        BundleError: a bundle is damaged, is not the one that is meant, or two cover the same language.
    """
    return [check_seat(seat) for seat in (lineup or standing(settings)).seats]


def check_seat(seat: Seat) -> Manifest:
    """Check the bundle of one seat; see `check`."""
    try:
        if seat.digest is not None and (seat.folder / MANIFEST).is_file():
            found = sha256(seat.folder / MANIFEST)
            if found != seat.digest:
                raise BundleError(f"{seat.folder / MANIFEST}: is not the one that was registered (SHA-256 differs)")
        manifest = read_manifest(seat.folder)
        check_files(seat.folder, manifest)
        missing = [language for language in seat.languages if language not in manifest.languages]
        if manifest.model != seat.model or missing:
            raise BundleError(f"{seat.folder / MANIFEST}: says {manifest.model} ({', '.join(manifest.languages)})")
    except BundleError as error:
        if seat.origin != "registry":
            raise
        raise BundleError(
            f"model {seat.model} of the registry cannot be used: {str(error).partition('; ')[0]}; put its folder back "
            "(engine.models) or go back with `bellwether models rollback`"
        ) from None
    return manifest


def verify(settings: EngineSettings, lineup: Lineup | None = None) -> str:
    """Check every bundle and that its encoder is at hand; one line that says what there is. Raises BundleError."""
    parts = []
    lineup = lineup or standing(settings)
    for seat, manifest in zip(lineup.seats, check(settings, lineup), strict=True):
        text = f"{manifest.model} ({', '.join(seat.languages)})"
        if seat.origin == "registry":
            text = f"{manifest.model} (champion for {', '.join(seat.languages)})"
        if manifest.encoder is not None and manifest.encoder.form != "whole":
            text += f" on {manifest.encoder.name} at {find_encoder(manifest.encoder.source, beside=seat.folder)}"
        parts.append(text)
    return "; ".join(parts)


def check_topics(manifest: Manifest, taxonomy: Taxonomy) -> None:
    """Make sure that the taxonomy knows every topic a model gives. Raises SettingsError."""
    unknown = [topic for topic in manifest.topics if topic not in taxonomy]
    if unknown:
        raise SettingsError(
            f"{taxonomy.path}: lacks {', '.join(unknown)}, which model {manifest.model} gives; "
            "add them there or choose other models with engine.bundles"
        )
