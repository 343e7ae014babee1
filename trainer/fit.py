"""A training run, from a config to a measured adapter.

    RUN/config.json       the settings, RUN/run.json what they met (base, data, machine)
    RUN/metrics.jsonl     a line a step and a line a measurement
    RUN/tensorboard/      the same as curves
    RUN/checkpoints/      whole states to resume from
    RUN/predictions/      the answers of every measurement
    RUN/adapter/          the best so far by execution accuracy (RUN/model/ after a full fit)
    RUN/plots/            curves, at the end

The loop is transformers' Trainer. All rows of all epochs are planned ahead, so a resumed
run, or one over several processes, sees the very same batches.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2sql_tui.core.errors import T2SQLError
from trainer import packing
from trainer.base import (
    Base,
    add_adapter,
    disk_error,
    find_base,
    find_start,
    is_disk_error,
    load_model,
    load_tokenizer,
    swap_in,
    sync,
    whole_folder,
    write_json,
)
from trainer.config import Config, ConfigError
from trainer.data import Artefact, open_artefact, prepare
from trainer.measure import heldout_sample, measure, tokenize

if TYPE_CHECKING:
    from transformers import TrainingArguments

Say = Callable[[str], None]


class TrainingError(T2SQLError):
    """A run that cannot start, go on, or be resumed."""

    exit_code = 6


@dataclass(frozen=True, slots=True)
class Fitted:
    """A finished run: its folder, the adapter (or model), and the best measurement's line."""

    folder: Path
    adapter: Path
    best: dict[str, Any]


def fit(config: Config, *, resume: bool = False, say: Say = print, quiet: bool = False) -> Fitted:
    """Trains as `config` says, or goes on from the last checkpoint of its run.

    Ctrl-C (or SIGTERM) ends the step under way, writes a checkpoint (and, where nothing was
    measured yet, the adapter as it is) and raises KeyboardInterrupt; a second one raises at once.

    Raises: TrainingError for a folder that holds another run, a loss that is no number, or
    too little memory; DataError, ModelError and ConfigError as their parts do.
    """
    set_threads(config)
    state = _processes()
    folder = Path(config.out or "runs/default")
    with _alone(folder, state.is_main_process):
        return _fit(config, folder, state, resume, say if state.is_main_process else _silent, quiet)


def _fit(config: Config, folder: Path, state, resume: bool, say: Say, quiet: bool) -> Fitted:
    checkpoint = _place(folder, config, resume)
    find_start(config)  # before the minutes that data takes
    base = find_base(config)
    with state.main_process_first():
        artefact = _artefact(folder, config, base, checkpoint, say, quiet)
    tokenizer = load_tokenizer(base)
    data = artefact.load()
    end = end_marker(base)
    trained = list(data["train"])
    items = tokenize(trained, tokenizer, end)
    rows = plan_rows(items, [row["repeat"] for row in trained], config, state.num_processes)
    sample = heldout_sample(data["heldout"], config.eval_questions)
    say(_summary(base, artefact, rows, items, config))

    seed_all(config)
    model = add_adapter(load_model(base, config), config)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    say(f"{trainable:,} of {total:,} parameters are trained ({100 * trainable / total:.2f} %)")
    if state.is_main_process:
        _write_run(folder, config, base, artefact, trainable, total, len(rows), checkpoint)
    state.wait_for_everyone()
    log = _Log(folder, checkpoint, main=state.is_main_process)
    trainer = _make_trainer(
        model, tokenizer, items, rows, sample, config, base, folder, end, log, say, quiet
    )

    def keep() -> None:
        if state.is_main_process and log.best() is None:  # else the best so far is kept
            save_result(model, tokenizer, config, base, folder)
            say(f"its {_result_name(config)}, not measured: {folder / _result_name(config)}")

    try:
        with _interruptible(trainer, keep, say):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise TrainingError(
            "There is not enough memory for this run.",
            f"Lower --row-tokens ({config.row_tokens}) or --eval-batch ({config.eval_batch}), add "
            "--gradient-checkpointing, or choose a smaller --base; then go on with --resume.",
        ) from error
    best = log.best() or {}
    if state.is_main_process:
        _finish(folder, log)
    result = Fitted(folder, folder / _result_name(config), best)
    say(_verdict_line(result, log))
    return result


