"""The base model: found, dequantised if it is a GGUF, loaded, and fitted with an adapter."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from logging import ERROR, getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2sql_tui.core.errors import ModelError, T2SQLError
from trainer.config import Config

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Base:
    """Where the weights are (a .gguf file, a transformers folder or a hub id) and what they
    want. `sha256` is safetensors.weights_sha256 of them, "" for a hub id not yet fetched."""

    name: str
    source: str
    chat_format: str
    context: int
    sha256: str = ""
    licence: str = ""

    @property
    def is_gguf(self) -> bool:
        return self.source.endswith(".gguf")


def find_base(config: Config) -> Base:
    """The base model a config names.

    Raises: ModelError if its weights are not here, or no chat format is known for it.
    """
    from t2sql_tui.core.models.catalog import find_model, load_catalog

    name = config.base
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file():
        return _transformers_base(name, str(folder), config)
    if "/" in name and not name.endswith(".gguf") and not folder.exists():
        return _transformers_base(name, name, config)
    spec = find_model(name)
    if spec.path is None:
        raise ModelError(
            f"The weights of {spec.name} are not on this machine.",
            f"Fetch them: t2sql-tui models pull {spec.name}",
        )
    in_catalog = spec.name in load_catalog()
    return Base(
        name=spec.name,
        source=str(spec.path),
        chat_format=config.chat_format or spec.chat_format,
        context=spec.context,
        sha256=spec.sha256 if in_catalog else _sha256(spec.path),
        licence=spec.licence,
    )


# By transformers' model type, for folders and hub ids that are in no catalog.
_CHAT_FORMATS = {
    "qwen2": "chatml",
    "qwen3": "chatml",
    "phi3": "phi3",
    "mistral": "mistral",
    "gemma3_text": "gemma",
    "gemma3": "gemma",
}


def _transformers_base(name: str, source: str, config: Config) -> Base:
    from transformers import AutoConfig

    try:
        model_config = AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{source} is no transformers model that can be had here: {_first_line(error)}",
            "Give a folder with config.json, a hub id, a .gguf file or a catalog name.",
        ) from None
    chat_format = config.chat_format or _CHAT_FORMATS.get(model_config.model_type, "")
    if not chat_format:
        raise ModelError(
            f"No chat format is known for a base model of the kind {model_config.model_type}.",
            "Name one: --chat-format chatml (or phi3, gemma, mistral).",
        )
    return Base(
        name=name,
        source=source,
        chat_format=chat_format,
        context=getattr(model_config, "max_position_embeddings", 8192),
        sha256=_sha256(Path(source)) if Path(source).is_dir() else "",
    )


def _sha256(path: Path) -> str:
    from t2sql_tui.backends.merging.safetensors import weights_sha256

    return weights_sha256(path)


# --- loading ------------------------------------------------------------------------


def cache_folder() -> Path:
    """Where the trainer keeps what it can make again; T2SQL_CACHE overrides the system's."""
    import platformdirs

    named = os.environ.get("T2SQL_CACHE")
    return (Path(named) if named else Path(platformdirs.user_cache_dir("t2sql-tui"))) / "trainer"


def transformers_folder(base: Base) -> str:
    """The base as transformers reads it; a GGUF is dequantised to bfloat16 once, in 40 s for
    the 0.5B, into the cache."""
    if not base.is_gguf:
        return base.source
    from t2sql_tui.backends import peft

    cache, gguf = cache_folder() / "base", Path(base.source)
    try:
        return str(peft.transformers_folder(gguf, cache))
    except (ValueError, KeyError, NotImplementedError) as error:
        raise ModelError(
            f"transformers cannot read {gguf.name}: {_first_line(error)}",
            "Give the original weights as a transformers folder or hub id instead.",
        ) from error
    except OSError as error:
        if is_disk_error(error):
            raise disk_error(cache, error) from error
        raise


def load_tokenizer(base: Base) -> PreTrainedTokenizerBase:
    from t2sql_tui.backends import peft

    return peft.load_tokenizer(transformers_folder(base))


def token_ids(tokenizer, text: str) -> tuple[int, ...]:
    """`text` as ids, markers read as control tokens and nothing added, as everywhere."""
    return tuple(tokenizer.encode(text, add_special_tokens=False))


