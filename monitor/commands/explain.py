"""`bellwether explain`."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import UUID

import click

from monitor.documents import LABELS, Document, Label
from monitor.errors import InputError
from monitor.settings import Settings, load

if TYPE_CHECKING:
    from monitor.understand.companies import Watchlist
    from monitor.understand.explain import Explanation

_SHOWN = 12
_COLOURS = {"negative": (213, 94, 0), "neutral": (110, 125, 140), "positive": (28, 111, 174)}
_TOPIC, _AGAINST = (0, 120, 90), (150, 80, 150)
_LONGEST = 100_000


@click.command()
@click.argument("text", required=False)
@click.option("--key", help="A stored document instead of TEXT (the dashboard shows keys in its addresses, `doc=`).")
@click.option("--name", help="With --key: of this replay instead of the live record.")
@click.option("--lang", help="Language of TEXT (en, zh …); told from the text by default.")
@click.option("--symbol", "symbols", multiple=True, help="A company the source named (repeatable).")
@click.option("--toward", help="The sentiment toward this company (symbol or name) instead of the whole text's.")
@click.option("--topic", help="Why this topic, by its id.")
@click.option("--label", type=click.Choice(LABELS), help="Why (or why not) this sentiment; by default the likeliest.")
@click.option("--model", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A model folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def explain(
    text: str | None,
    key: str | None,
    name: str | None,
    lang: str | None,
    symbols: tuple[str, ...],
    toward: str | None,
    topic: str | None,
    label: str | None,
    model: Path | None,
    as_json: bool,
) -> None:
    """Say which words of TEXT (- for standard input) made the model say what it says.

    Words that spoke for it are coloured, those that spoke against it underlined; the table has the strongest. The
    weights are exact for n-gram models and integrated gradients for transformers; they add up to what the text
    changed against one of which nothing is known. They tell what the model looked at, not whether it was right.

    \b
    bellwether explain "Halvern Bank's loss narrows as deposits rise"
    bellwether explain --key 0190c5f2-… --toward Tesla
    """
    from monitor.understand.companies import Watchlist
    from monitor.understand.explain import Explainer
    from monitor.understand.language import detect
    from monitor.understand.toward import aimed

    if (text is None) == (key is None):
        raise InputError("give a text, or the key of a stored document with --key")
    if topic and (label or toward):
        raise InputError("--topic stands by itself; leave out --label and --toward")
    settings = load().settings
    if key is not None:
        body, lang, symbols = _stored(settings, key, name)
    else:
        body = sys.stdin.buffer.read(4 * _LONGEST).decode("utf-8", "replace") if text == "-" else str(text)
        lang = detect(body, lang)
    if not body.strip():
        raise InputError("there is no text to explain")
    explainer = Explainer(model or _folder(settings, lang))
    if toward:
        if not explainer.manifest.toward:
            raise InputError(
                f"model {explainer.manifest.model} tells no sentiment toward a company; leave out --toward"
            )
        watchlist = Watchlist.load(settings.engine.watchlist)
        target = _symbol(watchlist, toward)
        body = aimed(body, watchlist.spans(body, symbols), target, lang)
    found = explainer.explain(body, label=cast(Label, label) if label else None, topic=topic)
    if as_json:
        click.echo(json.dumps(found.as_dict() | {"lang": lang}, ensure_ascii=False))
    else:
        _show(found, lang)


def _stored(settings: Settings, key: str, name: str | None) -> tuple[str, str, tuple[str, ...]]:
    """Text, language and companies of a stored document."""
    from monitor.records import open_record
    from monitor.store.queries import documents

    try:
        identity = UUID(key)
    except ValueError:
        raise InputError(f"{key!r} is no key of a document; they read like 0190c5f2-7c1e-…") from None
    with closing(open_record(settings, name)) as database, database.transaction() as connection:
        found = documents.details(connection, identity)
    if found is None:
        raise InputError(f"there is no document {key} in the record")
    document = Document(found.id, found.source, "news", found.published_at, found.title, found.text)
    return document.body, found.lang, (*found.symbols, *found.companies)


def _folder(settings: Settings, lang: str) -> Path:
    """The folder of the model that reads the language."""
    from monitor.champions import lineup_without_record

    seats = lineup_without_record(settings).by_language
    if lang not in seats:
        raise InputError(f"no model reads {lang!r}; there are models for {', '.join(sorted(seats))} (see --lang)")
    return seats[lang].folder


def _symbol(watchlist: Watchlist, name: str) -> str:
    symbol = watchlist.resolve(name)
    found = [symbol] if symbol else list(watchlist.match(name))
    found = found or [company.symbol for company in watchlist if name in company.names()]
    if len(found) != 1:
        raise InputError(f"{name!r} is no company of the watch list" if not found else f"{name!r} may be {found}")
    return found[0]


def _show(found: Explanation, lang: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    most = max((abs(word.weight) for word in found.words), default=0.0) or 1.0
    colour = _COLOURS.get(found.label, _TOPIC)
    shown = Text()
    at = 0
    for word in found.words:
        shown.append(found.text[at : word.start])
        shown.append(word.text, style=_style(word.weight / most, colour))
        at = word.end
    shown.append(found.text[at:])
    console = Console(highlight=False)
    console.print(shown)
    table = Table("word", "weight", "", box=None, pad_edge=False, show_edge=False)
    strongest = sorted(found.words, key=lambda word: (-abs(word.weight), word.start))[:_SHOWN]
    for word in strongest:
        bar = "█" * max(1, round(20 * abs(word.weight) / most))
        red, green, blue = colour if word.weight > 0 else _AGAINST
        told = Text(bar, style=f"rgb({red},{green},{blue})")
        table.add_row(Text(word.text), f"{word.weight:+.2f}", told)
    console.print()
    console.print(table)
    console.print()
    console.print(
        f"{found.label} {found.probability:.2f} by {found.model} ({lang}). The words change the logit from "
        f"{found.baseline:+.2f} to {found.value:+.2f}; {found.method}.",
        soft_wrap=True,
    )
    if found.read < found.length:
        console.print(f"read: the first {found.read:,} of {found.length:,} characters", style="yellow")


def _style(share: float, colour: tuple[int, int, int]) -> str:
    """How a word is shown, for its share of the strongest word's weight, in [-1, 1]."""
    if abs(share) < 0.1:
        return ""
    if share < 0:
        return "underline"
    red, green, blue = (round(part * min(1.0, 0.25 + 0.75 * share)) for part in colour)
    return f"{'bold ' if share > 0.5 else ''}white on rgb({red},{green},{blue})"
