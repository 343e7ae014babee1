"""A training run, from a config to a measured adapter, in the order in which it happens.

All rows of all epochs are planned ahead, so a resumed run, or one over several processes, sees
the same batches. The loop is transformers' Trainer (loop.py); what a run writes is listed in
outputs.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.provenance import provenance
from trainer import packing
from trainer.adapter import add_adapter, find_start
from trainer.base import Base, find_base, load_model, load_tokenizer
from trainer.config import Config, ConfigError
from trainer.data import Artefact, open_artefact, prepare
from trainer.devices import is_out_of_memory, join_processes, seed_all, set_threads
from trainer.measure import heldout_sample, tokenize
from trainer.outputs import (
    TrainingError,
    exclusive,
    last_checkpoint,
    require_no_run,
    result_name,
    write_run,
    write_totals,
)
from trainer.plots import plot_run
from trainer.run_log import RunLog

if TYPE_CHECKING:
    from accelerate import PartialState

    from trainer.loop import Run

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A finished run: its folder, the folder of its adapter (or model), its best measurement."""

    folder: Path
    adapter: Path
    best: dict[str, Any]


def fit(config: Config, *, resume: bool = False, say: Say = print, quiet: bool = False) -> Fitted:
    """Trains as `config` says, or continues from the last checkpoint of its run.

    Ctrl-C (or SIGTERM) ends the current step, writes a checkpoint (and the adapter as it is, if
    nothing was measured yet) and raises KeyboardInterrupt; a second one raises at once.

    Raises: TrainingError for a folder that holds another run, a loss that is not finite, or too
    little memory; DataError, ModelError and ConfigError as data, base model and config do.
    """
    set_threads(config)
    processes = join_processes()
    main = processes.is_main_process
    folder = Path(config.out or "runs/default")
    with exclusive(folder) if main else nullcontext():
        if resume:
            checkpoint = last_checkpoint(folder, config)
        else:
            checkpoint = None
            require_no_run(folder)
        run = _set_up(config, folder, checkpoint, processes, say if main else _silent, quiet)
        _train(run, checkpoint)
        result = Fitted(folder, folder / result_name(config), run.log.best or {})
        if main:
            write_totals(folder, run.log)
            plot_run(folder)
        run.say(_closing_message(result, run.log))
        return result


def _silent(text: str) -> None:
    """Takes the messages of all processes but the main one."""


# --- before the first step ----------------------------------------------------------


def _set_up(
    config: Config,
    folder: Path,
    checkpoint: Path | None,
    processes: PartialState,
    say: Say,
    quiet: bool,
) -> Run:
    """Data, plan, model and log of the run, in the order in which errors are cheap."""
    from trainer.loop import Run  # imports torch and transformers

    find_start(config)  # its error comes before the minutes that the data takes
    base = find_base(config)
    with processes.main_process_first():
        artefact = _data_of_run(folder, config, base, checkpoint, say, quiet)
    tokenizer = load_tokenizer(base)
    data = artefact.load()
    examples = list(data["train"])
    items = tokenize(examples, tokenizer, base.end_marker)
    rows = plan_rows(items, [e["repeat"] for e in examples], config, processes.num_processes)
    sample = heldout_sample(data["heldout"], config.eval_questions)
    say(_summary(base, artefact, rows, items, config))
    seed_all(config.seed)
    model = add_adapter(load_model(base, config), config)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    say(f"{trainable:,} of {total:,} parameters are trained ({100 * trainable / total:.2f} %)")
    if processes.is_main_process and not checkpoint:
        steps = len(rows) // config.rows_per_step
        write_run(folder, config, _about(base, artefact, config, trainable, total, steps))
    processes.wait_for_everyone()
    log = RunLog(folder, checkpoint, main=processes.is_main_process)
    return Run(folder, config, base, model, tokenizer, items, rows, sample, log, say, quiet)