@contextmanager
def _alone(folder: Path, main: bool) -> Iterator[None]:
    """Keeps a second process from writing into the run's folder. Raises: TrainingError."""
    from filelock import FileLock, Timeout

    if not main:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise TrainingError(
            f"Another process is training in {folder}.", "Wait for it, or name another --out."
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _interruptible(trainer, keep: Callable[[], None], say: Say) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM ends the run behind the step under way, with a checkpoint and
    whatever else is to `keep`."""
    from transformers import TrainerCallback

    asked: list[int] = []

    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if asked:
                control.should_save = control.should_training_stop = True

    def ask(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        say("stopping behind this step, with a checkpoint; once more to stop at once")

    # Several processes would stop behind different steps; a thread gets no signals.
    alone = int(os.environ.get("WORLD_SIZE", 1)) == 1
    here = alone and threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if here else ()
    # What is ignored stays so: `nohup` and a shell's `&` have their reasons.
    before = {n: h for n in numbers if (h := signal.getsignal(n)) is not signal.SIG_IGN}
    trainer.add_callback(Stop())
    try:
        for number in before:
            signal.signal(number, ask)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked and trainer.state.global_step < trainer.state.max_steps:
        keep()
        raise KeyboardInterrupt


# --- before the first step ----------------------------------------------------------


def set_threads(config: Config) -> None:
    import torch

    # torch counts the machine's cores; a container may have fewer
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(config.threads or cores or 1)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _backend() -> str | None:
    """Only where there are several processes: accelerate takes a backend for a wish to
    have some."""
    return "gloo" if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not _has_gpu() else None


def _processes():
    from accelerate import PartialState

    backend = _backend()
    return PartialState(cpu=not _has_gpu(), **({"backend": backend} if backend else {}))


def _silent(text: str) -> None:
    """What all processes but the first say."""


def _place(folder: Path, config: Config, resume: bool) -> Path | None:
    """The checkpoint to go on from, None to start. Raises: TrainingError."""
    found = checkpoints(folder)
    if not resume:
        if found or (folder / "metrics.jsonl").exists():
            raise TrainingError(
                f"{folder} already holds a run.",
                "Go on with it by --resume, name another folder with --out, or delete it.",
            )
        return None
    if not found:
        # killed before its first checkpoint: there is nothing to go on from, nor to lose
        return None
    try:
        before = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{folder} has no readable config.json: {error}.") from error
    if differing := config.differences(before):
        shown = ", ".join(
            f"{name} (was {before[name]!r}, is {getattr(config, name)!r})" for name in differing
        )
        raise TrainingError(
            f"The checkpoints in {folder} were written by another config: {shown}.",
            "Resume with the settings of the run, or start a new one with --out.",
        )
    return found[-1]


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    found = (folder / "checkpoints").glob("checkpoint-*")
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def _artefact(
    folder: Path, config: Config, base: Base, checkpoint: Path | None, say: Say, quiet: bool
) -> Artefact:
    """The data of the run; a resumed run takes what it was started on, whatever was edited
    since."""
    if checkpoint:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        if base.sha256 and run["base"]["sha256"] and run["base"]["sha256"] != base.sha256:
            raise TrainingError(
                f"The run in {folder} was started on other weights than {base.source}.",
                f"It needs those of hash {run['base']['sha256'][:16]}...",
            )
        return open_artefact(Path(run["data"]))
    artefact = prepare(config, base, quiet=quiet)
    if artefact.about["rejected"]:
        say(
            f"{artefact.about['rejected']} examples were left out: {artefact.folder}/rejected.jsonl"
        )
    return artefact


def end_marker(base: Base) -> str:
    from t2sql_tui.core.prompting.chat import CHAT_FORMATS

    return CHAT_FORMATS[base.chat_format].end


def plan_rows(
    items: Sequence[packing.Item], repeats: Sequence[int], config: Config, world: int
) -> list[packing.Row]:
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


def _summary(base, artefact, rows, items, config) -> str:
    tokens = sum(packing.group_tokens(items, group) for row in rows for group in row)
    shown = sum(len(group) for row in rows for group in row)
    apart = sum(len(items[p]) for row in rows for group in row for p in group)
    return (
        f"{base.name} on {', '.join(config.data)}: {len(rows) // config.rows_per_step} steps of "
        f"{config.rows_per_step} rows, {shown:,} examples in {tokens:,} tokens "
        f"({apart / max(1, tokens):.1f} times fewer than one by one)\n"
        f"data: {artefact.folder}"
    )


def seed_all(config: Config) -> None:
    from transformers import set_seed

    set_seed(config.seed)


def _write_run(folder, config, base, artefact, trainable, total, rows, checkpoint) -> None:
    from benchmarks.provenance import provenance

    if checkpoint:
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", asdict(config))
    write_json(
        folder / "run.json",
        {
            "base": asdict(base),
            "data": str(artefact.folder.resolve()),
            "prompt_version": config.prompt_version,
            "trainable_parameters": trainable,
            "parameters": total,
            "steps": rows // config.rows_per_step,
            "provenance": provenance(),
        },
    )


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text


# --- the log ------------------------------------------------------------------------


class _Log:
    """metrics.jsonl and TensorBoard. What the run must remember (its best measurement, how
    long ago that was) is read back from it, so that it is kept once.

    After a kill the file may be ahead of the checkpoint: what comes again is cut off.
    """

    def __init__(self, folder: Path, checkpoint: Path | None, *, main: bool) -> None:
        self.path = folder / "metrics.jsonl"
        self.main = main
        self.lines: list[dict[str, Any]] = []
        step = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
        if checkpoint and self.path.exists():
            self.lines = [row for row in read_log(self.path) if row["step"] <= step]
        if not main:
            return
        part = self.path.with_name(".metrics.jsonl.part")
        part.write_text("".join(json.dumps(row) + "\n" for row in self.lines), encoding="utf-8")
        part.replace(self.path)
        from torch.utils.tensorboard import SummaryWriter

        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def add(self, row: dict[str, Any]) -> None:
        self.lines.append(row)
        if not self.main:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in row.items():
            if name != "step" and isinstance(value, (int, float)):
                self.board.add_scalar(name, value, row["step"])
        self.board.flush()

    def measurements(self) -> list[dict[str, Any]]:
        return [row for row in self.lines if "execution_accuracy" in row]

    def steps(self) -> list[dict[str, Any]]:
        return [row for row in self.lines if "loss" in row]

    def best(self) -> dict[str, Any] | None:
        """The measurement that the kept adapter is of: the first of the highest, after the
        untuned model's."""
        trained = [row for row in self.measurements() if row["step"]]
        return max(trained, key=lambda row: row["execution_accuracy"], default=None)

    def without_gain(self) -> int:
        """How many measurements there were since the best."""
        best = self.best()
        return len([r for r in self.measurements() if best and r["step"] > best["step"]])


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl; a last line cut by a kill is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


# --- the loop -----------------------------------------------------------------------


def _arguments(
    config: Config, folder: Path, steps: int, world: int, resumed: bool
) -> TrainingArguments:
    from transformers import TrainingArguments

    gpu = _has_gpu()
    return TrainingArguments(
        output_dir=str(folder / "checkpoints"),
        num_train_epochs=1,  # the plan holds all epochs
        per_device_train_batch_size=1,
        gradient_accumulation_steps=config.rows_per_step // world,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=round(config.warmup * steps),
        weight_decay=config.weight_decay,
        max_grad_norm=config.clip,
        optim="adamw_torch_fused" if gpu else "adamw_torch",
        bf16=config.bf16,
        use_cpu=not gpu,
        ddp_backend=_backend(),
        ddp_find_unused_parameters=False,
        seed=config.seed,
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if config.eval_every else "no",
        eval_steps=config.eval_every or None,
        eval_on_start=config.eval_first and not resumed,
        save_strategy="steps",
        save_steps=config.save_every,
        remove_unused_columns=False,
        dataloader_pin_memory=gpu,
        disable_tqdm=True,
        report_to=[],
        log_level="error",
    )


def _make_trainer(
    model, tokenizer, items, rows, sample, config, base, folder, end, log, say, quiet
):
    import torch
    from torch.utils.data import SequentialSampler
    from transformers import Trainer, TrainerCallback
    from transformers.trainer_callback import PrinterCallback

    class Planned(torch.utils.data.Dataset):
        """The rows of the plan, made into tensors when their turn comes."""

        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, place: int) -> dict[str, Any]:
            return packing.collate(items, rows[place])

    class PackTrainer(Trainer):
        loss_is_scaled_for_ga = True

        def _get_train_sampler(self, *args, **kwargs):
            return SequentialSampler(self.train_dataset)

        def _get_num_items_in_batch(self, batch_samples, device):
            """Labelled tokens of the whole step, over all processes."""
            count = torch.tensor(sum(len(b["labels"]) for b in batch_samples), device=device)
            return self.accelerator.gather(count).sum()

        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            """Mean over the step's labels. Processes average their gradients, so each
            counts its own share `num_processes` times."""
            share = packing.loss_sum(model, inputs) / num_items_in_batch
            return share * self.accelerator.num_processes

        def evaluate(self, *args, **kwargs) -> dict[str, float]:
            """Measures, keeps the adapter if it is the best so far."""
            step = self.state.global_step
            if any(row["step"] == step for row in log.measurements()):
                return {}  # the last step is a multiple of eval_every: measured already
            accelerator = self.accelerator
            scores, predictions = measure(
                self.model,
                tokenizer,
                sample,
                config,
                end,
                rank=accelerator.process_index,
                world=accelerator.num_processes,
            )
            log.add({"step": step, **scores})
            if accelerator.is_main_process:
                _write_predictions(folder, step, predictions)
                if log.best() and log.best()["step"] == step:
                    save_result(self.model, tokenizer, config, base, folder)
            accelerator.wait_for_everyone()
            self.control = self.callback_handler.on_evaluate(
                self.args, self.state, self.control, scores
            )
            return scores

        def _get_output_dir(self, trial) -> str:
            """Checkpoints are written here and renamed when they are whole."""
            return str(folder / "checkpoints" / ".part")

        def _save_checkpoint(self, model, trial) -> None:
            name = f"checkpoint-{self.state.global_step}"
            part = Path(self._get_output_dir(trial))
            if self.accelerator.is_main_process:
                shutil.rmtree(part, ignore_errors=True)
            self.accelerator.wait_for_everyone()
            try:
                super()._save_checkpoint(model, trial)
                sync(part)
            except Exception as error:
                if not is_disk_error(error):
                    raise
                shutil.rmtree(part, ignore_errors=True)
                raise disk_error(folder / "checkpoints" / name, error) from error
            self.accelerator.wait_for_everyone()
            if self.accelerator.is_main_process:
                swap_in(part / name, folder / "checkpoints" / name)
                shutil.rmtree(part, ignore_errors=True)
                for old in checkpoints(folder)[: -config.keep]:
                    shutil.rmtree(old)
            self.accelerator.wait_for_everyone()

    class Watch(TrainerCallback):
        """Logs each step, shows progress, stops what goes wrong or no longer improves."""

        def __init__(self) -> None:
            self.bar = None
            self.began = time.monotonic()
            self.tokens = self.examples = 0

        def on_train_begin(self, args, state, control, **kwargs):
            from tqdm import tqdm

            self.bar = tqdm(
                total=state.max_steps,
                initial=state.global_step,
                unit="step",
                disable=quiet or not log.main or None,
                smoothing=0.1,
            )  # None: off where nobody watches

        def on_step_begin(self, args, state, control, **kwargs):
            self.began = time.monotonic()

        def on_log(self, args, state, control, logs=None, **kwargs):
            if not logs or "loss" not in logs:
                return
            loss, step = logs["loss"], state.global_step
            seconds = time.monotonic() - self.began
            per_step = config.rows_per_step
            now = rows[(step - 1) * per_step : step * per_step]
            shown = sum(len(group) for row in now for group in row)
            tokens = sum(packing.group_tokens(items, group) for row in now for group in row)
            line = {
                "step": step,
                "loss": loss,
                "learning_rate": logs["learning_rate"],
                "grad_norm": logs.get("grad_norm"),
                "examples": shown,
                "tokens": tokens,
                "seconds": round(seconds, 3),
            }
            if not math.isfinite(loss) or not math.isfinite(line["grad_norm"] or 0):
                raise TrainingError(
                    f"Training broke down at step {step}: the loss is {loss}.",
                    f"Lower --learning-rate ({config.learning_rate:g}) or --clip, or lengthen "
                    "--warmup; --resume goes on from the last good checkpoint.",
                )
            recent = [row["loss"] for row in log.steps()[-20:]]
            if len(recent) == 20 and loss > 2 * statistics.median(recent) + 0.1:
                line["spike"] = True
                say(f"step {step}: the loss jumped to {loss:.3f}, twice what it was")
            log.add(line)
            self.bar.update(step - self.bar.n)
            done = log.measurements()
            accuracy = f"{done[-1]['execution_accuracy']:.3f}" if done else "-"
            status = (
                f"loss {loss:.3f}, accuracy {accuracy}, {tokens / seconds:.0f} tokens/s, "
                f"{shown / seconds:.2f} examples/s"
            )
            self.bar.set_postfix_str(status)
            if self.bar.disable and not quiet and step % 10 == 0:  # a log file wants few lines
                left = (state.max_steps - step) * seconds / 60
                say(f"step {step}/{state.max_steps}: {status}, about {left:.0f} minutes left")

        def on_evaluate(self, args, state, control, metrics=None, **kwargs):
            say(
                f"step {state.global_step}: execution accuracy "
                f"{metrics['execution_accuracy']:.3f}, valid SQL {metrics['valid_sql']:.3f}, "
                f"loss {metrics['eval_loss']:.3f}"
            )
            if config.patience and log.without_gain() >= config.patience:
                say(f"no gain in {config.patience} measurements: stopping")
                control.should_training_stop = True

        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == state.max_steps:
                control.should_evaluate = control.should_save = True

        def on_train_end(self, args, state, control, **kwargs):
            if self.bar is not None:
                self.bar.close()

    steps = len(rows) // config.rows_per_step
    world = int(os.environ.get("WORLD_SIZE", 1))
    trainer = PackTrainer(
        model=model,
        args=_arguments(config, folder, steps, world, bool(log.lines)),
        train_dataset=Planned(),
        eval_dataset=sample,
        data_collator=lambda batch: batch[0],
        callbacks=[Watch()],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


# --- results ------------------------------------------------------------------------


def _result_name(config: Config) -> str:
    return "model" if config.method == "full" else "adapter"


def save_result(model, tokenizer, config: Config, base: Base, folder: Path) -> None:
    """The adapter in float16 (its errors are far below bfloat16's, in which it is used), or
    the whole model, with what it was trained on and for."""
    import torch

    from t2sql_tui.core.models.adapter_info import AdapterInfo, write_adapter_info
    from t2sql_tui.core.models.catalog import load_catalog

    with whole_folder(folder / _result_name(config)) as part:
        if config.method == "full":
            model.save_pretrained(part)
            tokenizer.save_pretrained(part)
        else:
            from peft import get_peft_model_state_dict

            # Where others find the base, not where this machine keeps it.
            published = load_catalog().get(base.name)
            if published:
                model.peft_config["default"].base_model_name_or_path = published.base
            weights = get_peft_model_state_dict(model)
            model.save_pretrained(
                part, state_dict={k: v.to(torch.float16) for k, v in weights.items()}
            )
            (part / "README.md").unlink(missing_ok=True)  # PEFT's empty form; see `trainer card`
        write_adapter_info(
            part,
            AdapterInfo(
                base.name, base.sha256, config.prompt_version, base.chat_format, base.licence
            ),
        )


def _write_predictions(folder: Path, step: int, predictions) -> None:
    target = folder / "predictions" / f"step-{step}.jsonl"
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(asdict(p), ensure_ascii=False) + "\n" for p in predictions)
    target.write_text("".join(lines), encoding="utf-8")


