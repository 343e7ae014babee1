"""The options of the backends on a command line, made from their entries in the registry."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from t2sql_tui.backends import BACKENDS, DEFAULT_BACKEND, BackendOption

Command = Callable[..., Any]

#: Prefix of the parameters' names, so that a command may have one of the same name.
_PREFIX = "backend_"


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """The backend that a command line names, and the options it gives for it."""

    name: str = DEFAULT_BACKEND
    options: Mapping[str, Any] = field(default_factory=dict)


def backend_options(command: Command) -> Command:
    """Adds --backend and the options of every backend; the command gets a `BackendChoice`."""

    @functools.wraps(command)
    def with_choice(backend: str, **values: Any) -> Any:
        options = chosen_options(backend, values)
        return command(backend=BackendChoice(backend, options), **values)

    summaries = "; ".join(f"{name}: {entry.summary}" for name, entry in BACKENDS.items())
    return click.option(
        "--backend",
        type=click.Choice(list(BACKENDS)),
        default=DEFAULT_BACKEND,
        show_default=True,
        help=f"What runs the model. {summaries}.",
    )(backend_flags(with_choice))


def backend_flags(command: Command) -> Command:
    """Adds the options of every backend; the command passes what it gets to `chosen_options`."""
    for name, (option, backends) in reversed(_by_name().items()):
        text = f"{', '.join(backends)}: {option.help}"
        command = _click_option(option, _PREFIX + name, text)(command)
    return command


def backend_flag(backend: str, name: str) -> Callable[[Command], Command]:
    """Adds one option of a backend, for a command that always uses this one; the command gets
    the value under the option's own name."""
    (option,) = (option for option in BACKENDS[backend].options if option.name == name)
    return _click_option(option, name, option.help)


def chosen_options(backend: str, values: dict[str, Any]) -> dict[str, Any]:
    """The options given for the backend, by the names of its constructor.

    Removes the parameters of `backend_flags` from `values`. Raises: click.UsageError for an
    option that the backend does not have.
    """
    given = {name: values.pop(_PREFIX + name) for name in _by_name()}
    options = {name: value for name, value in given.items() if value is not None}
    known = {option.name: option.flag for option in BACKENDS[backend].options}
    for name in options.keys() - known.keys():
        flag = _by_name()[name][0].flag
        raise click.UsageError(
            f"The backend {backend} has no option {flag}; it has: {', '.join(known.values())}."
        )
    return options


def _by_name() -> dict[str, tuple[BackendOption, list[str]]]:
    """Each backend option by its name, with the backends that have it."""
    found: dict[str, tuple[BackendOption, list[str]]] = {}
    for backend, entry in BACKENDS.items():
        for option in entry.options:
            found.setdefault(option.name, (option, []))[1].append(backend)
    return found


def _click_option(option: BackendOption, parameter: str, text: str) -> Callable[[Command], Command]:
    kind: Any = option.type
    if option.minimum is not None:
        whole = option.type is int
        kind = click.IntRange(int(option.minimum)) if whole else click.FloatRange(option.minimum)
    names = (option.flag, parameter)
    if option.type is bool:
        return click.option(*names, is_flag=True, default=None, help=text)
    metavar = option.metavar or None
    return click.option(*names, type=kind, default=None, metavar=metavar, help=text)
