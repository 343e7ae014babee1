"""The command line. Everything heavy is imported in the body that needs it:
`t2sql-tui --help` loads click alone.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from t2sql_tui import __version__
from t2sql_tui.cli.group import CommandGroup
from t2sql_tui.cli.models import models
from t2sql_tui.core.errors import T2SQLError

EXIT_CODES = """\b
Exit codes of every command:
  0    done
  1    something failed; the message says what
  2    the command line is wrong
  3    the database cannot be opened, or the query failed or timed out
  4    the model is missing, damaged or broke down
  5    the model wrote no SQL that this database accepts
  130  interrupted
"""


def _model_options(command):
    """The options that choose and load a model, the same for every command."""
    for option in reversed(
        (
            click.option(
                "--model",
                metavar="NAME|FILE",
                default=None,
                help="A model of `t2sql-tui models list`, or any .gguf file.",
            ),
            click.option(
                "--backend",
                type=click.Choice(["gguf", "peft", "scripted"]),
                default="gguf",
                show_default=True,
                help="gguf: llama.cpp. peft: transformers with the adapter, for a GPU "
                "(needs the extra `gpu`). scripted: canned replies, to try the screen.",
            ),
            click.option("--offline", is_flag=True, help="Touch no network, not even for weights."),
        )
    ):
        command = option(command)
    return command


def _compare_option(what: str):
    return click.option(
        "--compare/--no-compare",
        default=None,
        help="Run the model's candidates, read-only and briefly, to compare their rows "
        f"before {what}. On by default.",
    )


def _demo_option(command):
    return click.option(
        "--demo",
        is_flag=False,
        flag_value="ecommerce",
        default=None,
        metavar="[NAME]",
        help="Use a demo database: ecommerce, finance, healthcare, saas or retail.",
    )(command)


@click.group(cls=CommandGroup, default="open", epilog=EXIT_CODES)
@click.version_option(__version__, message="t2sql-tui %(version)s")
def main() -> None:
    """Ask a SQLite file a question in plain English. Nothing leaves this machine.

    \b
    t2sql-tui mydb.sqlite                          open the app
    t2sql-tui --demo                               open it on a demo database
    t2sql-tui ask mydb.sqlite "How many orders?"   print the SQL
    t2sql-tui doctor mydb.sqlite                   prove that the file is safe
    """


@main.command()
@click.argument("database", required=False, type=click.Path(path_type=Path))
@_demo_option
@_compare_option("you approve one; the app remembers what you last chose there")
@_model_options
def open(
    database: Path | None,
    demo: str | None,
    compare: bool | None,
    model: str | None,
    backend: str,
    offline: bool,
) -> None:
    """Open the app, on DATABASE if one is named. This is the default command.

    \b
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
    from t2sql_tui.core.models.catalog import find_model
    from t2sql_tui.ui.app import T2SQLApp

    if demo:
        database = _build_demo(demo)
    spec = find_model(model) if model else find_model()
    T2SQLApp(
        database,
        model=spec,
        backend_factory=lambda on_progress=None: _load(spec, backend, offline, on_progress),
        demo=demo,
        compare=compare,
    ).run()


