"""`t2sql-tui open`, the default command: the app."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from t2sql_tui.cli.loading import build_demo, load_model, named_model
from t2sql_tui.cli.options import ModelChoice, compare_option, demo_option, model_options
from t2sql_tui.core.errors import T2SQLError


@click.command("open")
@click.argument("database", required=False, type=click.Path(path_type=Path))
@demo_option
@compare_option
@model_options
def open_app(
    database: Path | None, demo: str | None, compare: bool | None, model: ModelChoice
) -> None:
    """Open the app, on DATABASE if one is named. This is the default command.

    \b
    Examples:
      t2sql-tui mydb.sqlite
      t2sql-tui --demo retail
      t2sql-tui mydb.sqlite --model qwen2.5-coder-1.5b
    """
    if database and demo:
        raise click.UsageError("Name a database or a demo, not both.")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise T2SQLError(
            "The app needs a terminal.", 'Without one: t2sql-tui ask DATABASE "question" --run'
        )
    from t2sql_tui.ui.app import T2SQLApp  # Textual: 0.3 s

    spec = named_model(model.model)
    T2SQLApp(
        build_demo(demo) if demo else database,
        model=spec,
        backend_factory=lambda on_progress: load_model(
            spec, model.backend, model.offline, on_progress
        ),
        demo=demo,
        compare=compare,
    ).run()
