"""`t2sql-tui models`: the weights on this machine. Data on stdout, narration on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from t2sql_tui.core.models import store
from t2sql_tui.core.models.catalog import DEFAULT_MODEL, find_model, load_catalog
from t2sql_tui.core.types import ModelSpec


def _known_names(*_: object) -> list[str]:
    return list(load_catalog())


_name = click.argument(
    "name", default=DEFAULT_MODEL, shell_complete=_known_names, metavar=f"[NAME={DEFAULT_MODEL}]"
)


@click.group()
def models() -> None:
    """List, fetch, check and remove model weights.

    They are kept in the platform's cache folder; T2SQL_MODELS names another.
    """


@models.command("list")
def list_models() -> None:
    """The models that can be used, and which are on this machine."""
    from tabulate import tabulate

    rows = [
        (spec.name, spec.title, f"{spec.bytes / 1e6:,.0f} MB", spec.licence, _whereabouts(spec))
        for spec in map(find_model, load_catalog())
    ]
    click.echo(
        tabulate(
            rows,
            ("name", "model", "size", "licence", "on this machine"),
            colalign=("left", "left", "right"),
        )
    )
    click.echo(f"\nIn {store.models_folder()}", err=True)


@models.command()
@_name
@click.option("--force", is_flag=True, help="Fetch again what is here.")
@click.option("--offline", is_flag=True, help="Touch no network; fail if it is not here.")
def pull(name: str, force: bool, offline: bool) -> None:
    """Fetch the weights of a model and verify them.

    \b
    t2sql-tui models pull
    t2sql-tui models pull qwen2.5-coder-1.5b
    """
    spec = _catalogued(name)
    with _progress(f"Fetching {spec.file}", spec.bytes) as progress:
        path = store.pull(spec, progress, offline, force=force, on_note=_note)
    click.echo(path)


@models.command()
@_name
def path(name: str) -> None:
    """Print where the weights of a model are (or would be: then the exit code is 1)."""
    spec = _catalogued(name)
    click.echo(store.weights_path(spec))
    if store.find(spec) is None:
        sys.exit(1)


@models.command()
@_name
def verify(name: str) -> None:
    """Read the weights of a model and compare their SHA-256."""
    spec = _catalogued(name)
    with _progress(f"Reading {spec.file}", spec.bytes) as progress:
        path = store.verify(spec, on_progress=progress)
    click.echo(f"{path}: whole, SHA-256 {spec.sha256}")


@models.command()
@_name
def rm(name: str) -> None:
    """Delete the weights of a model, half downloads too."""
    removed = store.remove(_catalogued(name))
    for path in removed:
        click.echo(path)
    if not removed:
        _note(f"Nothing of {name} is on this machine.")


def _catalogued(name: str) -> ModelSpec:
    """A model of the catalog; the path of a file is none of these commands' business."""
    if name not in load_catalog() and name.endswith(".gguf"):
        raise click.BadParameter("name a known model (see: t2sql-tui models list)")
    return find_model(name)


def _whereabouts(spec: ModelSpec) -> str:
    if spec.path is None:
        return "-"
    return "yes" if spec.path.stat().st_size == spec.bytes else "damaged"


def _note(line: str) -> None:
    click.echo(line, err=True)


@contextmanager
def _progress(label: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, or nothing where that is no terminal. It appears with the first bytes."""
    bar = click.progressbar(length=total, label=label, file=sys.stderr)
    shown = []

    def update(done: int, _: int) -> None:
        if not sys.stderr.isatty():
            return
        if not shown:
            shown.append(bar.__enter__())
        bar.update(done - bar.pos)

    try:
        yield update
    finally:
        if shown:
            bar.__exit__(None, None, None)
