"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from t2sql_tui.backends import BACKENDS, DEFAULT_BACKEND, BackendOption
from t2sql_tui.demo import DEMOS

Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """The backend that a command line names, and the options it gives for it."""

    name: str = DEFAULT_BACKEND
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The model that a command line names, and how it is to be loaded."""

    model: str | None
    backend: BackendChoice
    offline: bool


#: Of the parameters of backend options, so that a command may have one of the same name.
_PREFIX = "backend_"


def backend_options(command: Command) -> Command:
    """Adds --backend and the options of every backend; the command gets a `BackendChoice`.

    An option that the chosen backend does not have is a usage error.
    """

    @functools.wraps(command)
    def with_choice(backend: str, **given: Any) -> Any:
        chosen = {name: given.pop(_PREFIX + name) for name in _by_name()}
        return command(backend=_choice(backend, chosen), **given)

    decorated: Command = with_choice
    for name, (option, backends) in reversed(_by_name().items()):
        decorated = _click_option(name, option, backends)(decorated)
    summaries = "; ".join(f"{name}: {entry.summary}" for name, entry in BACKENDS.items())
    return click.option(
        "--backend",
        type=click.Choice(list(BACKENDS)),
        default=DEFAULT_BACKEND,
        show_default=True,
        help=f"What runs the model. {summaries}.",
    )(decorated)


def _by_name() -> dict[str, tuple[BackendOption, list[str]]]:
    """Each backend option by its name, with the backends that have it."""
    found: dict[str, tuple[BackendOption, list[str]]] = {}
    for backend, entry in BACKENDS.items():
        for option in entry.options:
            found.setdefault(option.name, (option, []))[1].append(backend)
    return found


def _click_option(
    name: str, option: BackendOption, backends: list[str]
) -> Callable[[Command], Command]:
    kind: Any = option.type
    if option.minimum is not None:
        whole = option.type is int
        kind = click.IntRange(int(option.minimum)) if whole else click.FloatRange(option.minimum)
    text = f"{', '.join(backends)}: {option.help}"
    names = (option.flag, _PREFIX + name)
    if option.type is bool:
        return click.option(*names, is_flag=True, default=None, help=text)
    metavar = option.metavar or None
    return click.option(*names, type=kind, default=None, metavar=metavar, help=text)


def _choice(backend: str, given: Mapping[str, Any]) -> BackendChoice:
    """Raises: click.UsageError for an option of another backend."""
    known = {option.name: option.flag for option in BACKENDS[backend].options}
    options = {name: value for name, value in given.items() if value is not None}
    for name in options.keys() - known.keys():
        flag = _by_name()[name][0].flag
        raise click.UsageError(
            f"The backend {backend} has no option {flag}; it has: {', '.join(known.values())}."
        )
    return BackendChoice(backend, options)


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
        metavar="[NAME]",
        help=f"Use a demo database: {', '.join(names[:-1])} or {names[-1]} (default: {names[0]}).",
    )(command)
