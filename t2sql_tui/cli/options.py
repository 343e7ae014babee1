"""Options that several commands share."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import click

from t2sql_tui.cli.backend_options import BackendChoice, Command, backend_options
from t2sql_tui.demo import DEMOS


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The model that a command line names, and how it is to be loaded."""

    model: str | None
    backend: BackendChoice
    offline: bool


def model_options(command: Command) -> Command:
    """Adds the options that choose and load a model; the command gets a `ModelChoice`."""

    @functools.wraps(command)
    def with_choice(model: str | None, backend: BackendChoice, offline: bool, **given: Any) -> Any:
        return command(model=ModelChoice(model, backend, offline), **given)

    offline = click.option(
        "--offline", is_flag=True, help="Never use the network, not even to fetch weights."
    )
    return model_option(backend_options(offline(with_choice)))


def model_option(command: Command) -> Command:
    """Adds --model."""
    return click.option(
        "--model",
        metavar="NAME|FILE",
        default=None,
        help="Name of a model (see `t2sql-tui models list`), path of a .gguf file, or folder of an "
        "adapter (default: the first model of that list).",
    )(command)


def compare_option(command: Command) -> Command:
    """Adds --compare/--no-compare, which is None where neither is given."""
    return click.option(
        "--compare/--no-compare",
        default=None,
        help="Run the model's candidates, read-only and briefly, and choose among them by their "
        "rows (default: on; the app remembers the last choice made there).",
    )(command)


def demo_option(command: Command) -> Command:
    """Adds --demo [NAME], the first demo where no name is given."""
    names = [demo.name for demo in DEMOS]
    return click.option(
        "--demo",
        is_flag=False,
        flag_value=names[0],
        default=None,
        type=click.Choice(names),
        metavar="[NAME]",
        help=f"Use a demo database: {', '.join(names[:-1])} or {names[-1]} (default: {names[0]}).",
    )(command)