def _about(
    base: Base, artefact: Artefact, config: Config, trainable: int, total: int, steps: int
) -> dict[str, Any]:
    """The content of run.json."""
    return {
        "base": asdict(base),
        "data": str(artefact.folder.resolve()),
        "prompt_version": config.prompt_version,
        "trainable_parameters": trainable,
        "parameters": total,
        "steps": steps,
        "provenance": provenance(),
    }


def _data_of_run(
    folder: Path, config: Config, base: Base, checkpoint: Path | None, say: Say, quiet: bool
) -> Artefact:
    """The data of the run. A resumed run takes what it was started on, whatever files or code
    were edited since."""
    if checkpoint:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        if base.sha256 and run["base"]["sha256"] and run["base"]["sha256"] != base.sha256:
            raise TrainingError(
                f"The run in {folder} was started on other weights than {base.source}.",
                f"It needs those of SHA-256 {run['base']['sha256'][:16]}...",
            )
        return open_artefact(Path(run["data"]))
    artefact = prepare(config, base, quiet=quiet)
    if artefact.about["rejected"]:
        say(
            f"{artefact.about['rejected']} examples were left out: {artefact.folder}/rejected.jsonl"
        )
    return artefact


def plan_rows(
    items: Sequence[packing.Item], repeats: Sequence[int], config: Config, world: int
) -> list[packing.Row]:
    """The rows of the whole run, shared by `world` processes.

    Raises: ConfigError if the rows of a step cannot be shared evenly.
    """
    if config.rows_per_step % world:
        raise ConfigError(
            f"{config.rows_per_step} rows a step cannot be shared by {world} processes.",
            f"Set --rows-per-step to a multiple of {world}.",
        )
    return packing.plan(
        items,
        repeats,
        row_tokens=config.row_tokens if config.packing else 1,
        group_questions=config.group_questions if config.packing else 1,
        rows_per_step=config.rows_per_step,
        epochs=config.epochs,
        max_steps=config.max_steps,
        seed=config.seed,
    )


def _summary(
    base: Base,
    artefact: Artefact,
    rows: Sequence[packing.Row],
    items: Sequence[packing.Item],
    config: Config,
) -> str:
    groups = [group for row in rows for group in row]
    tokens = sum(packing.group_tokens(items, group) for group in groups)
    one_by_one = sum(len(items[index]) for group in groups for index in group)
    return (
        f"{base.name} on {', '.join(config.data)}: {len(rows) // config.rows_per_step} steps of "
        f"{config.rows_per_step} rows, {sum(map(len, groups)):,} examples in {tokens:,} tokens "
        f"({one_by_one / max(1, tokens):.1f} times fewer than one by one)\n"
        f"data: {artefact.folder}"
    )


# --- training -----------------------------------------------------------------------


def _train(run: Run, checkpoint: Path | None) -> None:
    """Goes through the plan. Raises: TrainingError if memory runs out; KeyboardInterrupt."""
    from trainer.loop import PackedTrainer, stopped_by_signals  # torch and transformers

    def keep_unmeasured() -> None:
        if run.log.main and run.log.best is None:  # else the best so far was saved
            run.save_result()
            name = result_name(run.config)
            run.say(f"its {name}, not measured: {run.folder / name}")

    trainer = PackedTrainer(run)
    try:
        with stopped_by_signals(trainer, keep_unmeasured):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        config = run.config
        raise TrainingError(
            "There is not enough memory for this run.",
            f"Lower --row-tokens ({config.row_tokens}) or --eval-batch ({config.eval_batch}), add "
            "--gradient-checkpointing, or choose a smaller --base; then continue with --resume.",
        ) from error


def _closing_message(result: Fitted, log: RunLog) -> str:
    best = result.best
    if not best:
        return f"Done: {result.folder}"
    first = next((line for line in log.measurements if line["step"] == 0), None)
    before = f" (untuned: {first['execution_accuracy']:.3f})" if first else ""
    return (
        f"Best at step {best['step']}: execution accuracy {best['execution_accuracy']:.3f}"
        f"{before}, valid SQL {best['valid_sql']:.3f}. It is in {result.adapter}"
    )
