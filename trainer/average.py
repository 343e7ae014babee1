"""The mean of adapters that were trained from one another: a model soup.

Where a second training begins at the end of a first, the weights between the two are often
better than both ends: what each learnt is kept, and what it learnt by accident cancels out
(Wortsman et al. 2022, arXiv 2203.05482; Izmailov et al. 2018, arXiv 1803.05407). The two factors
of LoRA are averaged each for itself, which needs adapters that are near each other: of unrelated
ones the product of the means is not the mean of the products.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.adapter_info import ADAPTER_INFO
from trainer.files import whole_folder
from trainer.outputs import find_trained

_WEIGHTS = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"
# What must be equal for the factors to mean the same.
_SHAPE = ("peft_type", "r", "lora_alpha", "use_rslora", "use_dora", "rank_pattern", "alpha_pattern")


def average(folders: Sequence[Path], weights: Sequence[float], out: Path) -> None:
    """Writes the mean of the adapters in `folders` (or of the runs there), weighted by
    `weights`, to the folder `out`, in float16. It is described as the first of them.

    Raises: ModelError if they do not fit together, or `out` exists.
    """
    import torch
    from safetensors.torch import load_file, save_file

    if out.exists():
        raise ModelError(f"{out} exists already.", "Name another --out.")
    if len(weights) != len(folders) or min(weights) < 0 or not sum(weights):
        raise ModelError(
            f"{len(weights)} weights for {len(folders)} adapters.",
            "Give each adapter one, none of them negative: --weights 2,1",
        )
    found = [find_trained(folder) for folder in folders]
    for other in found[1:]:
        if other.full or found[0].full:
            raise ModelError(f"{other.folder} holds whole weights, not an adapter.")
        if other.info != found[0].info or _shape(other.folder) != _shape(found[0].folder):
            raise ModelError(
                f"{other.folder} is another kind of adapter than {found[0].folder}.",
                "Average adapters of one base, prompt, rank and alpha.",
            )
    total: dict[str, torch.Tensor] = {}
    for one, weight in zip(found, weights, strict=True):
        for name, tensor in load_file(one.folder / _WEIGHTS).items():
            part = tensor.float() * (weight / sum(weights))
            total[name] = total[name] + part if name in total else part
    with whole_folder(out) as folder:
        halved = {name: tensor.half().contiguous() for name, tensor in total.items()}
        save_file(halved, folder / _WEIGHTS, metadata={"format": "pt"})
        for name in (_CONFIG, ADAPTER_INFO):
            if (found[0].folder / name).exists():
                shutil.copy(found[0].folder / name, folder / name)


def _shape(folder: Path) -> list[object]:
    config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    return [config.get(key) for key in _SHAPE] + [sorted(config.get("target_modules") or ())]


@click.command("average")
@click.argument(
    "adapters",
    nargs=-1,
    required=True,
    metavar="ADAPTER...",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option(
    "--weights", default="", metavar="A,B,...", help="How much each counts. [default: all the same]"
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write.",
)
def average_command(adapters: tuple[Path, ...], weights: str, out: Path) -> None:
    """The mean of ADAPTERs that were trained from one another, as a new adapter.

    \b
    trainer average runs/stage1 runs/stage2 --out runs/mean
    """
    try:
        counts = [float(weight) for weight in weights.split(",")] if weights else []
    except ValueError:
        raise ModelError(f"--weights {weights} are not numbers.", "Like this: 2,1") from None
    average(adapters, counts or [1.0] * len(adapters), out)
    click.echo(out)
