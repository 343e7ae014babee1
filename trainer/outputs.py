"""The folder of a run: what `trainer fit` writes into it, and finding it again.

RUN/config.json       the settings
RUN/run.json          base model, data, parameters, machine; at the end times and the best
RUN/metrics.jsonl     one line a step and one a measurement (run_log.py)
RUN/tensorboard/      the same as curves
RUN/checkpoints/      complete states to resume from
RUN/predictions/      the answers of every measurement
RUN/adapter/          the best adapter so far by execution accuracy (RUN/model/ after a
                      full fine-tuning)
RUN/plots/            curves, drawn at the end
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2sql_tui.core.errors import ModelError, T2SQLError
from t2sql_tui.core.models.adapter_info import (
    AdapterInfo,
    read_adapter_info,
    write_adapter_info,
)
from t2sql_tui.core.models.catalog import load_catalog
from trainer.base import Base
from trainer.config import Config
from trainer.devices import peak_memory_gib
from trainer.files import read_json, whole_folder, write_json
from trainer.measure import Prediction
from trainer.run_log import FILE as LOG_FILE
from trainer.run_log import RunLog, checkpoint_step

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Where the adapter or the model may lie under the folder of a run; "" is that folder itself.
_INSIDE_RUN = ("", "adapter", "model")


class TrainingError(T2SQLError):
    """A run that cannot start, continue or be resumed."""

    exit_code = 6


# --- before and while training ------------------------------------------------------


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Keeps a second process from writing into the run's folder. Raises: TrainingError."""
    from filelock import FileLock, Timeout  # of the optional extra "bench"

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


def require_no_run(folder: Path) -> None:
    """Raises: TrainingError if `folder` already holds a run."""
    if checkpoints(folder) or (folder / LOG_FILE).exists():
        raise TrainingError(
            f"{folder} already holds a run.",
            "Continue it with --resume, name another folder with --out, or delete it.",
        )


def last_checkpoint(folder: Path, config: Config) -> Path | None:
    """The checkpoint to resume from; None if the run was killed before its first one.

    Raises: TrainingError if the checkpoints were written with other settings.
    """
    found = checkpoints(folder)
    if not found:
        return None
    try:
        before = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{folder} has no readable config.json: {error}.") from error
    if differing := config.differences(before):
        changes = ", ".join(
            f"{name} (was {before[name]!r}, is {getattr(config, name)!r})" for name in differing
        )
        raise TrainingError(
            f"The checkpoints in {folder} were written with other settings: {changes}.",
            "Resume with the settings of the run, or start a new run with --out.",
        )
    return found[-1]


def checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    return sorted((folder / "checkpoints").glob("checkpoint-*"), key=checkpoint_step)


def write_run(folder: Path, config: Config, about: dict[str, Any]) -> None:
    """Writes config.json, and run.json with `about`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", asdict(config))
    write_json(folder / "run.json", about)


def write_predictions(folder: Path, step: int, predictions: Sequence[Prediction]) -> None:
    """Writes the answers of the measurement after `step`."""
    target = folder / "predictions" / f"step-{step}.jsonl"
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(asdict(p), ensure_ascii=False) + "\n" for p in predictions)
    target.write_text("".join(lines), encoding="utf-8")


def result_name(config: Config) -> str:
    """The folder of the result inside the run's folder: "adapter", or "model" for all weights."""
    return "model" if config.method == "full" else "adapter"


def save_result(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    config: Config,
    base: Base,
    folder: Path,
) -> None:
    """Writes the adapter, or the model after a full fine-tuning, and what it was trained for.

    The adapter is stored as float16, whose errors are far below those of bfloat16, in which it
    is used.
    """
    with whole_folder(folder / result_name(config)) as part:
        if config.method == "full":
            model.save_pretrained(part)
            tokenizer.save_pretrained(part)
        else:
            _save_adapter(model, base, part)
        write_adapter_info(
            part,
            AdapterInfo(
                base.name, base.sha256, config.prompt_version, base.chat_format, base.licence
            ),
        )


def _save_adapter(model: Any, base: Base, folder: Path) -> None:
    import torch  # takes seconds to import
    from peft import get_peft_model_state_dict

    # The name under which others find the base, not the path on this machine.
    if published := load_catalog().get(base.name):
        model.peft_config["default"].base_model_name_or_path = published.base
    weights = get_peft_model_state_dict(model)
    model.save_pretrained(folder, state_dict={k: v.to(torch.float16) for k, v in weights.items()})
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's template; see `trainer card`


def write_totals(folder: Path, log: RunLog) -> None:
    """Adds the best measurement, the times and the peak memory to run.json."""
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    run["best"] = log.best
    # Of all the run's processes: the log of a resumed run continues.
    seconds = sum(line["seconds"] for line in log.steps)
    measuring = sum(line["eval_seconds"] for line in log.measurements)
    run["minutes"] = round(seconds / 60, 2)
    run["minutes_with_measuring"] = round((seconds + measuring) / 60, 2)
    run["memory_gib"] = peak_memory_gib()
    write_json(folder / "run.json", run)


# --- afterwards ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run trained: an adapter, or all weights (`full`), with its base and prompt."""

    folder: Path
    full: bool
    info: AdapterInfo

    def completed_info(self, base: Base) -> AdapterInfo:
        """`info`, with its empty fields taken from the base."""
        return AdapterInfo(
            base=self.info.base or base.name,
            base_sha256=self.info.base_sha256 or base.sha256,
            prompt_version=self.info.prompt_version or "v1",
            chat_format=self.info.chat_format or base.chat_format,
            licence=self.info.licence or base.licence,
        )


def find_trained(path: Path) -> Trained:
    """The adapter or the model in `path`, which may be the folder of a run. Raises: ModelError."""
    for inside in _INSIDE_RUN:
        folder = path / inside
        if (folder / "adapter_config.json").exists():
            return Trained(folder, False, read_adapter_info(folder))
        if (folder / "config.json").exists() and any(folder.glob("*.safetensors")):
            return Trained(folder, True, read_adapter_info(folder))
    raise ModelError(
        f"{path} holds neither an adapter nor a model",
        "Give the folder of a run (runs/NAME) or of an adapter.",
    )


def run_folder(trained: Path) -> Path:
    """The folder of the run, given that folder or the one of its adapter."""
    path = trained.resolve()
    inside = path.name in _INSIDE_RUN and (path.parent / "run.json").exists()
    return trained.parent if inside else trained


def run_name(trained: Path) -> str:
    """The name of the run's folder, given that folder or the one of its adapter."""
    return run_folder(trained).resolve().name


def is_finished(folder: Path) -> bool:
    """Whether `folder` holds a run that went to its end and has a best measurement."""
    try:
        return bool(read_json(folder / "run.json").get("best"))
    except (OSError, ValueError):
        return False
