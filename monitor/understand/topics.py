"""The taxonomy of topics: ids, names in both languages, parents. Topics are data, not code."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from monitor.errors import SettingsError

SHIPPED_TOPICS = Path(__file__).with_name("topics.toml")


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its id, its English and Chinese name, the id of the topic above it, other names in labelled files."""

    id: str
    en: str
    zh: str
    parent: str | None = None
    aliases: tuple[str, ...] = ()

    def name(self, lang: str) -> str:
        """The name in `lang`; English where there is none."""
        return self.zh if lang == "zh" else self.en


@dataclass(frozen=True)
class Taxonomy:
    """All topics, in the order of their file."""

    topics: Mapping[str, Topic]
    path: Path = field(compare=False, default=SHIPPED_TOPICS)

    def __getitem__(self, topic: str) -> Topic:
        return self.topics[topic]

    def __contains__(self, topic: object) -> bool:
        return topic in self.topics

    def __iter__(self) -> Iterator[Topic]:
        return iter(self.topics.values())

    def __len__(self) -> int:
        return len(self.topics)

    @cached_property
    def _by_label(self) -> Mapping[str, str]:
        found = {alias: topic.id for topic in self for alias in topic.aliases}
        return found | {topic.id: topic.id for topic in self}

    def resolve(self, label: str) -> str | None:
        """The id that a labelled file means by `label` (an id or an alias); None if nothing has that name."""
        return self._by_label.get(label)

    def children(self, parent: str) -> tuple[Topic, ...]:
        """The topics directly below `parent`."""
        return tuple(topic for topic in self if topic.parent == parent)


def load_taxonomy(path: Path | None = None) -> Taxonomy:
    """Read and check a taxonomy; the one that ships when no path is given.

    Raises:
        SettingsError: the file of `engine.topics` cannot be read, or a topic in it is not what it should be.
    """
    path = path or SHIPPED_TOPICS
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}); set engine.topics to a taxonomy") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: not readable as TOML: {error}; see engine.topics") from None
    topics = {id_: _topic(id_, table, path) for id_, table in tables.items()}
    names: dict[str, str] = {}
    for topic in topics.values():
        for name in (topic.id, *topic.aliases):
            if names.setdefault(name, topic.id) != topic.id:
                raise _refused(path, topic.id, f"the name {name!r} already belongs to {names[name]}")
        seen = {topic.id}
        above = topic.parent
        while above is not None:
            if above not in topics:
                raise _refused(path, topic.id, f"there is no parent {above!r}")
            if above in seen:
                raise _refused(path, topic.id, "it stands above itself")
            seen.add(above)
            above = topics[above].parent
    if not topics:
        raise SettingsError(f"{path}: no topic in it; see engine.topics")
    return Taxonomy(topics, path)


def _topic(id_: str, table: Any, path: Path) -> Topic:
    if not id_.isascii() or not id_.replace("_", "").isalnum():
        raise _refused(path, id_, "an id is made of ASCII letters, digits and _")
    if not isinstance(table, dict):
        raise _refused(path, id_, "write it as a section with en and zh")
    unknown = set(table) - {"en", "zh", "parent", "aliases"}
    if unknown:
        raise _refused(path, id_, f"unknown key {min(unknown)!r}")
    for key in ("en", "zh"):
        if not isinstance(table.get(key), str) or not table[key].strip():
            raise _refused(path, id_, f"needs a name {key!r}")
    parent, aliases = table.get("parent"), table.get("aliases", [])
    if parent is not None and not isinstance(parent, str):
        raise _refused(path, id_, "parent is the id of one topic")
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise _refused(path, id_, "aliases is a list of names")
    return Topic(id_, table["en"], table["zh"], parent, tuple(aliases))


def _refused(path: Path, topic: str, why: str) -> SettingsError:
    return SettingsError(f"{path}: topic {topic}: {why} (engine.topics)")
