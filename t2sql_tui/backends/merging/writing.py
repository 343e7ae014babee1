"""Writing a model as a GGUF file, quantised by llama.cpp's own quantiser."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf

from t2sql_tui.backends.llama import library, log_sent_to
from t2sql_tui.backends.merging.gguf_file import GGUFFile, Tensor, write_gguf
from t2sql_tui.backends.merging.quantisations import QUANTISATIONS, check_quantisation
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.files import whole_file
from t2sql_tui.core.types import OnProgress

_STEPS = 1000  # of progress, for each of the two halves of the work

# Small and precious, or looked up rather than multiplied: these keep what Q4_K_M gives them.
_KEPT = re.compile(r"(blk\.\d+\.attn_v|token_embd|output)\.weight")


def float_type(quantisation: str) -> int:
    """The GGML type in which changed weights are handed to the quantiser."""
    types = gguf.GGMLQuantizationType
    return types.BF16 if quantisation == "bf16" else types.F16


@contextmanager
def whole_model(out: Path) -> Iterator[Path]:
    """`files.whole_file`, whose errors are for a person: a full disk becomes a ModelError."""
    try:
        with whole_file(out) as partial:
            yield partial
    except OSError as error:
        raise ModelError(
            f"Could not write {out}: {error.strerror or error}",
            "Free some room (about three times the model's size), or choose another folder.",
        ) from error


def write_model(
    out: Path,
    values: Mapping[str, bytes],
    tensors: list[Tensor],
    quantisation: str,
    on_progress: OnProgress | None = None,
) -> None:
    """Writes the tensors in floats and quantises them; `out` appears when it is complete.

    `values` are those of the header, see `gguf_file.write_gguf`. Raises: ModelError.
    """

    def report(half: int) -> OnProgress | None:
        """Progress within one of the two halves as progress of the whole."""
        if on_progress is None:
            return None
        whole: OnProgress = on_progress
        return lambda done, total: whole(_STEPS * half + _STEPS * done // total, 2 * _STEPS)

    with whole_model(out) as partial:
        wide = partial.with_name(partial.name + ".float")
        try:
            write_gguf(wide, values, tensors, report(0))
            quantise(wide, partial, quantisation, report(1))
        finally:
            wide.unlink(missing_ok=True)


def quantise(
    source: Path, out: Path, quantisation: str, on_progress: OnProgress | None = None
) -> None:
    """Has llama.cpp quantise the GGUF file `source` to `out`.

    Weights that have the wanted type already are copied unchanged; those whose rows do not
    fill its blocks get the nearest type that fits. `on_progress` gets (tensors done, tensors
    in all). Raises: ModelError.
    """
    check_quantisation(quantisation)
    llama = library()
    params = llama.llama_model_quantize_default_params()
    params.ftype = QUANTISATIONS[quantisation]
    params.allow_requantize = True
    params.nthread = os.cpu_count() or 1
    if quantisation == "q4_mix":
        overrides = _q4_0_overrides(source)  # params holds no reference of its own
        params.tt_overrides = overrides
    failures: list[str] = []

    def listen(line: str) -> None:
        if on_progress and (match := re.match(r"\[ *(\d+)/ *(\d+)\]", line)):
            on_progress(int(match[1]), int(match[2]))
        elif "failed" in line:
            failures.append(line.strip())

    with log_sent_to(listen):
        code = llama.llama_model_quantize(os.fsencode(source), os.fsencode(out), params)
    if code != 0:
        reason = f": {failures[-1]}" if failures else ""
        raise ModelError(
            f"llama.cpp could not quantise to {quantisation}{reason}",
            "Check that the disk has room, or choose another quantisation.",
        )


def _q4_0_overrides(source: Path) -> Any:
    """llama.cpp's null-terminated array of (pattern, type) that quantises to Q4_0 every matrix
    whose rows do not fill the blocks of a K-quant."""
    names = [
        name
        for name, tensor in GGUFFile(source).tensors.items()
        if len(tensor.shape) == 2 and tensor.shape[1] % 256 and not _KEPT.fullmatch(name)
    ]
    overrides = (library().llama_model_tensor_override * (len(names) + 1))()
    for override, name in zip(overrides, names, strict=False):  # the last one stays null
        override.pattern = re.escape(name).encode()
        override.type = int(gguf.GGMLQuantizationType.Q4_0)
    return overrides
