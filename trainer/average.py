"""The mean of adapters that were trained from one another: a model soup.

If a second training starts at the end of a first one, the weights between the two are often
better than both: what each learnt is kept, and chance effects cancel out (Wortsman et al. 2022,
arXiv 2203.05482; Izmailov et al. 2018, arXiv 1803.05407). The two factors of LoRA are averaged
separately, which needs adapters that are close to each other: of unrelated ones the product of
the means is not the mean of the products.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.adapter_info import ADAPTER_INFO
from trainer.files import whole_folder
from trainer.outputs import Trained, find_trained

if TYPE_CHECKING:
    import torch

_WEIGHTS = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"
# Fields of PEFT's config that must be equal for the factors to mean the same.
_SHAPE = ("peft_type", "r", "lora_alpha", "use_rslora", "use_dora", "rank_pattern", "alpha_pattern")


def average(folders: Sequence[Path], weights: Sequence[float], out: Path) -> None:
    """Writes the mean of the adapters in `folders` (or of the runs there) to the folder `out`.

    `weights` has one number an adapter; empty counts all the same. The mean is stored as
    float16 and described as the first adapter is.

    Raises: ModelError if the adapters do not fit together, or `out` exists.
    """
    weights = weights or [1.0] * len(folders)
    if out.exists():
        raise ModelError(f"{out} exists already.", "Name another --out.")
    if len(weights) != len(folders) or min(weights) < 0 or not sum(weights):
        raise ModelError(
            f"{len(weights)} weights for {len(folders)} adapters.",
            "Give one weight an adapter, none of them negative: --weights 2,1",
        )
    adapters = [find_trained(folder) for folder in folders]
    _require_same_shape(adapters)
    mean = _mean(adapters, weights)
    from safetensors.torch import save_file  # imports torch

    with whole_folder(out) as folder:
        save_file(mean, folder / _WEIGHTS, metadata={"format": "pt"})
        for name in (_CONFIG, ADAPTER_INFO):
            if (adapters[0].folder / name).exists():
                shutil.copy(adapters[0].folder / name, folder / name)


def read_weights(text: str) -> list[float]:
    """The numbers of "2,1"; none for "". Raises: ModelError."""
    try:
        return [float(weight) for weight in text.split(",")] if text else []
    except ValueError:
        raise ModelError(f"--weights {text} are not numbers.", "For example: 2,1") from None


def _require_same_shape(adapters: Sequence[Trained]) -> None:
    first = adapters[0]
    for other in adapters[1:]:
        if other.full or first.full:
            raise ModelError(f"{other.folder} holds all weights of a model, not an adapter.")
        if other.info != first.info or _shape(other.folder) != _shape(first.folder):
            raise ModelError(
                f"{other.folder} is another kind of adapter than {first.folder}.",
                "Average adapters of one base, prompt, rank and alpha.",
            )


def _shape(folder: Path) -> list[object]:
    config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    return [config.get(key) for key in _SHAPE] + [sorted(config.get("target_modules") or ())]


def _mean(adapters: Sequence[Trained], weights: Sequence[float]) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    total: dict[str, torch.Tensor] = {}
    for adapter, weight in zip(adapters, weights, strict=True):
        for name, tensor in load_file(adapter.folder / _WEIGHTS).items():
            part = tensor.float() * (weight / sum(weights))
            total[name] = total[name] + part if name in total else part
    return {name: tensor.half().contiguous() for name, tensor in total.items()}