def load_model(base: Base, config: Config, *, attention: str = "") -> PreTrainedModel:
    """The base model, on the GPU if there is one, with packed attention unless another is
    named. Frozen weights are bfloat16; a full fine-tune keeps float32 and autocasts.

    Raises: ModelError for a 4-bit recipe without a GPU.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    from trainer import packing

    packing.register()
    logging.disable_progress_bar()
    # What two libraries say of each other's insides is no news to a person who trains.
    getLogger("bitsandbytes").setLevel(ERROR)
    warnings.filterwarnings("ignore", ".*is_gradient_checkpointing.*", FutureWarning)
    options: dict[str, Any] = {"attn_implementation": attention or packing.ATTENTION}
    options["dtype"] = torch.bfloat16 if config.bf16 and config.method != "full" else torch.float32
    if config.method == "qlora":
        if not torch.cuda.is_available():
            raise ModelError(
                "This recipe trains over 4-bit weights, which needs a CUDA GPU.",
                "There is none here: use --method lora, and a smaller --base.",
            )
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    if torch.cuda.is_available():
        options["device_map"] = {"": int(os.environ.get("LOCAL_RANK", 0))}
    model = AutoModelForCausalLM.from_pretrained(transformers_folder(base), **options)
    # Sampling settings of the base would be warned about at every greedy answer.
    model.generation_config.update(
        do_sample=False, temperature=None, top_p=None, top_k=None, repetition_penalty=None
    )
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model


# --- the adapter --------------------------------------------------------------------

_ATTENTION_NAMES = {"q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj"}


def add_adapter(model: PreTrainedModel, config: Config):
    """`model` with a trainable adapter, fresh or that of `config.start`; or itself, all of it
    trainable.

    Raises: ModelError if no layer has a name that `targets` asks for, or the adapter to start
    from is another kind.
    """
    if config.method == "full":
        return model
    from peft import LoraConfig, get_peft_model

    targets: Any = list(config.targets)
    if targets == ["all-linear"]:
        targets = "all-linear"
    elif targets == ["attention"]:
        leaves = {name.rpartition(".")[2] for name, _ in model.named_modules()}
        targets = sorted(leaves & _ATTENTION_NAMES)
    try:
        adapted = get_peft_model(
            model,
            LoraConfig(
                r=config.rank,
                lora_alpha=config.alpha,
                lora_dropout=config.dropout,
                target_modules=targets,
                use_rslora=config.rslora,
                use_dora=config.dora,
                task_type="CAUSAL_LM",
            ),
        )
    except ValueError as error:
        raise ModelError(
            f"No adapter fits: {_first_line(error)}",
            "--targets takes all-linear, attention, or names of the model's layers.",
        ) from error
    if start := find_start(config):
        _load_weights(adapted, start, config)
    if config.method == "qlora" or config.gradient_checkpointing:
        adapted.enable_input_require_grads()
    if config.fused:
        fuse(adapted)
    return adapted


def find_start(config: Config) -> Path | None:
    """The folder of the adapter that training goes on from. Raises: ModelError."""
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


def _load_weights(adapted, folder: Path, config: Config) -> None:
    """Gives the fresh adapter the weights of the one in `folder`."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    from t2sql_tui.core.models.adapter_info import read_adapter_info

    try:
        kept = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        weights = load_file(folder / "adapter_model.safetensors")
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The adapter in {folder} cannot be read: {_first_line(error)}",
            "Name another --start.",
        ) from error
    own = adapted.peft_config["default"]
    here = (own.r, own.lora_alpha, own.use_rslora, own.use_dora, sorted(own.target_modules))
    there = (
        kept["r"],
        kept["lora_alpha"],
        kept["use_rslora"],
        kept["use_dora"],
        sorted(kept["target_modules"]),
    )
    base = read_adapter_info(folder).base_sha256
    if here != there or (base and base != find_base(config).sha256):
        raise ModelError(
            f"The adapter in {folder} is another than the one to be trained.",
            f"It has rank {kept['r']}, alpha {kept['lora_alpha']}, targets "
            f"{', '.join(sorted(kept['target_modules']))}; and --base must be the one it is of.",
        )
    set_peft_model_state_dict(adapted, weights)


