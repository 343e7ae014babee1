"""The `trainer` command. Every option of a run is a field of trainer.config.Config.

The modules that do the work are imported inside the commands: most import torch, transformers
or sqlglot, which take up to 4 s, and `--help` needs none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from t2sql_tui.backends.merging.quantisations import QUANTISATIONS
from t2sql_tui.cli.group import CommandGroup
from trainer.config import (
    Config,
    Margins,
    Option,
    load_config,
    load_grid,
    options,
    read_grid,
    recipes,
)

Command = Callable[..., Any]


@click.group(
    cls=CommandGroup,
    interrupted="Stopped. `--resume` continues from the last checkpoint.",
)
def main() -> None:
    """Fine-tune a small model to write SQL, and measure it while it trains.

    \b
    Examples:
      trainer doctor recipes/spider-qwen2.5-coder-0.5b.toml   check that a recipe works here
      trainer fit recipes/spider-qwen2.5-coder-0.5b.toml      train
      trainer fit recipes/spider-qwen2.5-coder-0.5b.toml --resume
      trainer export runs/spider-qwen2.5-coder-0.5b           merge into one GGUF file
    """


# --- options from the config --------------------------------------------------------


def config_options(*groups: str) -> Callable[[Command], Command]:
    """Adds a RECIPE argument and a flag for every field of the named groups (of all, if none is
    named) to a command, which then gets `config`."""

    def decorate(command: Command) -> Command:
        chosen = [o for o in options().values() if not groups or o.group in groups]

        @wraps(command)
        def with_config(recipe: Path | None, **given: Any) -> Any:
            values = {o.name: given.pop(o.name) for o in chosen}
            overrides = {name: value for name, value in values.items() if value is not None}
            recipe = find_recipe(recipe)
            return command(config=load_config(recipe, overrides), recipe=recipe, **given)

        decorated: Command = with_config
        for option in reversed(chosen):
            decorated = _flag(option)(decorated)
        argument = click.argument(
            "recipe", required=False, type=click.Path(path_type=Path, dir_okay=False)
        )
        return argument(decorated)

    return decorate


def _flag(option: Option) -> Callable[[Command], Command]:
    default = ",".join(option.default) if option.many else option.default
    text = option.help + ("" if default == "" else f" [default: {str(default).lower()}]")
    if option.kind is bool:
        name = option.flag.removeprefix("--")
        return click.option(f"--{name}/--no-{name}", option.name, default=None, help=text)
    metavar = "|".join(option.choices) or ("LIST" if option.many else option.kind.__name__.upper())
    # config.coerce reads the values, as it reads those of a recipe
    return click.option(option.flag, option.name, default=None, metavar=metavar, help=text)


def find_recipe(path: Path | None) -> Path | None:
    """The path of a recipe: `path` itself, or the included recipe of that name."""
    if path is None or path.exists():
        return path
    return next((r for r in recipes() if path.name in (r.name, r.stem)), path)


# --- training -----------------------------------------------------------------------


@main.command()
@config_options()
@click.option("--resume", is_flag=True, help="Continue from the run's last checkpoint.")
@click.option("--quiet", is_flag=True, help="Show no progress bar.")
def fit(config: Config, recipe: Path | None, resume: bool, quiet: bool) -> None:
    """Train by a RECIPE; flags override its values.

    \b
    Examples:
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
    help="Values to try for a field, added to the recipe's [sweep] table. Repeat it for "
    "more fields; write lists of layers with +.",
)
def sweep(config: Config, recipe: Path | None, grids: tuple[str, ...]) -> None:
    """Train every combination of a grid and compare them; a stopped sweep continues.

    \b
    Examples:
      trainer sweep recipes/gretel-gemma-3-1b.toml
      trainer sweep recipes/spider-smollm2-135m.toml --grid rank=4,8 --grid learning_rate=2e-4,4e-4
    """
    from trainer.sweep import sweep as run

    grid = (load_grid(recipe) if recipe else {}) | read_grid(grids)
    folder = run(config, grid, _say)
    click.echo((folder / "table.md").read_text(encoding="utf-8"), nl=False)
    click.echo(folder)


