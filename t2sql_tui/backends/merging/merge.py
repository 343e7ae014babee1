"""Adapter + base weights -> one GGUF file.

A LoRA adapter is small enough to ship with the program; the base weights are not. So the
merged model is made where it is used: every weight that the adapter changes is
dequantised, gets its delta, and the file is quantised again by llama.cpp's own quantiser.
Weights that the adapter leaves alone keep their bytes where their type stays the same.
Rows are worked on in blocks, so the memory needed is that of the largest single weight.

Only names and layouts are particular to an architecture; see `layout`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np

from t2sql_tui.backends.merging.adapter import Adapter, Delta, read_adapter
from t2sql_tui.backends.merging.gguf_file import GGUFFile, Tensor, encode, write_gguf
from t2sql_tui.backends.merging.layout import Layout, open_base
from t2sql_tui.backends.merging.quantisations import check_quantisation
from t2sql_tui.backends.merging.safetensors import weights_sha256
from t2sql_tui.backends.merging.writing import float_type, whole_model, write_model
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.types import OnProgress

_BLOCK = 1 << 24  # weights dequantised at a time: 64 MiB as float32


def merge(
    base_gguf: Path,
    adapter_dir: Path,
    out: Path,
    quantisation: str = "q4_k_m",
    metadata: Mapping[str, str] | None = None,
    on_progress: OnProgress | None = None,
    any_base: bool = False,
) -> Path:
    """Writes `out`: the base with the adapter's deltas added, and returns it.

    `metadata` are further string keys of the file ("general.name", ...). The hashes of base
    and adapter, the quantisation, prompt version and chat format are always recorded under
    `t2sql.*`. `on_progress` gets (done, total) in parts of the work; an exception that it
    raises cancels the merge and leaves nothing behind. `any_base` skips the comparison of hashes.

    Needs up to twice the F16 size of the model on disk while it runs.
    Raises: ModelError.
    """
    check_quantisation(quantisation)
    base = open_base(base_gguf)
    adapter = read_adapter(adapter_dir)
    base_sha256 = _check_base(adapter, adapter_dir, base_gguf, any_base)
    texts = {
        **_provenance(adapter, base_sha256),
        **(metadata or {}),
        "t2sql.quantisation": quantisation,
    }
    values = base.values | {key: encode(text) for key, text in texts.items()}
    tensors = list(_merged(base, adapter, float_type(quantisation)))
    write_model(out, values, tensors, quantisation, on_progress)
    return out


def _check_base(
    adapter: Adapter, adapter_dir: Path, base_gguf: Path, any_base: bool = False
) -> str:
    """The base's SHA-256. Raises: ModelError when the adapter belongs to another base."""
    base_sha256 = weights_sha256(base_gguf)
    if not any_base and adapter.info.base_sha256 not in ("", base_sha256):
        raise ModelError(
            f"The adapter in {adapter_dir} was trained on other weights than {base_gguf.name} "
            f"({adapter.info.base or 'base'}, SHA-256 {adapter.info.base_sha256[:12]}..., "
            f"not {base_sha256[:12]}...)",
            "Give the base it was trained on: the measured accuracy holds for that one only.",
        )
    return base_sha256


def _provenance(adapter: Adapter, base_sha256: str) -> dict[str, str]:
    """The texts in a file's header that say what it was made from and how to prompt it."""
    texts = {
        "t2sql.prompt_version": adapter.info.prompt_version,
        "t2sql.chat_format": adapter.info.chat_format,
        "general.license": adapter.info.licence,
        "t2sql.base": adapter.info.base,
        "t2sql.base_sha256": base_sha256,
        "t2sql.adapter_sha256": adapter.sha256,
    }
    return {key: text for key, text in texts.items() if text}


def _merged(base: GGUFFile, adapter: Adapter, kind: int) -> Iterator[Tensor]:
    """The tensors of the base; those that the adapter changes as floats of type `kind`."""
    stored = dict(base.tensors)
    deltas, replaced = _in_gguf(adapter, Layout.of(base))
    # A tied head is the embedding itself: once one of the two changes, both are written.
    changed = deltas.keys() | replaced.keys()
    if "output.weight" not in stored and changed & {"token_embd.weight", "output.weight"}:
        stored["output.weight"] = stored["token_embd.weight"]
    if missing := sorted(changed - stored.keys()):
        raise ModelError(
            f"The base has no {missing[0]}, which the adapter changes",
            "Give the base that the adapter was trained on.",
        )
    for name, tensor in stored.items():
        yield _merged_tensor(name, tensor, deltas.get(name), replaced.get(name), kind)


