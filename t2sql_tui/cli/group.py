"""The command group of all three programs: t2sql-tui, benchmarks and trainer."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

import click

from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.terminal import printable


class CommandGroup(click.Group):
    """A group that turns a T2SQLError into its message, its hint and its exit code.

    Nothing else is caught: a bug keeps its traceback. `default` names the command that runs
    when the first argument is neither a command nor an option of the group. `interrupted` is
    printed after Ctrl+C, before exit code 130. Commands are listed in the order in which they
    were added. click itself suggests the nearest command and option.
    """

    def __init__(
        self,
        *args: Any,
        default: str | None = None,
        interrupted: str = "Interrupted.",
        **attributes: Any,
    ) -> None:
        super().__init__(*args, **attributes)
        self.default = default
        self.interrupted = interrupted
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])
        self.context_settings.setdefault("max_content_width", 96)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses as click does, with the default command put in where none is named."""
        own = {option for parameter in self.get_params(ctx) for option in parameter.opts}
        if self.default and not (args and (args[0] in own or args[0] in self.commands)):
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands in the order in which they were added."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the chosen command; an error a person can act on becomes two lines on stderr.

        A reader that has seen enough (`| head`) is no error; output that cannot be written is.
        """
        if os.environ.get("NO_COLOR"):  # https://no-color.org
            ctx.color = False
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except T2SQLError as error:
            click.secho(printable(error.message), fg="red", err=True)
            if error.hint:
                click.echo(printable(error.hint), err=True)
            ctx.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            click.echo(self.interrupted, err=True)
            ctx.exit(130)
        except OSError as error:
            if not _is_about_stdout(error):
                raise
            if error.errno not in (errno.EPIPE,):
                click.secho(f"Cannot write the output: {error.strerror}.", fg="red", err=True)
            # What is still held back would fail once more when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0 if error.errno == errno.EPIPE else 1)


def _is_about_stdout(error: OSError) -> bool:
    """Whether writing to stdout failed; errors of named files have a name."""
    codes = (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EFBIG)
    return error.filename is None and error.errno in codes