@main.command()
@click.argument("arguments", nargs=-1, metavar="[DATABASE] QUESTION")
@_demo_option
@click.option("--run", is_flag=True, help="Run the SQL as well, read-only, and print the rows.")
@click.option(
    "--format",
    "format_",
    default="table",
    show_default=True,
    help="How rows are printed: table, csv, tsv, json, jsonl, markdown or sql.",
)
@click.option("--limit", default=500, show_default=True, help="The most rows to print.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds that the SQL may run.")
@click.option("--sql-only", is_flag=True, help="Print the SQL, and nothing on stderr but errors.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object: SQL, confidence, readings and their warnings; with --run, rows.",
)
@_compare_option("one is chosen")
@_model_options
def ask(
    arguments: tuple[str, ...],
    demo: str | None,
    run: bool,
    format_: str,
    limit: int,
    timeout: float,
    sql_only: bool,
    as_json: bool,
    compare: bool | None,
    model: str | None,
    backend: str,
    offline: bool,
) -> None:
    """Answer one QUESTION: print its SQL, and with --run its rows.

    Data goes to stdout, narration to stderr. "-" reads the question from stdin.

    \b
    t2sql-tui ask mydb.sqlite "Which city has the most customers?" --run
    t2sql-tui ask mydb.sqlite "Orders per month" --run --format csv > orders.csv
    t2sql-tui ask --demo finance "Which branches have closed?"
    t2sql-tui ask --demo                           a question of the demo's own
    """
    if demo and not arguments:
        from t2sql_tui.demo import questions

        arguments, run = (questions(demo)[0].question,), not sql_only
        click.echo(arguments[0], err=True)
    if len(arguments) != (1 if demo else 2):
        raise click.UsageError(
            'Give --demo NAME and a "question" in quotes.'
            if demo
            else 'Give a database and a "question" in quotes.'
        )
    if run and sql_only:
        raise click.UsageError("--sql-only prints no rows; leave out --run.")
    if as_json and (sql_only or format_ != "table"):
        raise click.UsageError("--json is a format of its own; leave out --sql-only and --format.")
    from dataclasses import replace

    from t2sql_tui.core.answers.describe import summary
    from t2sql_tui.core.ask import ask as ask_model
    from t2sql_tui.core.database.database import open_database
    from t2sql_tui.core.models.catalog import find_model
    from t2sql_tui.core.types import APP_OPTIONS, Limits, Question

    if run:
        _check_format(format_)
    text = arguments[-1]
    if text == "-":
        text = sys.stdin.read()
    if not text.strip():
        raise click.UsageError("The question is empty.")

    def say(line: str) -> None:
        if not sql_only:
            click.secho(line, fg="bright_black", err=True)

    with ExitStack() as stack:
        path = _build_demo(demo) if demo else Path(arguments[0])
        database = stack.enter_context(open_database(path))
        spec = find_model(model) if model else find_model()
        engine = _load(spec, backend, offline, None if sql_only else _progress_bar(stack))
        stack.callback(engine.close)
        say(f"{spec.name} reads the question ...")
        answer = ask_model(
            Question(text.strip()),
            database,
            engine,
            replace(APP_OPTIONS, compare=compare is not False),
            on_attempt=lambda number, why: say(f"attempt {number} failed: {why.message}"),
        )
        first = answer.generations[0]
        if first.prompt.left_out:
            say(f"{len(first.prompt.left_out)} tables did not fit and were left out.")
        query = answer.query
        if query is None:
            verdict = answer.candidate.verdict
            error = T2SQLError(
                f"The model wrote no SQL that works here: {getattr(verdict, 'message', '')}",
                "Ask in other words, or try a larger model: t2sql-tui models list",
            )
            if answer.candidate.sql:
                click.echo(answer.candidate.sql, err=True)
            error.exit_code = 5
            raise error
        trust = summary(answer)
        say(f"{sum(g.seconds for g in answer.generations):.1f} s{trust and f' · {trust}'}")
        if not run:
            click.echo(_as_json(answer) if as_json else query.sql)
            return
        click.secho(query.sql, fg="cyan", err=True)
        result = database.run(query, Limits(rows=limit, seconds=timeout))
        if as_json:
            click.echo(_as_json(answer, result))
        else:
            _print_rows(result, format_)
        cut = f" (cut at the limit of {result.truncated})" if result.truncated else ""
        say(f"{len(result.rows)} row{'' if len(result.rows) == 1 else 's'}{cut}")


main.add_command(models)


