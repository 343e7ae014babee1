"""The command group of all three programs: t2sql-tui, benchmarks and trainer."""

from __future__ import annotations

from typing import Any

import click

from t2sql_tui.core.errors import T2SQLError


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
        """Runs the chosen command; an error a person can act on becomes two lines on stderr."""
        try:
            return super().invoke(ctx)
        except T2SQLError as error:
            click.secho(error.message, fg="red", err=True)
            if error.hint:
                click.echo(error.hint, err=True)
            ctx.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            click.echo(self.interrupted, err=True)
            ctx.exit(130)
