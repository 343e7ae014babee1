"""`t2sql-tui doctor`: do the locks hold and does the model run on this machine?"""

from __future__ import annotations

from pathlib import Path

import click

from t2sql_tui.cli.loading import build_demo, named_model
from t2sql_tui.cli.options import demo_option, model_option
from t2sql_tui.core.errors import T2SQLError


@click.command()
@click.argument("database", type=click.Path(path_type=Path), required=False)
@demo_option
@model_option
def doctor(database: Path | None, demo: str | None, model: str | None) -> None:
    """Try the locks on a copy of DATABASE, and the model in a separate process.

    Without DATABASE a demo database is used. Ends with exit code 1 if any check fails.

    \b
    Examples:
      t2sql-tui doctor
      t2sql-tui doctor mydb.sqlite
      t2sql-tui doctor mydb.sqlite --model qwen2.5-coder-1.5b
    """
    from t2sql_tui.backends.diagnosis import diagnose
    from t2sql_tui.core.doctor import run_doctor  # sqlglot: 0.1 s

    path = database or build_demo(demo or "ecommerce")
    passed = [_show(check.name, check.ok, check.detail) for check in run_doctor(path)]
    passed += [_show(*finding) for finding in diagnose(named_model(model).path)]
    if not all(passed):
        raise T2SQLError("Some checks failed; see above.", "Please report them.")


def _show(name: str, ok: bool, detail: str) -> bool:
    """Prints the outcome of one check and returns it."""
    click.secho("ok    " if ok else "FAILS ", fg="green" if ok else "red", nl=False)
    click.echo(f"{name}: {detail}" if detail else name)
    return ok
