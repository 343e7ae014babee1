"""`t2sql-tui ask`: one question without the app. Data on stdout, narration on stderr."""

from __future__ import annotations

import functools
import json
import sys
from contextlib import closing
from dataclasses import dataclass, fields, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import click

from t2sql_tui.cli.backend_options import Command
from t2sql_tui.cli.loading import build_demo, load_model, named_model, progress_bar
from t2sql_tui.cli.options import ModelChoice, compare_option, demo_option, model_options
from t2sql_tui.core.errors import DatabaseError, T2SQLError
from t2sql_tui.core.terminal import PrintableStream, printable

if TYPE_CHECKING:
    from t2sql_tui.core.database.database import Database
    from t2sql_tui.core.types import Answer, Backend, CheckedQuery, Limits, QueryResult


class NoUsableSQL(T2SQLError):
    """The model wrote no SQL that the database accepts."""

    exit_code = 5


#: Rows printed as a table, or in --json, where --limit is not given.
TABLE_ROWS = 500
#: Bounds on the rows of the other formats: they are held in memory while they are written.
ALL_ROWS, ALL_BYTES = 2**31 - 1, 2**30
#: Characters of a cell that a table shows.
CELL_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Output:
    """What `ask` prints: the SQL or, with `run`, its rows.

    `limit` is the maximum number of rows (None: TABLE_ROWS of a table or of --json, all of them
    in the other formats), `timeout` the time that the SQL may run, in seconds.
    """

    run: bool
    format: str
    limit: int | None
    timeout: float
    sql_only: bool
    as_json: bool

    @property
    def limits(self) -> Limits:
        """The bounds on the rows that are fetched."""
        from t2sql_tui.core.types import Limits

        if self.limit is None and self.format != "table":
            return Limits(ALL_ROWS, self.timeout, ALL_BYTES)
        return Limits(self.limit or TABLE_ROWS, self.timeout)

    def say(self, line: str) -> None:
        """Prints a line of narration on stderr, unless only the SQL is wanted."""
        if not self.sql_only:
            click.secho(printable(line), fg="bright_black", err=True)


_OUTPUT_OPTIONS = (
    click.option("--run", is_flag=True, help="Run the SQL, read-only, and print its rows."),
    click.option(
        "--format",
        default="table",
        show_default=True,
        help="Format of the rows: table, csv, tsv, json, jsonl, markdown or sql.",
    ),
    click.option(
        "--limit",
        type=click.IntRange(1),
        default=None,
        metavar="ROWS",
        help=f"Maximum number of rows to print (default: {TABLE_ROWS} as a table or with --json, "
        "all in the other formats).",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=30.0,
        show_default=True,
        help="Time limit for running the SQL, in seconds.",
    ),
    click.option(
        "--sql-only", is_flag=True, help="Print the SQL, and on stderr nothing but errors."
    ),
    click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print one JSON object: SQL, confidence, readings and their warnings; with --run, "
        "the rows.",
    ),
)


def output_options(command: Command) -> Command:
    """Adds the options that say what is printed; the command gets an `Output`."""
    names = [field.name for field in fields(Output)]

    @functools.wraps(command)
    def with_output(**values: Any) -> Any:
        output = Output(**{name: values.pop(name) for name in names})
        return command(output=output, **values)

    decorated: Command = with_output
    for option in reversed(_OUTPUT_OPTIONS):
        decorated = option(decorated)
    return decorated


@click.command()
@click.argument("arguments", nargs=-1, metavar="[DATABASE] QUESTION")
@demo_option
@output_options
@compare_option
@model_options
def ask(
    arguments: tuple[str, ...],
    demo: str | None,
    output: Output,
    compare: bool | None,
    model: ModelChoice,
) -> None:
    """Answer one QUESTION: print its SQL, and with --run its rows.

    Data goes to stdout, narration to stderr. "-" reads the question from stdin.
    With --demo alone, the demo's first question is asked and its SQL is run.

    \b
    Examples:
      t2sql-tui ask mydb.sqlite "Which city has the most customers?" --run
      t2sql-tui ask mydb.sqlite "Orders per month" --run --format csv > orders.csv
      t2sql-tui ask --demo finance "Which branches have closed?"
      t2sql-tui ask --demo
    """
    if demo and not arguments:
        from t2sql_tui.demo import questions

        arguments = (questions(demo)[0].question,)
        output = replace(output, run=not output.sql_only)
        click.echo(arguments[0], err=True)
    _check_usage(arguments, demo, output)
    question = _question(arguments[-1])
    from t2sql_tui.core.database.database import open_database  # sqlglot: 0.1 s

    with open_database(build_demo(demo) if demo else Path(arguments[0])) as database:
        for problem in database.schema.problems:
            output.say(problem)
        if not database.schema.tables:
            raise DatabaseError(
                f"{arguments[0]} has no tables, so there is nothing to ask about.",
                "Check the path: SQLite makes an empty file where a name is misspelled.",
            )
        spec = named_model(model.model)
        with progress_bar("Preparing the model") as on_progress:
            report = None if output.sql_only else on_progress
            backend = load_model(spec, model.backend, model.offline, report)
        with closing(backend):
            output.say(f"{spec.name} reads the question ...")
            answer = _answer(question, database, backend, output, compare is not False)
        _print_answer(answer, _checked(answer), database, output)


