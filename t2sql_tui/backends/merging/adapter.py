"""A PEFT adapter as it is saved: LoRA, rsLoRA, DoRA, embeddings and trained modules."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from t2sql_tui.backends.merging.safetensors import read_safetensors, weights_sha256
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.files import read_object
from t2sql_tui.core.models.adapter_info import AdapterInfo, read_adapter_info


@dataclass(slots=True)
class Delta:
    """What a LoRA adds to one weight of shape (out, in): `scale * b @ a`.

    `a` is (rank, in), `b` is (out, rank). `magnitude` is the length of each row in DoRA,
    (out,), or None.
    """

    a: np.ndarray
    b: np.ndarray
    scale: float
    magnitude: np.ndarray | None = None

    def apply(self, rows: np.ndarray, start: int) -> np.ndarray:
        """Adds the delta to `rows` (n, in), the rows of the weight from `start` on, in place."""
        part = slice(start, start + len(rows))
        rows += (self.scale * self.b[part]) @ self.a
        if self.magnitude is not None:  # DoRA, arXiv 2402.09353, equation 5
            length = np.linalg.norm(rows, axis=1, keepdims=True)
            rows *= self.magnitude[part, None] / length
        return rows


@dataclass(slots=True)
class Adapter:
    """A PEFT adapter.

    `deltas` are keyed by transformers' names of modules (without `.weight`), `replaced` by
    those of parameters (PEFT's `modules_to_save`).
    """

    deltas: dict[str, Delta] = field(default_factory=dict)
    replaced: dict[str, np.ndarray] = field(default_factory=dict)
    info: AdapterInfo = field(default_factory=AdapterInfo)
    sha256: str = ""


# Options of PEFT's LoraConfig (0.21) under which a weight plus `scale * b @ a` is what PEFT
# computes. An option that is not listed, or has another value than those listed, is refused:
# PiSSA, OLoRA, CorDA and LoftQ train on changed base weights, `layer_replication` copies layers.
_ANY = (
    "alpha_pattern auto_mapping base_model_name_or_path eva_config exclude_modules inference_mode "
    "layers_pattern layers_to_transform lora_alpha lora_dropout megatron_core modules_to_save "
    "peft_type peft_version qalora_group_size r rank_pattern revision runtime_config "
    "target_modules task_type use_dora use_rslora"
).split()
_ALLOWED: Mapping[str, tuple[object, ...]] = {
    # How A and B begin; these leave the base as it is.
    "init_lora_weights": (True, False, "gaussian", "eva", "orthogonal"),
    "bias": ("none",),
}
_LORA_KEY = re.compile(
    r"(?P<module>.+)\.lora_(?P<part>A|B|embedding_A|embedding_B|magnitude_vector)(\.weight)?$"
)


def read_adapter(folder: Path) -> Adapter:
    """The adapter in `folder`: `adapter_config.json` and `adapter_model.safetensors`.

    Covers rank and alpha patterns, rsLoRA, DoRA, embeddings and fully trained modules.
    Raises: ModelError for a missing or damaged file and for a method that is not LoRA.
    """
    weights = folder / "adapter_model.safetensors"
    for path in (weights, folder / "adapter_config.json"):
        if not path.exists():
            raise ModelError(
                f"{folder} is not an adapter: {path.name} is missing",
                "Give a folder that `trainer fit` or PEFT wrote.",
            )
    config = _read_json(folder / "adapter_config.json")
    if what := _unsupported(config):
        raise ModelError(
            f"The adapter in {folder} uses {what}, which cannot be merged",
            "Train a LoRA, rsLoRA or DoRA adapter.",
        )

    adapter = Adapter(info=read_adapter_info(folder), sha256=weights_sha256(weights))
    parts: dict[str, dict[str, np.ndarray]] = {}
    for key, array in read_safetensors(weights).items():
        name = plain_name(key)
        if match := _LORA_KEY.fullmatch(name):
            parts.setdefault(match["module"], {})[match["part"]] = array
        else:
            adapter.replaced[name] = array
    for module, arrays in parts.items():
        adapter.deltas[module] = _delta(module, arrays, config)
    return adapter


def _unsupported(config: Mapping[str, Any]) -> str:
    """What in an adapter's configuration a merge would get wrong; "" if there is nothing."""
    if (kind := config.get("peft_type")) != "LORA":
        return str(kind)
    found = []
    for key in sorted(config.keys() - set(_ANY)):
        value = config[key]
        # Null, false, {} and [] switch an option off.
        if value and value not in _ALLOWED.get(key, ()):
            found.append(f"{key} ({value})" if isinstance(value, str) else key)
    return ", ".join(found)


def _scale(module: str, rank: int, config: Mapping[str, Any]) -> float:
    """What PEFT multiplies `b @ a` by. Raises: ModelError."""
    try:
        alpha = next(
            (
                value
                for pattern, value in (config.get("alpha_pattern") or {}).items()
                if re.match(rf"(.*\.)?({pattern})$", module)
            ),  # as peft.utils.get_pattern_key
            config["lora_alpha"],
        )
        scale = float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)
        if not math.isfinite(scale):
            raise ValueError(f"a scale of {scale}")
        return scale
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, re.error) as error:
        raise ModelError(
            f"The adapter's configuration is damaged ({type(error).__name__}: {error})",
            "Copy or train it again.",
        ) from error


def _delta(module: str, arrays: dict[str, np.ndarray], config: Mapping[str, Any]) -> Delta:
    embedding = "embedding_A" in arrays
    magnitude = arrays.get("magnitude_vector")
    if embedding and magnitude is not None:
        raise ModelError(
            f"DoRA on the embedding {module} cannot be merged",
            "Leave embeddings out of target_modules, or train without DoRA.",
        )
    try:
        # PEFT stores an embedding's pair transposed: lookup(A.T) @ B.T
        a, b = (
            (arrays["embedding_B"].T, arrays["embedding_A"].T)
            if embedding
            else (arrays["A"], arrays["B"])
        )
    except KeyError as error:
        raise ModelError(
            f"The adapter lacks half of the pair for {module}",
            "The file is damaged: train or copy it again.",
        ) from error
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1]:
        raise ModelError(
            f"The adapter's pair for {module} does not fit together: {a.shape} and {b.shape}",
            "The file is damaged: train or copy it again.",
        )
    return Delta(a, b, _scale(module, a.shape[0], config), magnitude)


def plain_name(key: str) -> str:
    """transformers' name of the parameter that a key of a PEFT file belongs to."""
    for wrapper in ("base_model.model.", "base_layer.", "language_model."):
        key = key.replace(wrapper, "", 1)
    return key


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}", "Copy or train it again.") from error