def fuse(model) -> int:
    """Gives every plain LoRA layer under `model` the forward pass below; how many there were.

    PEFT widens a layer's input to float32, which autocast narrows again, and autograd keeps
    both. Here the input is kept once, whatever the layers that share it, and the adapter's
    share of each gradient is added in place.
    """
    from peft.tuners.lora import Linear

    layers = [
        module
        for module in model.modules()
        if type(module) is Linear and not module.lora_variant and not _dropout(module)
    ]
    for layer in layers:
        layer.forward = _fused_forward(layer, layer.forward)
    return len(layers)


def _dropout(layer) -> float:
    return max(getattr(drop, "p", 0.0) for drop in layer.lora_dropout.values())


def _fused_forward(layer, plain):
    function = _lora_function()

    def forward(x: torch.Tensor, *args, **kwargs) -> torch.Tensor:
        if layer.disable_adapters or layer.merged or len(layer.active_adapters) != 1 or kwargs:
            return plain(x, *args, **kwargs)
        name = layer.active_adapters[0]
        base = layer.get_base_layer()
        return function.apply(
            x,
            base.weight,
            base.bias,
            layer.lora_A[name].weight,
            layer.lora_B[name].weight,
            layer.scaling[name],
        )

    return forward


def _lora_function():
    import torch
    from torch.nn.functional import linear

    class LoraLinear(torch.autograd.Function):
        """y = x W' + b + scale (x A') B' with W and b frozen; computed in W's type, with A
        and B narrowed to it and their gradients widened back."""

        @staticmethod
        def forward(ctx, x, weight, bias, a, b, scale):
            kind = weight.dtype
            flat = x.reshape(-1, x.shape[-1]).to(kind)
            low = linear(flat, a.to(kind))
            out = linear(flat, weight, bias)
            out.addmm_(low, b.to(kind).t(), alpha=scale)
            ctx.save_for_backward(flat, weight, a, b)
            ctx.scale, ctx.shape = scale, x.shape
            return out.view(*x.shape[:-1], -1)

        @staticmethod
        def backward(ctx, grad):
            flat, weight, a, b = ctx.saved_tensors
            kind = weight.dtype
            grad = grad.reshape(-1, grad.shape[-1]).to(kind)
            small = (grad @ b.to(kind)).mul_(ctx.scale)
            grad_x = None
            if ctx.needs_input_grad[0]:
                grad_x = (grad @ weight).addmm_(small, a.to(kind)).view(ctx.shape)
            grad_a = (small.t() @ flat).to(a.dtype)
            # x A' is made again: two per cent of the work, and nothing more to keep
            grad_b = (grad.t() @ linear(flat, a.to(kind))).mul_(ctx.scale).to(b.dtype)
            return grad_x, None, None, grad_a, grad_b, None

    return LoraLinear


# --- small things that several parts need -------------------------------------------


@contextmanager
def whole_folder(target: Path):
    """A folder to write into that becomes `target` when all is written and synced; after an
    error nothing is left, and an older `target` is as it was.

    Raises: T2SQLError when the disk is full.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        yield part
        sync(part)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if is_disk_error(error):
            raise disk_error(target, error) from error
        raise
    swap_in(part, target)


def swap_in(part: Path, target: Path) -> None:
    """Renames a finished folder to `target`, in place of an older one."""
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    if target.exists():
        target.rename(old)
    part.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def sync(folder: Path) -> None:
    """Has every file of a folder on the disk, not only on its way there."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def is_disk_error(error: BaseException) -> bool:
    """torch and safetensors tell a full disk by the text of errors of their own."""
    text = str(error)
    return isinstance(error, OSError) or "No space left" in text or "unexpected pos" in text


def disk_error(target: Path, error: BaseException) -> T2SQLError:
    return T2SQLError(
        f"{target} could not be written: {getattr(error, 'strerror', None) or error}.",
        "Nothing half-written was left and what was saved before is whole. Free some space, "
        "then go on with --resume.",
    )


def write_json(path: Path, value: Any) -> None:
    """Writes, syncs, then renames: readers see the old file or the new, never half of one."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(value, file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise disk_error(path, error) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