def _check_usage(arguments: tuple[str, ...], demo: str | None, output: Output) -> None:
    """Raises: click.UsageError."""
    if len(arguments) != (1 if demo else 2):
        what = "--demo NAME" if demo else "a database"
        raise click.UsageError(f'Give {what} and a "question" in quotes.')
    if output.run and output.sql_only:
        raise click.UsageError("--sql-only prints no rows; leave out --run.")
    if output.as_json and (output.sql_only or output.format != "table"):
        raise click.UsageError("--json is a format of its own; leave out --sql-only and --format.")
    if output.run:
        from t2sql_tui.core.export import FORMATS

        known = ["table", *(name for name, format_ in FORMATS.items() if format_.text)]
        if output.format not in known:
            raise click.UsageError(
                f'No format "{output.format}" for the terminal; known: {", ".join(known)}.'
            )


def _question(argument: str) -> str:
    """The text of the question, read from stdin for "-". Raises: click.UsageError."""
    text = (sys.stdin.read() if argument == "-" else argument).strip()
    if not text:
        raise click.UsageError("The question is empty.")
    return text


def _answer(
    text: str, database: Database, backend: Backend, output: Output, compare: bool
) -> Answer:
    """The model's answer, asked for as the app does. Attempts that fail are narrated."""
    from t2sql_tui.core.ask import ask as ask_model
    from t2sql_tui.core.types import APP_OPTIONS, Question

    answer = ask_model(
        Question(text),
        database,
        backend,
        replace(APP_OPTIONS, compare=compare),
        on_attempt=lambda number, why: output.say(f"attempt {number} failed: {why.message}"),
    )
    if left_out := answer.generations[0].prompt.left_out:
        output.say(f"{len(left_out)} tables did not fit and were left out.")
    return answer


def _checked(answer: Answer) -> CheckedQuery:
    """The query of the answer. Raises: NoUsableSQL after printing the rejected SQL on stderr."""
    if answer.query is None:
        if answer.candidate.sql:
            click.echo(printable(answer.candidate.sql), err=True)
        why = getattr(answer.candidate.verdict, "message", "")
        raise NoUsableSQL(
            f"The model wrote no SQL that works here: {why}",
            "Ask in other words, or try a larger model: t2sql-tui models list",
        )
    return answer.query


def _print_answer(answer: Answer, query: CheckedQuery, database: Database, output: Output) -> None:
    from t2sql_tui.core.answers.describe import summary

    seconds = sum(generation.seconds for generation in answer.generations)
    trust = summary(answer)
    output.say(f"{seconds:.1f} s · {trust}" if trust else f"{seconds:.1f} s")
    if not output.run:
        text = _as_json(answer, query) if output.as_json else query.sql
        click.echo(printable(text) if sys.stdout.isatty() else text)
        return
    for sentence in answer.candidate.rewrites:
        output.say(sentence)
    click.secho(printable(query.sql), fg="cyan", err=True)
    result = database.run(query, output.limits)
    if output.as_json:
        click.echo(_as_json(answer, query, result))
    else:
        _print_rows(result, output.format)
    output.say(_row_count(result, output))
    if result.truncated and output.limit is None and output.format != "table":
        raise DatabaseError(
            "Not all rows were written: they take more memory than this command uses.",
            "Select fewer columns or rows, or set --limit.",
        )


def _row_count(result: QueryResult, output: Output) -> str:
    rows = f"{len(result.rows):,} row{'' if len(result.rows) == 1 else 's'}"
    if result.truncated == "rows":
        return f"{rows}, and there are more: set --limit, or --format csv for all"
    if result.truncated:
        return f"{rows}, and there are more: what is printed is limited in bytes, too"
    return rows


def _as_json(answer: Answer, query: CheckedQuery, result: QueryResult | None = None) -> str:
    """The answer as one JSON object; `rows` are objects as `--format json` writes them."""
    from t2sql_tui.core import export

    content: dict[str, Any] = {
        "question": answer.question.text,
        "sql": query.sql,
        "confidence": answer.confidence,
        "rewrites": answer.candidate.rewrites,
        "readings": [
            {
                "sql": reading.candidate.sql,
                "rewrites": reading.candidate.rewrites,
                "replaced_values": reading.replaced,
                "votes": reading.votes,
                "share": reading.share,
                "warnings": reading.warnings,
                "warning_sentences": reading.warning_sentences,
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
        content |= {"rows": json.loads(rows.getvalue()), "truncated": bool(result.truncated)}
    text = json.dumps(content, ensure_ascii=False, indent=2)
    if text.replace("\n", "").isprintable():
        return text
    # What json leaves as it is and a terminal would obey: C1 controls, bidirectional overrides.
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def _print_rows(result: QueryResult, format_: str) -> None:
    from tabulate import tabulate

    from t2sql_tui.core import export

    if format_ != "table":
        export.write(result, cast(TextIO, PrintableStream(sys.stdout)), format_)
        return
    rows = [[_printable(cell) for cell in row] for row in result.rows]
    headers = [_printable(column) for column in result.columns]
    click.echo(tabulate(rows, headers=headers, disable_numparse=True, missingval="NULL"))


def _printable(cell: Any) -> Any:
    """A cell on one line, without what could drive the terminal; blobs as hex."""
    if isinstance(cell, bytes):
        return f"x'{cell[:16].hex()}{'...' if len(cell) > 16 else ''}'"
    if isinstance(cell, str):
        shown = cell if len(cell) <= CELL_CHARACTERS else f"{cell[:CELL_CHARACTERS]}..."
        return " ".join(printable(shown).split("\n")).replace("\t", " ")
    return cell
