"""Adapter + base weights -> one GGUF file, on the user's own machine and without torch.

A LoRA adapter is small enough to ship with the program; the base weights are not. So the
merged model is made where it is used: every weight that the adapter touches is
dequantised, gets its delta, and the file is quantised again by llama.cpp's own quantiser.
Weights that the adapter leaves alone keep their bytes where their type stays the same.
Rows are worked on in blocks, so the memory needed is that of the largest single weight.

Only names and layouts are particular to an architecture: `ARCHITECTURES` says which are
known, and `rope_rows` undoes the one difference in layout (llama's query and key rows).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2sql_tui.backends.gguf_file import GGUFFile, OnProgress, Tensor, encode, write_gguf
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.catalog import AdapterInfo, read_adapter_info

if TYPE_CHECKING:
    import numpy as np

# llama.cpp's enum llama_ftype (include/llama.h). "q4_mix" is Q4_K_M but for one thing: rows
# that do not fill K-quants' blocks of 256 become Q4_0, not the Q5_0 that llama.cpp falls back
# to and has no fast kernel for. On the 0.5B (rows of 896) that decodes 1.5 times as fast.
QUANTISATIONS = {
    "f16": 1,
    "bf16": 32,
    "q8_0": 7,
    "q6_k": 18,
    "q5_k_m": 17,
    "q4_k_m": 15,
    "q4_mix": 15,
    "q4_0": 2,
}

# GGUF architectures whose tensors are those of transformers but for their names
# (and, in "llama", which mistral and SmolLM share, the order of query and key rows).
ARCHITECTURES = ("qwen2", "qwen3", "llama", "phi3", "gemma3")

_BLOCK = 1 << 24  # weights dequantised at a time: 64 MiB as float32


# --- reading safetensors and PEFT adapters ----------------------------------------


def weights_sha256(path: Path) -> str:
    """The hash that names base weights: of a file its SHA-256; of a transformers folder the
    SHA-256 over the names and SHA-256s of its `*.safetensors`, in order of their names."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    shards = sorted(path.glob("*.safetensors"))
    if not shards:
        raise ModelError(f"{path} holds no weights", "Give a .gguf file or a transformers folder.")
    lines = "".join(f"{shard.name} {weights_sha256(shard)}\n" for shard in shards)
    return hashlib.sha256(lines.encode()).hexdigest()


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Names to float32 (or integer) arrays, each a view into the mapped file until it has to
    be widened from bf16 or f16. Format: https://github.com/huggingface/safetensors#format

    Raises: ModelError when the file is cut short or holds a type not meant for weights.
    """
    return {name: widen(raw) for name, raw in map_safetensors(path).items()}


def map_safetensors(path: Path) -> dict[str, np.ndarray]:
    """As `read_safetensors`, but nothing is read yet: bf16 comes as uint16, see `widen`."""
    import numpy as np

    dtypes = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}
    try:
        file = np.memmap(path, dtype=np.uint8, mode="r")
        length = int.from_bytes(file[:8].tobytes(), "little")
        header = json.loads(file[8 : 8 + length].tobytes())
        header.pop("__metadata__", None)
        arrays = {}
        for name, entry in header.items():
            start, end = (8 + length + offset for offset in entry["data_offsets"])
            dtype = dtypes[entry["dtype"]]
            arrays[name] = file[start:end].view(dtype).reshape(entry["shape"])
        return arrays
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{path} is not a whole safetensors file: {error}", "Copy or train it again."
        ) from error


def widen(array: np.ndarray) -> np.ndarray:
    """float32 of a raw array of `map_safetensors`; uint16 is bf16's bits."""
    import numpy as np

    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32, copy=False)


@dataclass(slots=True)
class Delta:
    """What a LoRA adds to one weight of shape (out, in): `scale * b @ a`.

    `a` is (rank, in), `b` is (out, rank). `magnitude` is DoRA's row length (out,), or None.
    """

    a: np.ndarray
    b: np.ndarray
    scale: float
    magnitude: np.ndarray | None = None

    def apply(self, rows: np.ndarray, start: int) -> np.ndarray:
        """`rows` (n, in) of the weight from row `start` on, with the delta; in place."""
        import numpy as np

        part = slice(start, start + len(rows))
        rows += (self.scale * self.b[part]) @ self.a
        if self.magnitude is not None:  # DoRA, arXiv 2402.09353, equation 5
            length = np.linalg.norm(rows, axis=1, keepdims=True)
            rows *= self.magnitude[part, None] / length
        return rows


