"""The adapter: added to the base model, new or with the weights of an earlier one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.adapter_info import read_adapter_info
from trainer.base import find_base, first_line
from trainer.config import Config

_ATTENTION_LAYERS = {"q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj"}


def add_adapter(model: Any, config: Config) -> Any:
    """`model` with a trainable adapter, new or that of `config.start`; for full fine-tuning
    `model` itself, with every weight trainable.

    Raises: ModelError if no layer has a name in `config.targets`, or the adapter to start from
    does not fit.
    """
    if config.method == "full":
        return model
    from peft import LoraConfig, get_peft_model  # takes seconds to import, as torch does

    from trainer.fused_lora import fuse

    try:
        adapted = get_peft_model(
            model,
            LoraConfig(
                r=config.rank,
                lora_alpha=config.alpha,
                lora_dropout=config.dropout,
                target_modules=_target_modules(model, config),
                use_rslora=config.rslora,
                use_dora=config.dora,
                task_type="CAUSAL_LM",
            ),
        )
    except ValueError as error:
        raise ModelError(
            f"No adapter fits: {first_line(error)}",
            "--targets takes all-linear, attention, or names of the model's layers.",
        ) from error
    if start := find_start(config):
        _load_weights(adapted, start, config)
    if config.method == "qlora" or config.gradient_checkpointing:
        adapted.enable_input_require_grads()
    if config.fused:
        fuse(adapted)
    return adapted


def _target_modules(model: Any, config: Config) -> str | list[str]:
    """`config.targets` as PEFT takes them."""
    if config.targets == ("all-linear",):
        return "all-linear"
    if config.targets == ("attention",):
        layers = {name.rpartition(".")[2] for name, _ in model.named_modules()}
        return sorted(layers & _ATTENTION_LAYERS)
    return list(config.targets)


def find_start(config: Config) -> Path | None:
    """The folder of the adapter that training starts from; None for a new one.

    Raises: ModelError if there is none in `config.start`.
    """
    if not config.start:
        return None
    given = Path(config.start).expanduser()
    for folder in (given / "adapter", given):
        if (folder / "adapter_model.safetensors").exists():
            return folder
    raise ModelError(
        f"There is no adapter in {given}.",
        "--start names the folder of an adapter, or of a run that has one.",
    )


def _load_weights(adapted: Any, folder: Path, config: Config) -> None:
    """Gives the new adapter the weights of the one in `folder`."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    try:
        saved = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        weights = load_file(folder / "adapter_model.safetensors")
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The adapter in {folder} cannot be read: {first_line(error)}",
            "Name another --start.",
        ) from error
    own = adapted.peft_config["default"]
    shape = (own.r, own.lora_alpha, own.use_rslora, own.use_dora, sorted(own.target_modules))
    saved_shape = (
        saved["r"],
        saved["lora_alpha"],
        saved["use_rslora"],
        saved["use_dora"],
        sorted(saved["target_modules"]),
    )
    base = read_adapter_info(folder).base_sha256
    if shape != saved_shape or (base and base != find_base(config).sha256):
        raise ModelError(
            f"The adapter in {folder} does not fit the one to be trained.",
            f"It has rank {saved['r']}, alpha {saved['lora_alpha']}, targets "
            f"{', '.join(sorted(saved['target_modules']))}; and --base must be the base model it "
            "was trained on.",
        )
    set_peft_model_state_dict(adapted, weights)
