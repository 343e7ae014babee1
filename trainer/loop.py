"""The training loop: transformers' Trainer over planned rows, with measurements and a log.

The classes extend those of torch and transformers, so both are imported at the top: import
this module inside the function that trains (3 s).
"""

from __future__ import annotations

import math
import shutil
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset, SequentialSampler
from tqdm import tqdm
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from trainer import packing
from trainer.base import Base
from trainer.config import Config
from trainer.devices import distributed_backend, has_gpu, world_size
from trainer.files import disk_error, is_disk_error, replace_folder, sync
from trainer.measure import measure
from trainer.outputs import TrainingError, checkpoints, save_result, write_predictions
from trainer.run_log import RunLog

# A loss is logged as a spike if it is more than twice the median of this many steps before it.
_SPIKE_WINDOW = 20


@dataclass(frozen=True, slots=True)
class Run:
    """What one training run works with.

    `rows` are all rows of all epochs, in order; they hold indices into `items`. `sample` are
    the held-out examples that are measured on. `say` gets messages for the person.
    """

    folder: Path
    config: Config
    base: Base
    model: Any  # PreTrainedModel, or PeftModel around one
    tokenizer: Any
    items: Sequence[packing.Item]
    rows: Sequence[packing.Row]
    sample: Sequence[dict[str, Any]]
    log: RunLog
    say: Callable[[str], None]
    quiet: bool

    @property
    def steps(self) -> int:
        """Optimiser steps from the start to the end of the run."""
        return len(self.rows) // self.config.rows_per_step

    def rows_of(self, step: int) -> Sequence[packing.Row]:
        """The rows of a step; steps count from 1."""
        size = self.config.rows_per_step
        return self.rows[(step - 1) * size : step * size]

    def save_result(self) -> None:
        """Writes the adapter (or model) as it is now."""
        save_result(self.model, self.tokenizer, self.config, self.base, self.folder)