def _in_gguf(adapter: Adapter, layout: Layout) -> tuple[dict[str, Delta], dict[str, np.ndarray]]:
    """The adapter's deltas and replaced weights under GGUF's names and in its order of rows."""
    deltas, replaced = {}, {}
    for module, delta in adapter.deltas.items():
        name = layout.name(module + ".weight")
        magnitude = delta.magnitude
        if magnitude is not None:
            magnitude = layout.rope_rows(name, magnitude)
        deltas[name] = Delta(delta.a, layout.rope_rows(name, delta.b), delta.scale, magnitude)
    for parameter, array in adapter.replaced.items():
        replaced[layout.name(parameter)] = layout.arranged(parameter, array)
    return deltas, replaced


def _merged_tensor(
    name: str, tensor: Tensor, delta: Delta | None, replaced: np.ndarray | None, kind: int
) -> Tensor:
    """`tensor` under `name`: replaced, then changed by `delta`, and then as floats of `kind`."""
    if delta is None and replaced is None:
        return replace(tensor, name=name)
    if replaced is not None:
        _check_shape(name, replaced.shape, tensor.shape)
    if delta is not None:
        _check_shape(name, (delta.b.shape[0], delta.a.shape[1]), tensor.shape)
    if len(tensor.shape) == 1 and replaced is not None:
        whole = replaced  # norms and biases stay in F32, as llama.cpp wants them
        return Tensor(name, tensor.shape, gguf.GGMLQuantizationType.F32, lambda: whole)
    dtype = np.float16 if kind == gguf.GGMLQuantizationType.F16 else np.float32
    row_count, row_length = tensor.shape

    def load() -> np.ndarray:
        merged = np.empty(tensor.shape, dtype)
        stored = tensor.load()
        step = max(1, _BLOCK // row_length)
        for start in range(0, row_count, step):
            stop = min(start + step, row_count)
            if replaced is not None:
                rows = np.array(replaced[start:stop], np.float32)
            else:
                rows = floats(stored[start:stop], tensor.type)
            merged[start:stop] = delta.apply(rows, start) if delta else rows
        return merged

    return Tensor(name, tensor.shape, kind, load)


def _check_shape(name: str, given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Raises: ModelError when what the adapter has for the tensor `name` does not fit it."""
    # GGUF files drop the rows that pad a vocabulary, so a longer embedding is fine there.
    padded = name in ("token_embd.weight", "output.weight")
    rows_fit = given[0] == wanted[0] or (padded and given[0] > wanted[0])
    if given[1:] != wanted[1:] or not rows_fit:
        raise ModelError(
            f"The adapter's {name} is for a weight of shape {given}, the base's has {wanted}",
            "Give the base that the adapter was trained on.",
        )


def floats(stored: np.ndarray, kind: int) -> np.ndarray:
    """A fresh float32 array of stored rows."""
    if kind in (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16):
        return np.array(stored, np.float32)
    return gguf.quants.dequantize(stored.view(np.uint8), gguf.GGMLQuantizationType(kind))


def lora_gguf(base_gguf: Path, adapter_dir: Path, out: Path, any_base: bool = False) -> Path:
    """Writes the unmerged adapter as a GGUF file for llama.cpp's `--lora`, and returns it.

    The scale is folded into B, so that patterns of ranks and alphas survive; the file's own
    alpha is 0, which llama.cpp reads as "unscaled" (llama-adapter.h, get_scale).
    Raises: ModelError, also for what only a merge can express (DoRA, embeddings, a head that
    the base ties to its embedding, fully trained modules).
    """
    base, adapter = open_base(base_gguf), read_adapter(adapter_dir)
    base_sha256 = _check_base(adapter, adapter_dir, base_gguf, any_base)
    deltas, replaced = _in_gguf(adapter, Layout.of(base))
    need_merging = set(replaced) | {
        name
        for name, delta in deltas.items()
        if delta.magnitude is not None or name not in base.tensors or name == "token_embd.weight"
    }
    if need_merging:
        raise ModelError(
            f"What this adapter does to {min(need_merging)} needs a merged model",
            "Export it merged.",
        )
    values = {
        "general.architecture": base.architecture,
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": 0.0,
        **_provenance(adapter, base_sha256),
    }
    tensors = [tensor for name, delta in deltas.items() for tensor in _lora_pair(name, delta)]
    with whole_model(out) as partial:
        write_gguf(partial, {key: encode(value) for key, value in values.items()}, tensors)
    return out


def _lora_pair(name: str, delta: Delta) -> tuple[Tensor, Tensor]:
    b = delta.scale * delta.b
    wide = gguf.GGMLQuantizationType.F32
    return (
        Tensor(f"{name}.lora_a", delta.a.shape, wide, lambda: delta.a),
        Tensor(f"{name}.lora_b", b.shape, wide, lambda: b),
    )
