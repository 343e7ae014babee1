"""Writes docs/cli.md from `--help` of every command: `python scripts/write_cli_docs.py [--check]`.

With --check nothing is written; the exit code is 1 if the file is not up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from benchmarks.cli import main as benchmarks
from t2sql_tui.cli import main as t2sql_tui
from trainer.cli import main as trainer

TARGET = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
PROGRAMS = {"t2sql-tui": t2sql_tui, "benchmarks": benchmarks, "trainer": trainer}
WIDTH = 96

HEAD = """\
# Command line

The `--help` of every command, written by `python scripts/write_cli_docs.py`; a test checks that it
is up to date.
"""


def commands(
    name: str, command: click.Command, parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    """The full name and the `--help` of a command, then those of its subcommands."""
    width = {"terminal_width": WIDTH, "max_content_width": WIDTH}
    settings = {**command.context_settings, **width}
    context = click.Context(command, parent, info_name=name, **settings)
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            found = command.get_command(context, sub)
            if found is not None and not found.hidden:
                yield from commands(sub, found, context)


def document() -> str:
    """The text of docs/cli.md."""
    parts = [HEAD]
    for program, group in PROGRAMS.items():
        for path, help_text in commands(program, group):
            level = "##" if path == program else "###"
            parts.append(f"{level} {path}\n\n```\n{help_text.rstrip()}\n```\n")
    return "\n".join(parts)


def main() -> int:
    """Writes the file or, with --check, compares it. Returns the exit code."""
    text = document()
    if "--check" in sys.argv[1:]:
        if TARGET.exists() and TARGET.read_text("utf-8") == text:
            return 0
        print(f"docs/{TARGET.name} is out of date. Run: python scripts/write_cli_docs.py")
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