@dataclass(slots=True)
class Adapter:
    """A PEFT adapter. `deltas` and `replaced` are keyed by transformers' names, of modules
    (without `.weight`) and of parameters (`modules_to_save`)."""

    deltas: dict[str, Delta] = field(default_factory=dict)
    replaced: dict[str, np.ndarray] = field(default_factory=dict)
    info: AdapterInfo = field(default_factory=AdapterInfo)
    sha256: str = ""


_LORA_KEY = re.compile(
    r"(?P<module>.+)\.lora_(?P<part>A|B|embedding_A|embedding_B|magnitude_vector)(\.weight)?$"
)


def read_adapter(folder: Path) -> Adapter:
    """Reads `adapter_config.json` and `adapter_model.safetensors` as PEFT saves them.

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
    unsupported = [
        key
        for key in ("lora_bias", "fan_in_fan_out", "ensure_weight_tying", "trainable_token_indices")
        if config.get(key)
    ]
    if config.get("peft_type") != "LORA" or unsupported:
        what = ", ".join(unsupported) or config.get("peft_type")
        raise ModelError(
            f"The adapter in {folder} uses {what}, which cannot be merged",
            "Train a LoRA, rsLoRA or DoRA adapter.",
        )

    adapter = Adapter(info=read_adapter_info(folder), sha256=weights_sha256(weights))
    parts: dict[str, dict[str, np.ndarray]] = {}
    for key, array in read_safetensors(weights).items():
        name = _plain_name(key)
        if match := _LORA_KEY.fullmatch(name):
            parts.setdefault(match["module"], {})[match["part"]] = array
        else:
            adapter.replaced[name] = array
    for module, arrays in parts.items():
        adapter.deltas[module] = _delta(module, arrays, config)
    return adapter


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
    rank = a.shape[0]
    alpha = next(
        (
            value
            for pattern, value in (config.get("alpha_pattern") or {}).items()
            if re.match(rf"(.*\.)?({pattern})$", module)
        ),  # as peft.utils.get_pattern_key
        config["lora_alpha"],
    )
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    return Delta(a, b, scale, magnitude)


def _plain_name(key: str) -> str:
    """transformers' name of the parameter behind a key of a PEFT file."""
    for wrapper in ("base_model.model.", "base_layer.", "language_model."):
        key = key.replace(wrapper, "", 1)
    return key


# --- transformers' weights in a GGUF: names, order of rows ----------------------------------------


def open_base(path: Path) -> GGUFFile:
    """A GGUF file of an architecture that can be merged. Raises: ModelError."""
    base = GGUFFile(path)
    if base.architecture not in ARCHITECTURES:
        raise ModelError(
            f"Merging is not known to be right for the architecture {base.architecture!r}",
            f"Known are: {', '.join(ARCHITECTURES)}.",
        )
    return base


@contextmanager
def whole_file(out: Path) -> Iterator[Path]:
    """A path to write to, which becomes `out` only if all goes well.

    A full disk or another OSError becomes a ModelError; nothing half-written stays.
    """
    partial = out.with_name(f".{out.name}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, out)
    except OSError as error:
        raise ModelError(
            f"Could not write {out}: {error.strerror or error}",
            "Free some room (about three times the model's size), or choose another folder.",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


class Layout:
    """How transformers' parameters of one model are called and ordered in its GGUF."""

    def __init__(self, architecture: str, blocks: int, heads: int, kv_heads: int) -> None:
        import gguf

        known = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
        self.architecture = architecture
        self._names = gguf.get_tensor_name_map(known[architecture], blocks)
        self._heads = {"attn_q": heads, "attn_k": kv_heads}

    @classmethod
    def of(cls, base: GGUFFile) -> Layout:
        name = base.architecture
        heads = base.get(f"{name}.attention.head_count")
        kv_heads = base.get(f"{name}.attention.head_count_kv", heads)
        return cls(name, base.get(f"{name}.block_count"), heads, kv_heads)

    def name(self, parameter: str) -> str:
        """`model.layers.0.self_attn.q_proj.weight` -> `blk.0.attn_q.weight`. Raises: ModelError."""
        name = self._names.get_name(_plain_name(parameter), try_suffixes=(".weight", ".bias"))
        if name is None:
            raise ModelError(
                f"A {self.architecture} model has no weight called {parameter}",
                "The weights belong to a model of another architecture.",
            )
        return name

    def rope_rows(self, name: str, array: np.ndarray) -> np.ndarray:
        """The rows of `array` in GGUF's order; `name` is the tensor's in GGUF.

        llama.cpp rotates neighbouring pairs of rows in the "llama" architecture, while
        transformers rotates row i with row i + head/2: the rows of a head are interleaved
        (llama.cpp, convert_hf_to_gguf.py, LlamaModel.permute). Other tensors pass through.
        """
        heads = self._heads.get(name.split(".")[-2]) if self.architecture == "llama" else None
        if heads is None:
            return array
        halves = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:])
        return halves.swapaxes(1, 2).reshape(array.shape)

    def arranged(self, parameter: str, array: np.ndarray) -> np.ndarray:
        """A whole parameter as GGUF holds it."""
        if self.architecture == "gemma3" and parameter.endswith("norm.weight"):
            return array + 1  # transformers multiplies by 1 + weight, llama.cpp by the weight
        return self.rope_rows(self.name(parameter), array)


