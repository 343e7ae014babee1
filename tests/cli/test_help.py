"""Every `--help` has examples, and each example is a command line that parses."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from benchmarks.cli import main as benchmarks
from t2sql_tui.cli import main as t2sql_tui
from trainer.cli import main as trainer

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {"t2sql-tui": t2sql_tui, "benchmarks": benchmarks, "trainer": trainer}


def commands(
    name: str, command: click.Command, parent: click.Context | None = None
) -> Iterator[tuple[str, click.Command]]:
    """The full name of every command, with the command."""
    context = click.Context(command, parent, info_name=name)
    yield context.command_path, command
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            yield from commands(sub, command.get_command(context, sub), context)


COMMANDS = {
    path: command for name, group in PROGRAMS.items() for path, command in commands(name, group)
}


def examples(command: click.Command) -> list[list[str]]:
    """The words of each example, without the remark that may follow after two spaces."""
    _, _, block = (command.help or "").partition("Examples:\n")
    lines = block.partition("\n\n")[0].splitlines()
    texts = [line.strip().partition("   ")[0].partition(" > ")[0] for line in lines]
    return [shlex.split(text) for text in texts if text]


@pytest.mark.parametrize("path", [p for p, c in COMMANDS.items() if not hasattr(c, "commands")])
def test_a_command_has_examples(path: str) -> None:
    assert examples(COMMANDS[path])


@pytest.mark.parametrize("words", [words for c in COMMANDS.values() for words in examples(c)])
def test_an_example_parses(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click.Path, "convert", lambda self, value, *_: value)  # runs/mine is none
    if words[0] == "torchrun":
        words = words[words.index("-m") + 1 :]
    program, *arguments = words
    command: click.Command = PROGRAMS[program]
    context = command.make_context(program, list(arguments))
    while isinstance(command, click.Group):
        name, *arguments = [*context._protected_args, *context.args]
        found = command.get_command(context, name)
        assert found, f"no command {name}"
        command = found
        context = command.make_context(name, list(arguments), parent=context)


@pytest.mark.parametrize("path", COMMANDS)
def test_no_flag_is_declared_twice(path: str) -> None:
    flags = [f for p in COMMANDS[path].params for f in (*p.opts, *p.secondary_opts)]
    assert len(flags) == len(set(flags))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_has_a_help_text_that_is_a_sentence(path: str) -> None:
    for parameter in COMMANDS[path].params:
        if isinstance(parameter, click.Option) and parameter.name != "help":
            text = (parameter.help or "").partition(" [default: ")[0]
            assert text.endswith("."), (parameter.opts, text)


def test_docs_cli_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "write_cli_docs.py", "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
