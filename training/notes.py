"""What a run has to say of itself beside its numbers: sections of the model card between what it learned and how good
it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from monitor.understand.bundle import Bundle
from monitor.understand.encoders import sha256
from training.card import CARD, GOOD, write_manifest


def noted(bundle: Bundle, title: str, lines: Sequence[str]) -> Bundle:
    """The bundle with a section in its card; one of the same title is replaced."""
    path = bundle.folder / CARD
    text = path.read_text(encoding="utf-8") if path.is_file() else f"# {bundle.manifest.model}\n\n{GOOD}\n"
    begin = text.find(f"## {title}\n")
    if begin >= 0:
        end = text.find("\n## ", begin)
        text = text[:begin] + (text[end + 1 :] if end >= 0 else "")
    section = "\n".join([f"## {title}", "", *lines, "", ""])
    place = text.find(f"{GOOD}\n")
    text = f"{text}\n{section}" if place < 0 else text[:place] + section + text[place:]
    path.write_text(text, encoding="utf-8")
    manifest = replace(bundle.manifest, files={**bundle.manifest.files, CARD: sha256(path)})
    write_manifest(bundle.folder, manifest)
    return replace(bundle, manifest=manifest)


def sections(bundle: Bundle, *titles: str) -> list[str]:
    """The lines of those sections of a card that are there."""
    path = bundle.folder / CARD
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found: list[str] = []
    for title in titles:
        begin = text.find(f"## {title}\n")
        if begin >= 0:
            end = text.find("\n## ", begin)
            found += text[begin : end if end >= 0 else len(text)].splitlines()
    return found
