"""What README and docs say about the command line is true: commands, options, links, settings."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import click
import pytest

from monitor.cli import COMMANDS
from monitor.settings import FOREIGN, keys, variable

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/decisions/*.md"), ROOT / "docker-compose.yml"]
)


def calls(page: Path) -> list[list[str]]:
    """Each call of `bellwether COMMAND …` in code of the page, up to the end of the line or the closing sign."""
    text = page.read_text(encoding="utf-8")
    code = re.findall(r"`([^`\n]+)`", text) + [line.strip() for line in re.findall(r"^    .+$", text, re.MULTILINE)]
    found = []
    for piece in code:
        for words in re.findall(r"(?:^|[|;&] *)bellwether ([^|;&#]+)", piece):
            found.append(words.split())
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page: Path) -> None:
    for words in calls(page):
        name = words[0]
        if name.startswith("-") or name.isupper():
            continue
        assert name in COMMANDS, f"{page.name}: bellwether {name}"
        module, _, attribute = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        for word in words[1:]:
            if isinstance(command, click.Group) and word in command.commands:
                command = command.commands[word]
            if word.startswith("--"):
                options = {option for parameter in command.params for option in parameter.opts}
                assert word in options, f"{page.name}: bellwether {name} {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_variables_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
    variables = {variable(key) for key in keys()}
    known = variables | {name + "_FILE" for name in variables} | FOREIGN | EXAMPLES
    for name in re.findall(r"\bBELLWETHER_[A-Z_]+\b", text):
        assert name in known, f"{page.name}: {name}"


# The form of a name; one mistyped on purpose; the beginning of all.
EXAMPLES = {"BELLWETHER_SECTION_KEY", "BELLWETHER_SECTION_KEY_FILE", "BELLWETHER_KAFKA_BOOTSTRP", "BELLWETHER_"}
