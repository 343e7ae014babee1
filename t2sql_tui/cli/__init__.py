"""The command line of t2sql-tui. What is heavy is imported in the body that needs it, so that
`t2sql-tui --help` loads little more than click.
"""

from __future__ import annotations

import click

from t2sql_tui import __version__
from t2sql_tui.cli.app import open_app
from t2sql_tui.cli.ask import ask
from t2sql_tui.cli.doctor import doctor
from t2sql_tui.cli.group import CommandGroup
from t2sql_tui.cli.models import models

EXIT_CODES = """\b
Exit codes of every command:
  0    done
  1    something failed; the message says what
  2    the command line is wrong
  3    the database cannot be opened, or the query failed or timed out
  4    the model is missing, damaged or failed
  5    the model wrote no SQL that this database accepts
  130  interrupted
"""


@click.group(
    cls=CommandGroup,
    default="open",
    epilog=EXIT_CODES,
    commands=[open_app, ask, models, doctor],
)
@click.version_option(__version__, message="t2sql-tui %(version)s")
def main() -> None:
    """Ask a SQLite file a question in plain English. Nothing leaves this machine, unless
    `--backend remote` names a server.

    \b
    Examples:
      t2sql-tui mydb.sqlite                          open the app
      t2sql-tui --demo                               open it on a demo database
      t2sql-tui ask mydb.sqlite "How many orders?"   print the SQL
      t2sql-tui doctor mydb.sqlite                   check that the file is safe
    """
