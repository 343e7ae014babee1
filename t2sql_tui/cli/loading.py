"""Opening what a command line names: the demo database, the model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from t2sql_tui.backends import BACKENDS, load_backend

if TYPE_CHECKING:
    from t2sql_tui.cli.backend_options import BackendChoice
    from t2sql_tui.core.types import Backend, ModelSpec


def build_demo(name: str) -> Path:
    """The path of the demo database in the cache folder, built now where it is missing."""
    from t2sql_tui import demo
    from t2sql_tui.core.paths import demo_folder

    return demo.build(name, demo_folder())


def named_model(name: str | None) -> ModelSpec:
    """The named model, or the default one. Raises: ModelError."""
    from t2sql_tui.core.models.catalog import DEFAULT_MODEL, find_model  # 0.1 s

    return find_model(name or DEFAULT_MODEL)


def load_model(
    spec: ModelSpec,
    backend: BackendChoice,
    offline: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Backend:
    """The loaded backend; weights that are missing are fetched first, unless `offline`.

    `on_progress` gets bytes fetched and their sum, then parts loaded and their sum.
    Raises: ModelError.
    """
    if BACKENDS[backend.name].reads_gguf and spec.path is None and spec.sources:
        from t2sql_tui.core.models import store

        spec = replace(spec, path=store.pull(spec, on_progress, offline))
    return load_backend(
        spec, backend=backend.name, offline=offline, on_progress=on_progress, **backend.options
    )


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A function of the amount done and the sum, which draws a bar on stderr.

    The bar appears at the first call, a new sum starts a new one; nothing is drawn where
    stderr is no terminal.
    """
    bars: list[Any] = []
    with ExitStack() as stack:

        def report(done: int, total: int) -> None:
            if not sys.stderr.isatty() or total <= 1:
                return
            if not bars or bars[-1].length != total:
                bar = click.progressbar(length=total, label=label, file=sys.stderr)
                bars.append(stack.enter_context(bar))
            bars[-1].update(done - bars[-1].pos)

        yield report
