"""Writes docs/settings.md from the settings tree: `python docs/make_settings.py`."""

from __future__ import annotations

from pathlib import Path

from monitor.settings import Section, Settings, variable
from monitor.shown import shown

PAGE = Path(__file__).with_name("settings.md")
HEAD = """\
# Settings

This page is written by `python docs/make_settings.py` from the program itself; do not edit it by hand.

A setting `section.key` is read from these places. A later one wins over an earlier one:

1. the file `bellwether.toml` in the working directory, or the file that `BELLWETHER_CONFIG` names;
2. the environment variable `BELLWETHER_SECTION_KEY`;
3. the file that `BELLWETHER_SECTION_KEY_FILE` names. Use this for secrets that are mounted as files.

`bellwether.example.toml` shows the form of the file. `bellwether doctor` shows the settings in effect (secrets are
masked), says where each value came from, and tests every connection. A key that does not exist is an error, and the
message names the nearest one that does.

A duration is a number with a unit: `200ms`, `90s`, `5m`, `4h` or `2d`. A list is a TOML array, or one text with
commas. A time has an offset: `2026-03-01T00:00:00Z`.
"""


def page() -> str:
    """The whole page."""
    values = shown(Settings())
    # The one default that depends on who runs the program.
    values["data.dir"] = "~/.local/share/bellwether"
    parts = [HEAD]
    for section, field in Settings.model_fields.items():
        model: type[Section] = field.annotation  # type: ignore[assignment]
        parts.append(f"\n## {section}\n\n{model.__doc__}\n\n| setting | default | meaning |\n| --- | --- | --- |\n")
        for name, info in model.model_fields.items():
            dotted = f"{section}.{info.alias or name}"
            default = f"`{values[dotted]}`" if values[dotted] else "empty"
            secret = "; a secret" if "SecretStr" in str(info.annotation) else ""
            meaning = (info.description or "").replace("|", "\\|")
            parts.append(f"| `{dotted}`<br>`{variable(dotted)}` | {default} | {meaning}{secret} |\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
