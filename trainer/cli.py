"""The `trainer` command. Every option is a field of trainer.config.Config."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from t2sql_tui.cli.group import CommandGroup
from trainer.average import average_command
from trainer.card import card_command, push_command
from trainer.config import Option, options
from trainer.export import eval_command, export_command


@click.group(
    cls=CommandGroup,
    interrupted="Stopped. `--resume` continues from the last checkpoint.",
)
def main() -> None:
    """Fine-tune a small model to write SQL, and measure it while it learns.

    \b
    trainer doctor recipes/spider-qwen2.5-coder-0.5b.toml   does everything work here?
    trainer fit recipes/spider-qwen2.5-coder-0.5b.toml      train
    trainer fit recipes/spider-qwen2.5-coder-0.5b.toml --resume
    trainer export runs/spider-qwen2.5-coder-0.5b/adapter   merged GGUF
    """


def config_options(*groups: str) -> Callable:
    """Adds a RECIPE argument and a flag for every field of the named groups (of all, if none
    is named) to a command, which then gets `config`."""

    def decorate(command: Callable) -> Callable:
        from functools import wraps

        chosen = [o for o in options().values() if not groups or o.group in groups]

        @wraps(command)
        def with_config(recipe: Path | None, **given: Any) -> Any:
            from trainer.config import load_config

            names = {o.name for o in chosen}
            overrides = {n: given.pop(n) for n in names if given.get(n) is not None}
            for name in names:
                given.pop(name, None)
            config = load_config(find_recipe(recipe), overrides)
            return command(config=config, recipe=recipe, **given)

        for option in reversed(chosen):
            with_config = _flag(option)(with_config)
        argument = click.argument(
            "recipe", required=False, type=click.Path(path_type=Path, dir_okay=False)
        )
        return argument(with_config)

    return decorate


def _flag(option: Option) -> Callable:
    shown = ",".join(option.default) if option.many else option.default
    text = option.help + ("" if shown == "" else f" [default: {str(shown).lower()}]")
    if option.kind is bool:
        name = option.flag.removeprefix("--")
        return click.option(f"--{name}/--no-{name}", option.name, default=None, help=text)
    metavar = "|".join(option.choices) or ("LIST" if option.many else option.kind.__name__.upper())
    # values are read by config.coerce, as those of a recipe are
    return click.option(option.flag, option.name, default=None, metavar=metavar, help=text)


def find_recipe(path: Path | None) -> Path | None:
    """A recipe's path, or that of the one of this name which comes with the program."""
    from trainer.config import recipes

    if path is None or path.exists():
        return path
    return next((r for r in recipes() if path.name in (r.name, r.stem)), path)


@main.command()
@config_options("data")
@click.option("--base", default=None, metavar="STR", help=options()["base"].help)
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Also write an exploratory report (HTML, Markdown, plots) into this folder.",
)
def data(config, recipe: Path | None, base: str | None, report: Path | None) -> None:
    """Read, prove, rewrite and keep the examples of a RECIPE.

    \b
    trainer data recipes/spider-qwen2.5-coder-0.5b.toml --report runs/data
    """
    from dataclasses import replace

    from trainer.base import find_base
    from trainer.data import prepare
    from trainer.data_report import data_summary, write_data_report

    if base:
        config = replace(config, base=base)
    artefact = prepare(config, find_base(config))
    click.echo(data_summary(artefact))
    click.echo(artefact.folder)
    if report:
        click.echo(write_data_report(artefact, report))


@main.command()
@config_options()
@click.option("--resume", is_flag=True, help="Go on from the run's last checkpoint.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def fit(config, recipe: Path | None, resume: bool, quiet: bool) -> None:
    """Train as a RECIPE says; flags override it.

    \b
    trainer fit recipes/spider-qwen2.5-coder-0.5b.toml
    trainer fit recipes/spider-qwen2.5-coder-0.5b.toml --rank 16 --out runs/rank16
    torchrun --nproc-per-node 2 -m trainer fit recipes/spider-qwen2.5-coder-0.5b.toml
    """
    from trainer.fit import fit as run

    run(config, resume=resume, say=_say, quiet=quiet)


@main.command()
@config_options()
@click.option(
    "--grid",
    "grids",
    multiple=True,
    metavar="FIELD=A,B,C",
    help="Values to try for a field, on top of the recipe's [sweep] table. Repeat it for "
    "more fields; lists of layers are written with +.",
)
def sweep(config, recipe: Path | None, grids: tuple[str, ...]) -> None:
    """Train every combination of a grid and compare them; go on where it was stopped.

    \b
    trainer sweep recipes/gretel-gemma-3-1b.toml
    trainer sweep recipes/spider-smollm2-135m.toml --grid rank=4,8,16 --grid learning_rate=2e-4,4e-4
    """
    from trainer.config import load_grid
    from trainer.sweep import read_grid
    from trainer.sweep import sweep as run

    grid = (load_grid(find_recipe(recipe)) if recipe else {}) | read_grid(grids)
    folder = run(config, grid, _say)
    click.echo((folder / "table.md").read_text(encoding="utf-8"), nl=False)
    click.echo(folder)


@main.command()
@config_options()
def doctor(config, recipe: Path | None) -> None:
    """Twenty steps on twenty examples: does everything that a RECIPE needs work here?

    \b
    trainer doctor recipes/spider-qwen2.5-coder-0.5b.toml
    """
    from trainer.doctor import doctor as run

    if not run(config, click.echo):
        sys.exit(1)


@main.command()
@config_options()
@click.option(
    "--examples",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help="Examples to train on, in each way once.",
)
@click.option(
    "--ablate/--no-ablate",
    default=True,
    show_default=True,
    help="Also time packing without each of its parts.",
)
@click.option(
    "--json",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Write the measurements and where they were taken.",
)
def bench(config, recipe: Path | None, examples: int, ablate: bool, target: Path | None) -> None:
    """Time packed training against a plain transformers loop, on the same examples.

    \b
    trainer bench recipes/spider-qwen2.5-coder-0.5b.toml --examples 48
    """
    from trainer.bench import bench as run
    from trainer.files import write_json

    result = run(config, examples, _say, ablate)
    click.echo(result["table"])
    if target:
        write_json(target, result)


for command in (average_command, export_command, eval_command, card_command, push_command):
    main.add_command(command)


def _say(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