def _finish(folder: Path, log: _Log) -> None:
    from trainer.report import plot_run

    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    run["best"] = log.best()
    # Of all its processes: a resumed run's log goes on.
    seconds = sum(row["seconds"] for row in log.steps())
    measuring = sum(row["eval_seconds"] for row in log.measurements())
    run["minutes"] = round(seconds / 60, 2)
    run["minutes_with_measuring"] = round((seconds + measuring) / 60, 2)
    run["memory_gib"] = peak_memory_gib()
    write_json(folder / "run.json", run)
    plot_run(folder)


def peak_memory_gib() -> dict[str, float]:
    """Highest resident memory of this process and, where there is one, of the GPU."""
    import resource
    import sys

    import torch

    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    found = {"process": round(peak / 2**30, 2)}
    if torch.cuda.is_available():
        found["gpu"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return found


def _verdict_line(result: Fitted, log: _Log) -> str:
    best = result.best
    if not best:
        return f"Done: {result.folder}"
    first = next((row for row in log.measurements() if row["step"] == 0), None)
    before = f" (untuned: {first['execution_accuracy']:.3f})" if first else ""
    return (
        f"Best at step {best['step']}: execution accuracy {best['execution_accuracy']:.3f}{before}, "
        f"valid SQL {best['valid_sql']:.3f}. It is in {result.adapter}"
    )