@main.command()
@config_options("data")
@click.option("--base", default=None, metavar="STR", help=options()["base"].help)
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder for an exploratory report (HTML, Markdown, plots).",
)
def data(config: Config, recipe: Path | None, base: str | None, report: Path | None) -> None:
    """Prepare the training data of a RECIPE: read, check by execution, rewrite, render.

    \b
    Examples:
      trainer data recipes/spider-qwen2.5-coder-0.5b.toml --report runs/data
    """
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
def doctor(config: Config, recipe: Path | None) -> None:
    """Check with twenty steps on twenty examples that a RECIPE works on this machine.

    \b
    Examples:
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
    help="Number of examples to train on, once in each way.",
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
    help="File for the measurements and the machine they were made on.",
)
def bench(
    config: Config, recipe: Path | None, examples: int, ablate: bool, target: Path | None
) -> None:
    """Time packed training against a plain transformers loop on the same examples.

    \b
    Examples:
      trainer bench recipes/spider-qwen2.5-coder-0.5b.toml --examples 48
    """
    from trainer.bench import bench as run
    from trainer.files import write_json

    result = run(config, examples, _say, ablate)
    click.echo(result["table"])
    if target:
        write_json(target, result)


# --- what becomes of a run ----------------------------------------------------------


def _folder(name: str, metavar: str, **attributes: Any) -> Callable[[Command], Command]:
    """An argument that is an existing folder."""
    kind = click.Path(exists=True, file_okay=False, path_type=Path)
    return click.argument(name, metavar=metavar, type=kind, **attributes)


@main.command()
@_folder("adapters", "ADAPTER...", nargs=-1, required=True)
@click.option(
    "--weights",
    default="",
    metavar="A,B,...",
    help="Weight of each adapter in the mean. [default: all the same]",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write the new adapter to.",
)
def average(adapters: tuple[Path, ...], weights: str, out: Path) -> None:
    """Write the mean of ADAPTERs that were trained from one another as a new adapter.

    \b
    Examples:
      trainer average runs/stage1 runs/stage2 --out runs/mean
    """
    from trainer.average import average as run
    from trainer.average import read_weights

    run(adapters, read_weights(weights), out)
    click.echo(out)


@main.command()
@_folder("trained", "RUN_OR_ADAPTER")
@click.option(
    "--base",
    default="",
    metavar="TEXT",
    help="Base model, as for `trainer fit`. [default: the one that the adapter names]",
)
@click.option(
    "--quantisation",
    "-q",
    "quantisations",
    multiple=True,
    default=("q8_0",),
    type=click.Choice(list(QUANTISATIONS)),
    show_default=True,
    help="Quantisation of the file. May be given several times; the adapter is asked once for all.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    help="File to write, or folder for several. [default: RUN/NAME-QUANTISATION.gguf]",
)
@click.option(
    "--adapter-only",
    is_flag=True,
    help="Write the adapter alone, unmerged, for llama.cpp's --lora.",
)
@click.option(
    "--suite",
    default="",
    metavar="TEXT",
    help="Suite to compare on, of those in `benchmarks list`; never one whose score you publish. "
    "[default: the run's held-out questions]",
)
@click.option(
    "--questions",
    type=click.IntRange(1),
    help="Number of questions to ask the adapter, drawn by --seed. [default: compare with the "
    f"answers of the run's best measurement; without one, ask {Config.eval_questions}]",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the questions that are drawn.")
@click.option(
    "--max-drop",
    default=Margins.drop,
    show_default=True,
    type=click.FloatRange(0),
    help="Largest allowed loss of execution accuracy, in points.",
)
@click.option(
    "--max-different",
    default=Margins.different,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Largest allowed share of greedy answers that are different SQL.",
)
@click.option("--any-base", is_flag=True, help="Do not compare the hash of the base.")
@click.option(
    "--no-gate",
    is_flag=True,
    help="Do not compare answers. `trainer push` refuses a file written so.",
)
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the data sets.")
def export(trained: Path, adapter_only: bool, **given: Any) -> None:
    """Merge an adapter into its base: one GGUF file that answers as the adapter did.

    The adapter and the file answer the same held-out questions. The file is written only if it
    passes; the figures are in NAME.parity.json beside it.

    \b
    Examples:
      trainer export runs/spider-qwen2.5-coder-0.5b
      trainer export runs/mine -q q8_0 -q q4_0 --questions 200
      trainer export runs/mine --adapter-only
    """
    from trainer.export import ExportOptions, export_adapter
    from trainer.export import export as run

    margins = Margins(given.pop("max_drop"), given.pop("max_different"))
    chosen = ExportOptions(gate=not given.pop("no_gate"), margins=margins, **given)
    if adapter_only:
        click.echo(export_adapter(trained, chosen))
        return
    for exported in run(trained, chosen, _say):
        click.echo(exported.summary())


@main.command("eval", context_settings={"ignore_unknown_options": True})
@click.argument("model")
@click.argument("suite", default=Config.heldout)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def evaluate(ctx: click.Context, model: str, suite: str, arguments: tuple[str, ...]) -> None:
    """Measure a run, an adapter, a model folder or a GGUF file with `benchmarks run`.

    Further options are passed on to `benchmarks run`.

    \b
    Examples:
      trainer eval runs/mine spider-dev
      trainer eval runs/mine/mine-q8_0.gguf spider-dev --candidates 4
    """
    from benchmarks.cli import main as benchmarks
    from trainer.outputs import find_trained

    backend = []
    if Path(model).is_dir():
        model, backend = str(find_trained(Path(model)).folder), ["--backend", "peft"]
    command = ["run", suite, "--model", model, *backend, *arguments]
    _say(f"benchmarks {' '.join(command)}")
    with benchmarks.make_context("benchmarks", command, parent=ctx) as inner:
        benchmarks.invoke(inner)


@main.command()
@_folder("trained", "RUN")
@click.option(
    "--results",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder of a `benchmarks run`. May be given several times.",
)
def card(trained: Path, results: tuple[Path, ...]) -> None:
    """Write the model card RUN/README.md from the run's files.

    \b
    Examples:
      trainer card runs/mine --results runs/spider-dev--mine
    """
    from trainer.card import write_card

    click.echo(write_card(trained, results))


@main.command()
@_folder("trained", "RUN")
@click.argument("repository", metavar="OWNER/NAME")
@click.option("--private", is_flag=True, help="Create the repository as a private one.")
@click.option("--dry-run", is_flag=True, help="Only list what would be uploaded.")
def push(trained: Path, repository: str, private: bool, dry_run: bool) -> None:
    """Upload adapter, exported GGUF files, their reports and the model card to a hub.

    Uses the token of `hf auth login` or HF_TOKEN; without one, only lists the files.

    \b
    Examples:
      trainer push runs/mine me/qwen2.5-coder-0.5b-spider --dry-run
    """
    from trainer.push import has_token, plan_upload
    from trainer.push import push as run

    upload = plan_upload(trained, repository)
    token = has_token()
    verb = "Uploading" if token and not dry_run else "Would upload"
    _say(f"{verb} to {upload.url} ({upload.size():,.1f} MB):")
    for name in upload.files:
        click.echo(f"{upload.size(name):10,.2f} MB  {name}")
    if not token and not dry_run:
        _say("There is no token, so nothing was uploaded. Log in: hf auth login")
    elif token and not dry_run:
        run(upload, private=private)
        click.echo(upload.url)


def _say(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