# --- merging ----------------------------------------------------------------------


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
            "Give the base it was trained on: the accuracy measured holds for that one alone.",
        )
    return base_sha256


def _provenance(adapter: Adapter, base_sha256: str) -> dict[str, str]:
    """What a file says of where it comes from and how it wants to be asked."""
    texts = {
        "t2sql.prompt_version": adapter.info.prompt_version,
        "t2sql.chat_format": adapter.info.chat_format,
        "general.license": adapter.info.licence,
        "t2sql.base": adapter.info.base,
        "t2sql.base_sha256": base_sha256,
        "t2sql.adapter_sha256": adapter.sha256,
    }
    return {key: text for key, text in texts.items() if text}


def float_type(quantisation: str) -> int:
    """The GGML type in which changed weights are handed to the quantiser."""
    import gguf

    types = gguf.GGMLQuantizationType
    return types.BF16 if quantisation == "bf16" else types.F16


def check_quantisation(quantisation: str) -> None:
    if quantisation not in QUANTISATIONS:
        raise ModelError(
            f"No quantisation is called {quantisation!r}",
            f"Choose one of: {', '.join(QUANTISATIONS)}.",
        )


def _merged(base: GGUFFile, adapter: Adapter, kind: int) -> Iterator[Tensor]:
    """The base's tensors, those that the adapter changes as floats of type `kind`."""
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
    import gguf
    import numpy as np

    shape = tensor.shape
    if delta is None and replaced is None:
        return replace(tensor, name=name)
    # GGUF files drop the rows that pad a vocabulary, so a longer embedding is fine there.
    padded = name in ("token_embd.weight", "output.weight")
    for given in ((replaced.shape,) if replaced is not None else ()) + (
        ((delta.b.shape[0], delta.a.shape[1]),) if delta else ()
    ):
        if given[1:] != shape[1:] or given[0] < shape[0] or (given[0] > shape[0] and not padded):
            raise ModelError(
                f"The adapter's {name} is for a weight of shape {given}, the base's has {shape}",
                "Give the base that the adapter was trained on.",
            )
    if len(shape) == 1:  # norms and biases stay in F32, as llama.cpp wants them
        return Tensor(name, shape, gguf.GGMLQuantizationType.F32, lambda: replaced)

    dtype = np.float16 if kind == gguf.GGMLQuantizationType.F16 else np.float32

    def load() -> np.ndarray:
        merged = np.empty(shape, dtype)
        stored = tensor.load()
        step = max(1, _BLOCK // shape[1])
        for start in range(0, shape[0], step):
            stop = min(start + step, shape[0])
            if replaced is not None:
                rows = np.array(replaced[start:stop], np.float32)
            else:
                rows = floats(stored[start:stop], tensor.type)
            merged[start:stop] = delta.apply(rows, start) if delta else rows
        return merged

    return Tensor(name, shape, kind, load)


def floats(stored: np.ndarray, kind: int) -> np.ndarray:
    """A fresh float32 array of stored rows."""
    import gguf
    import numpy as np

    if kind in (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16):
        return np.array(stored, np.float32)
    return gguf.quants.dequantize(stored.view(np.uint8), gguf.GGMLQuantizationType(kind))


def lora_gguf(base_gguf: Path, adapter_dir: Path, out: Path, any_base: bool = False) -> Path:
    """Writes the adapter alone as a GGUF file for llama.cpp's `--lora`, and returns it.

    The scale is folded into B, so that patterns of ranks and alphas survive; the file's own
    alpha is 0, which llama.cpp reads as "as it is" (llama-adapter.h, get_scale).
    Raises: ModelError, also for what only a merge can express (DoRA, embeddings, a head that
    the base ties to its embedding, fully trained modules).
    """
    import gguf

    base, adapter = open_base(base_gguf), read_adapter(adapter_dir)
    base_sha256 = _check_base(adapter, adapter_dir, base_gguf, any_base)
    deltas, replaced = _in_gguf(adapter, Layout.of(base))
    apart = set(replaced) | {
        name
        for name, delta in deltas.items()
        if delta.magnitude is not None or name not in base.tensors or name == "token_embd.weight"
    }
    if apart:
        raise ModelError(
            f"What this adapter does to {sorted(apart)[0]} needs a merged model",
            "Export it merged.",
        )
    values = {
        "general.architecture": base.architecture,
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": 0.0,
        **_provenance(adapter, base_sha256),
    }
    wide = gguf.GGMLQuantizationType.F32
    tensors = []
    for name, delta in deltas.items():
        b = delta.scale * delta.b
        tensors += [
            Tensor(f"{name}.lora_a", delta.a.shape, wide, lambda a=delta.a: a),
            Tensor(f"{name}.lora_b", b.shape, wide, lambda b=b: b),
        ]
    with whole_file(out) as partial:
        write_gguf(partial, {key: encode(value) for key, value in values.items()}, tensors)
    return out


def write_model(
    out: Path,
    values: Mapping[str, bytes],
    tensors: list[Tensor],
    quantisation: str,
    on_progress: OnProgress | None = None,
) -> None:
    """Writes the tensors and has llama.cpp quantise them; `out` appears when it is whole."""
    steps = 1000

    def report(half: int) -> OnProgress | None:
        return on_progress and (
            lambda done, total: on_progress(steps * half + steps * done // total, 2 * steps)
        )

    with whole_file(out) as partial:
        wide = partial.with_suffix(".float")
        try:
            write_gguf(wide, values, tensors, report(0))
            quantise(wide, partial, quantisation, report(1))
        finally:
            wide.unlink(missing_ok=True)


def quantise(
    source: Path, out: Path, quantisation: str, on_progress: OnProgress | None = None
) -> None:
    """llama.cpp's own quantiser. Weights of the wanted type already are copied unchanged;
    those whose rows do not fill its blocks get the nearest type that fits.

    `on_progress` gets (tensors done, tensors in all). Raises: ModelError.
    """
    import llama_cpp

    check_quantisation(quantisation)
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = QUANTISATIONS[quantisation]
    params.allow_requantize = True
    params.nthread = os.cpu_count() or 1
    if quantisation == "q4_mix":
        overrides = _fast_rows(source)  # params holds no reference of its own
        params.tt_overrides = overrides
    said: list[str] = []

    def listen(line: str) -> None:
        if on_progress and (match := re.match(r"\[ *(\d+)/ *(\d+)\]", line)):
            on_progress(int(match[1]), int(match[2]))
        elif "failed" in line:
            said.append(line.strip())

    with _llama_log(listen):
        code = llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(out), params)
    if code != 0:
        reason = f": {said[-1]}" if said else ""
        raise ModelError(
            f"llama.cpp could not quantise to {quantisation}{reason}",
            "Check that the disk has room, or choose another quantisation.",
        )


# Small and precious, or looked up rather than multiplied: these keep what Q4_K_M gives them.
_KEPT = re.compile(r"(blk\.\d+\.attn_v|token_embd|output)\.weight")


def _fast_rows(source: Path) -> Any:
    """Q4_0 for every matrix whose rows do not fill a K-quant's blocks, as llama.cpp's
    null-terminated array of (pattern, type)."""
    import gguf
    import llama_cpp

    names = [
        name
        for name, tensor in GGUFFile(source).tensors.items()
        if len(tensor.shape) == 2 and tensor.shape[1] % 256 and not _KEPT.fullmatch(name)
    ]
    overrides = (llama_cpp.llama_model_tensor_override * (len(names) + 1))()
    for override, name in zip(overrides, names):
        override.pattern = re.escape(name).encode()
        override.type = int(gguf.GGMLQuantizationType.Q4_0)
    return overrides


@contextmanager
def _llama_log(listen: Callable[[str], None]) -> Iterator[None]:
    """Sends llama.cpp's log to `listen` instead of stderr, where it would paint over a screen.

    An exception from `listen` cannot pass through C: it is raised when the block ends.
    """
    import ctypes

    import llama_cpp

    raised: list[BaseException] = []

    @llama_cpp.llama_log_callback
    def callback(level: int, text: bytes, user_data: Any) -> None:
        try:
            if not raised:
                listen(text.decode(errors="replace"))
        except BaseException as error:
            raised.append(error)

    before, data = llama_cpp.llama_log_callback(), ctypes.c_void_p()
    llama_cpp.llama_log_get(ctypes.byref(before), ctypes.byref(data))
    llama_cpp.llama_log_set(callback, None)
    try:
        yield
    finally:
        llama_cpp.llama_log_set(before, data)
    if raised:
        raise raised[0]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}", "Copy or train it again.") from error