class PlannedRows(Dataset):
    """The rows of the plan, made into tensors when they are needed."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __len__(self) -> int:
        return len(self.run.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return packing.collate(self.run.items, self.run.rows[index])


class PackedTrainer(Trainer):
    """transformers' Trainer, going through the planned rows in their order.

    The loss of a step is the mean over its labelled tokens. Measuring saves the adapter if it
    is the best so far. Checkpoints are renamed to their names when they are complete.
    """

    loss_is_scaled_for_ga = True

    def __init__(self, run: Run) -> None:
        self.run = run
        super().__init__(
            model=run.model,
            args=_arguments(run),
            train_dataset=PlannedRows(run),
            eval_dataset=run.sample,
            data_collator=lambda batch: batch[0],
            callbacks=[StepLog(run), Progress(run), EarlyStop(run), LastStep()],
        )
        self.remove_callback(PrinterCallback)

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> SequentialSampler:
        return SequentialSampler(range(len(self.run.rows)))

    def _get_num_items_in_batch(self, batch_samples: Any, device: Any) -> torch.Tensor:
        """Labelled tokens of the whole step, over all processes."""
        count = torch.tensor(sum(len(b["labels"]) for b in batch_samples), device=device)
        return self.accelerator.gather(count).sum()

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The share of these inputs in the mean loss over the labelled tokens of the step.

        Processes average their gradients, so each multiplies its share by their number.
        """
        share = packing.loss_sum(model, inputs) / num_items_in_batch
        return share * self.accelerator.num_processes

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Measures the model, logs the scores, and saves the adapter if it is the best so far."""
        run, step = self.run, self.state.global_step
        if any(line["step"] == step for line in run.log.measurements):
            return {}  # the last step is a multiple of eval_every: measured already
        scores, predictions = measure(
            run.model,
            run.tokenizer,
            run.sample,
            run.config,
            run.base.end_marker,
            rank=self.accelerator.process_index,
            world=self.accelerator.num_processes,
        )
        run.log.add({"step": step, **scores})
        if self.accelerator.is_main_process:
            write_predictions(run.folder, step, predictions)
            if run.log.best and run.log.best["step"] == step:
                run.save_result()
        self.accelerator.wait_for_everyone()
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, scores
        )
        return scores

    def _get_output_dir(self, trial: Any) -> str:
        return str(self.run.folder / "checkpoints" / ".part")

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = self.run.folder / "checkpoints"
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
            raise disk_error(folder / name, error) from error
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            replace_folder(part / name, folder / name)
            shutil.rmtree(part, ignore_errors=True)
            for old in checkpoints(self.run.folder)[: -self.run.config.keep]:
                shutil.rmtree(old)
        self.accelerator.wait_for_everyone()


def _arguments(run: Run) -> TrainingArguments:
    config, gpu = run.config, has_gpu()
    return TrainingArguments(
        output_dir=str(run.folder / "checkpoints"),
        num_train_epochs=1,  # the plan holds all epochs
        per_device_train_batch_size=1,
        gradient_accumulation_steps=config.rows_per_step // world_size(),
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=round(config.warmup * run.steps),
        weight_decay=config.weight_decay,
        max_grad_norm=config.clip,
        optim="adamw_torch_fused" if gpu else "adamw_torch",
        bf16=config.bf16,
        use_cpu=not gpu,
        ddp_backend=distributed_backend(),
        ddp_find_unused_parameters=False,
        seed=config.seed,
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if config.eval_every else "no",
        eval_steps=config.eval_every or None,
        eval_on_start=config.eval_first and not run.log.lines,
        save_strategy="steps",
        save_steps=config.save_every,
        remove_unused_columns=False,
        dataloader_pin_memory=gpu,
        disable_tqdm=True,
        report_to=[],
        log_level="error",
    )


# --- what happens at each step ------------------------------------------------------


class StepLog(TrainerCallback):
    """Logs each step, marks spikes of the loss, and stops a run whose loss is not finite."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.started = time.monotonic()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Starts the clock of the step."""
        self.started = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Adds the line of the step. Raises: TrainingError if the loss is not finite."""
        if not logs or "loss" not in logs:
            return
        run, step, loss = self.run, state.global_step, logs["loss"]
        groups = [group for row in run.rows_of(step) for group in row]
        line = {
            "step": step,
            "loss": loss,
            "learning_rate": logs["learning_rate"],
            "grad_norm": logs.get("grad_norm"),
            "examples": sum(map(len, groups)),
            "tokens": sum(packing.group_tokens(run.items, group) for group in groups),
            "seconds": round(time.monotonic() - self.started, 3),
        }
        if not math.isfinite(loss) or not math.isfinite(line["grad_norm"] or 0):
            raise TrainingError(
                f"Training diverged at step {step}: the loss is {loss}.",
                f"Lower --learning-rate ({run.config.learning_rate:g}) or --clip, or raise "
                "--warmup; --resume continues from the last good checkpoint.",
            )
        recent = [earlier["loss"] for earlier in run.log.steps[-_SPIKE_WINDOW:]]
        if len(recent) == _SPIKE_WINDOW and loss > 2 * statistics.median(recent) + 0.1:
            line["spike"] = True
            run.say(f"step {step}: the loss jumped to {loss:.3f}, more than twice its median")
        run.log.add(line)


class Progress(TrainerCallback):
    """Shows the progress: a bar on a terminal, a line every ten steps elsewhere."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.bar: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Opens the bar."""
        self.bar = tqdm(
            total=state.max_steps,
            initial=state.global_step,
            unit="step",
            disable=self.run.quiet or not self.run.log.main or None,  # None: off without terminal
            smoothing=0.1,
        )

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Shows the step that StepLog, which comes before, has logged."""
        if not logs or "loss" not in logs:
            return
        run, step = self.run, state.global_step
        line, measured = run.log.steps[-1], run.log.measurements
        seconds = line["seconds"] or 0.001
        accuracy = f"{measured[-1]['execution_accuracy']:.3f}" if measured else "-"
        status = (
            f"loss {line['loss']:.3f}, accuracy {accuracy}, "
            f"{line['tokens'] / seconds:.0f} tokens/s, {line['examples'] / seconds:.2f} examples/s"
        )
        self.bar.update(step - self.bar.n)
        self.bar.set_postfix_str(status)
        if self.bar.disable and not run.quiet and step % 10 == 0:  # few lines for a log file
            left = (state.max_steps - step) * seconds / 60
            run.say(f"step {step}/{state.max_steps}: {status}, about {left:.0f} minutes left")

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any
    ) -> None:
        """Shows the scores of a measurement."""
        self.run.say(
            f"step {state.global_step}: execution accuracy "
            f"{metrics['execution_accuracy']:.3f}, valid SQL {metrics['valid_sql']:.3f}, "
            f"loss {metrics['eval_loss']:.3f}"
        )

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Closes the bar."""
        if self.bar is not None:
            self.bar.close()


class EarlyStop(TrainerCallback):
    """Stops after `patience` measurements without a new best."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Counts the measurements since the best one."""
        patience = self.run.config.patience
        if patience and self.run.log.measurements_since_best >= patience:
            self.run.say(f"no gain in {patience} measurements: stopping")
            control.should_training_stop = True


class LastStep(TrainerCallback):
    """Measures and saves after the last step, whatever the intervals are."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Asks for both if this was the last step."""
        if state.global_step == state.max_steps:
            control.should_evaluate = control.should_save = True


# --- stopping -----------------------------------------------------------------------


class _StopWhenAsked(TrainerCallback):
    """Saves and stops after the current step once a signal has come."""

    def __init__(self) -> None:
        self.asked = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.asked:
            control.should_save = control.should_training_stop = True


@contextmanager
def stopped_by_signals(trainer: PackedTrainer, on_stop: Callable[[], None]) -> Iterator[None]:
    """A context in which the first Ctrl-C or SIGTERM ends the run after the current step.

    A checkpoint is written, `on_stop` is called and KeyboardInterrupt raised; a second signal
    raises it at once.
    """
    stop = _StopWhenAsked()

    def ask(number: int, frame: Any) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True
        trainer.run.say("stopping after this step, with a checkpoint; again to stop at once")

    # Several processes would stop after different steps; a thread gets no signals.
    handled = world_size() == 1 and threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if handled else ()
    # An ignored signal stays ignored: `nohup` and a shell's `&` have their reasons.
    before = {n: h for n in numbers if (h := signal.getsignal(n)) is not signal.SIG_IGN}
    trainer.add_callback(stop)
    try:
        for number in before:
            signal.signal(number, ask)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stop.asked and trainer.state.global_step < trainer.state.max_steps:
        on_stop()
        raise KeyboardInterrupt