@main.command()
@click.argument("database", type=click.Path(path_type=Path), required=False)
@_demo_option
@click.option("--model", metavar="NAME|FILE", default=None, help="The model to try.")
def doctor(database: Path | None, demo: str | None, model: str | None) -> None:
    """Try the locks on a copy of DATABASE, and the model in a process of its own.

    Ends with exit code 1 if anything does not hold.
    """
    from t2sql_tui.backends.diagnosis import diagnose
    from t2sql_tui.core.doctor import run_doctor
    from t2sql_tui.core.models.catalog import find_model

    path = database or _build_demo(demo or "ecommerce")
    held = True

    def show(name: str, ok: bool, detail: str) -> None:
        nonlocal held
        held &= ok
        click.secho("ok    " if ok else "FAILS ", fg="green" if ok else "red", nl=False)
        click.echo(f"{name}: {detail}" if detail else name)

    for check in run_doctor(path):
        show(check.name, check.ok, check.detail)
    spec = find_model(model) if model else find_model()
    for line in diagnose(spec.path):
        show(*line)
    if not held:
        raise T2SQLError("Something does not hold; see above.", "Please report it with the above.")


# --- what the commands share ------------------------------------------------------


def _build_demo(name: str) -> Path:
    from platformdirs import user_cache_path

    from t2sql_tui import demo

    return demo.build(name, user_cache_path("t2sql-tui") / "demo")


def _load(spec, backend: str, offline: bool, on_progress=None):
    """The loaded backend; weights that are not there yet are fetched first. `on_progress`
    gets (bytes, bytes in all) while fetching, then (parts, parts in all) while loading."""
    from dataclasses import replace

    from t2sql_tui.backends import load_backend
    from t2sql_tui.core.models import store

    if backend == "scripted":
        return load_backend(spec, backend=backend)
    if spec.path is None and spec.sources and backend == "gguf":
        spec = replace(spec, path=store.pull(spec, on_progress, offline))
    return load_backend(spec, backend=backend, on_progress=on_progress)


def _progress_bar(stack: ExitStack):
    """Progress as a bar on stderr, where that is a terminal; a new total starts a new bar."""
    bars: list[Any] = []

    def report(done: int, total: int) -> None:
        if not sys.stderr.isatty() or total <= 1:
            return
        if not bars or bars[-1].length != total:
            bar = click.progressbar(length=total, label="Preparing the model", file=sys.stderr)
            bars.append(stack.enter_context(bar))
        bars[-1].update(done - bars[-1].pos)

    return report


def _as_json(answer, result=None) -> str:
    """The answer as one JSON object; `rows` are objects as `--format json` writes them."""
    import json
    from io import StringIO

    from t2sql_tui.core import export

    found = {
        "question": answer.question.text,
        "sql": answer.query.sql,
        "confidence": answer.confidence,
        "readings": [
            {
                "sql": reading.candidate.sql,
                "votes": reading.votes,
                "share": reading.share,
                "warnings": reading.warnings,
                "unused_words": reading.unused_words,
                "unmet_phrases": reading.unmet_phrases,
                "row_count": reading.result and len(reading.result.rows),
                "truncated": bool(reading.result and reading.result.truncated),
            }
            for reading in answer.readings
        ],
    }
    if result:
        export.write(result, rows := StringIO(), "json")
        found |= {"rows": json.loads(rows.getvalue()), "truncated": bool(result.truncated)}
    return json.dumps(found, ensure_ascii=False, indent=2)


def _check_format(name: str) -> None:
    from t2sql_tui.core.export import FORMATS

    text = ["table", *(key for key, form in FORMATS.items() if form.text)]
    if name not in text:
        raise click.UsageError(f'No format "{name}" for the terminal; known: {", ".join(text)}.')


def _print_rows(result, format_: str) -> None:
    from t2sql_tui.core import export

    if format_ != "table":
        export.write(result, sys.stdout, format_)
        return
    from tabulate import tabulate

    shown = [[_printable(cell) for cell in row] for row in result.rows]
    click.echo(tabulate(shown, headers=result.columns, disable_numparse=True, missingval="NULL"))


def _printable(cell: Any) -> Any:
    """Text without the control characters that could drive the terminal; blobs as hex."""
    if isinstance(cell, bytes):
        return f"x'{cell[:16].hex()}{'...' if len(cell) > 16 else ''}'"
    if isinstance(cell, str):
        return "".join(
            c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}"
            for c in cell
        )
    return cell
