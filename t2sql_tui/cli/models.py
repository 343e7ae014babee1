"""`t2sql-tui models`: the weights on this machine. Data on stdout, narration on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from t2sql_tui.cli.group import CommandGroup
from t2sql_tui.cli.loading import progress_bar

if TYPE_CHECKING:
    from t2sql_tui.core.types import ModelSpec


def _known_names(*_: object) -> list[str]:
    from t2sql_tui.core.models.catalog import load_catalog

    return list(load_catalog())


_name = click.argument("name", required=False, shell_complete=_known_names)


@click.group(cls=CommandGroup)
def models() -> None:
    """List, fetch, check and remove model weights.

    They are kept in the platform's cache folder; T2SQL_MODELS names another folder.
    NAME is a model of `t2sql-tui models list`; left out, it is the first of that list.
    """


@models.command("list")
def list_models() -> None:
    """List the known models and say which are on this machine.

    \b
    Examples:
      t2sql-tui models list
    """
    from tabulate import tabulate

    from t2sql_tui.core.models.catalog import find_model, load_catalog
    from t2sql_tui.core.paths import models_folder

    rows = [
        (spec.name, spec.title, f"{spec.bytes / 1e6:,.0f} MB", spec.licence, _state(spec))
        for spec in map(find_model, load_catalog())
    ]
    headers = ("name", "model", "size", "licence", "on this machine")
    click.echo(tabulate(rows, headers, colalign=("left", "left", "right")))
    click.echo(f"\nIn {models_folder()}", err=True)


@models.command()
@_name
@click.option("--force", is_flag=True, help="Fetch the weights again even if they are here.")
@click.option(
    "--offline", is_flag=True, help="Never use the network; fail if the weights are not here."
)
def pull(name: str | None, force: bool, offline: bool) -> None:
    """Fetch the weights of a model and verify them.

    \b
    Examples:
      t2sql-tui models pull
      t2sql-tui models pull qwen2.5-coder-1.5b
    """
    from t2sql_tui.core.models import store

    spec = _catalogued(name)
    with progress_bar(f"Fetching {spec.file}") as progress:
        path = store.pull(spec, progress, offline, force=force, on_note=_note)
    click.echo(path)


@models.command()
@_name
def path(name: str | None) -> None:
    """Print the path of the weights of a model.

    The path is printed even if nothing is there; the exit code is then 1.

    \b
    Examples:
      t2sql-tui models path
      t2sql-tui models path qwen2.5-coder-1.5b
    """
    from t2sql_tui.core.models import store

    spec = _catalogued(name)
    click.echo(store.weights_path(spec))
    if store.find(spec) is None:
        sys.exit(1)


@models.command()
@_name
def verify(name: str | None) -> None:
    """Read the weights of a model, and what was made from them, and compare their SHA-256.

    \b
    Examples:
      t2sql-tui models verify
      t2sql-tui models verify qwen2.5-coder-1.5b
    """
    from t2sql_tui.core.models import store

    spec = _catalogued(name)
    with progress_bar(f"Reading {spec.file}") as progress:
        path = store.verify(spec, on_progress=progress)
    click.echo(f"{path}: whole, SHA-256 {spec.sha256}")
    if merged := store.verify_merged(spec):
        click.echo(f"{merged}: whole, as it was made from these weights and the adapter")


@models.command()
@_name
def rm(name: str | None) -> None:
    """Delete the weights of a model and its unfinished downloads.

    \b
    Examples:
      t2sql-tui models rm qwen2.5-coder-1.5b
    """
    from t2sql_tui.core.models import store

    spec = _catalogued(name)
    removed = store.remove(spec)
    for path in removed:
        click.echo(path)
    if not removed:
        _note(f"No weights of {spec.name} are on this machine.")


def _catalogued(name: str | None) -> ModelSpec:
    """The model of that name in the catalog, or the default one.

    Raises: click.BadParameter for a file, which these commands do not manage; ModelError.
    """
    from t2sql_tui.core.models.catalog import DEFAULT_MODEL, find_model, load_catalog

    name = name or DEFAULT_MODEL
    if name not in load_catalog() and name.endswith(".gguf"):
        raise click.BadParameter("name a known model (see: t2sql-tui models list)")
    return find_model(name)


def _state(spec: ModelSpec) -> str:
    if spec.path is None:
        return "-"
    return "yes" if spec.path.stat().st_size == spec.bytes else "damaged"


def _note(line: str) -> None:
    click.echo(line, err=True)
