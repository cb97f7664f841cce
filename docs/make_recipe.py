"""Writes docs/recipe.md from the recipe's own description: `python docs/make_recipe.py`."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from training.recipe import Recipe

PAGE = Path(__file__).with_name("recipe.md")
HEAD = """\
# Recipes: every key

This page is written by `python docs/make_recipe.py` from the program itself; do not edit it by hand.

A recipe is a TOML file. `bellwether train RECIPE --set section.key=value` changes a key for one run. A key that does
not exist is refused with the nearest one that does. `[[train]]`, `[[test]]` and `[[unlabelled]]` are written once for
each file. docs/training.md says how it all hangs together.
"""


def page() -> str:
    """The whole page."""
    top = {name: info for name, info in Recipe.model_fields.items() if _inside(info.annotation) is None}
    parts = [HEAD, _table("The recipe itself", Recipe.__doc__, top)]
    for name, info in Recipe.model_fields.items():
        model = _inside(info.annotation)
        if model is not None:
            many = typing.get_origin(info.annotation) is list
            parts.append(_table(f"[[{name}]]" if many else f"[{name}]", model.__doc__, model.model_fields))
    return "".join(parts)


def _table(title: str, about: str | None, fields: dict[str, FieldInfo]) -> str:
    rows = []
    for name, info in fields.items():
        default = "needed" if info.is_required() else _written(info.get_default(call_default_factory=True))
        rows.append(f"| `{name}` | {_kind(info)} | {default} | {info.description or ''} |\n")
    head = "| key | what | default | meaning |\n| --- | --- | --- | --- |\n"
    return f"\n## {title}\n\n{about}\n\n{head}{''.join(rows)}"


def _inside(annotation: Any) -> type[BaseModel] | None:
    for part in (annotation, *typing.get_args(annotation)):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def _kind(info: FieldInfo) -> str:
    options = [part for part in (info.annotation, *typing.get_args(info.annotation)) if part is not type(None)]
    literal = next((part for part in options if typing.get_origin(part) is typing.Literal), None)
    if literal is not None:
        return ", ".join(f"`{value}`" for value in typing.get_args(literal))
    plain = next((part for part in options if isinstance(part, type)), None)
    outer = typing.get_origin(info.annotation)
    if outer is dict:
        return "a table"
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "`true` or `false`"}
    kind = names[plain.__name__] if plain else ""
    return f"list of {kind}s" if outer is list else kind


def _written(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
