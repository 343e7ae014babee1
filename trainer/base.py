"""The base model: found, dequantised if it is a GGUF file, and loaded."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from logging import ERROR, getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2sql_tui.backends import peft
from t2sql_tui.backends.merging.safetensors import weights_sha256
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.catalog import find_model, load_catalog
from t2sql_tui.core.prompting.chat import find_format
from trainer import packing
from trainer.config import Config
from trainer.files import cache_folder, disk_error, is_disk_error

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Base:
    """A base model: where its weights are, and the prompts it takes.

    `source` is a .gguf file, a transformers folder or a hub id; `sha256` the weights_sha256 of
    it, "" for a hub id not yet fetched; `context` its context length in tokens.
    """

    name: str
    source: str
    chat_format: str
    context: int
    sha256: str = ""
    licence: str = ""

    @property
    def is_gguf(self) -> bool:
        """Whether the weights are a GGUF file."""
        return self.source.endswith(".gguf")

    @property
    def end_marker(self) -> str:
        """The text that ends an answer in this model's chat format."""
        form = find_format(self.chat_format)
        return form.end if form else ""


def find_base(config: Config) -> Base:
    """The base model that a config names.

    Raises: ModelError if its weights are not here, or no chat format is known for it.
    """
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
        sha256=spec.sha256 if in_catalog else weights_sha256(spec.path),
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
    from transformers import AutoConfig  # takes seconds to import

    try:
        model_config = AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{source} is not a transformers model that can be loaded here: {first_line(error)}",
            "Give a folder with config.json, a hub id, a .gguf file or a catalog name.",
        ) from None
    chat_format = config.chat_format or _CHAT_FORMATS.get(model_config.model_type, "")
    if not chat_format:
        raise ModelError(
            f"No chat format is known for base models of the type {model_config.model_type}.",
            "Name one: --chat-format chatml (or phi3, gemma, mistral).",
        )
    return Base(
        name=name,
        source=source,
        chat_format=chat_format,
        context=getattr(model_config, "max_position_embeddings", 8192),
        sha256=weights_sha256(Path(source)) if Path(source).is_dir() else "",
    )


# --- loading ------------------------------------------------------------------------


def transformers_folder(base: Base) -> str:
    """The folder or hub id from which transformers loads the base.

    A GGUF file is dequantised to bfloat16 once, into the cache: 40 s for the 0.5B.
    Raises: ModelError for a GGUF file that transformers cannot read.
    """
    if not base.is_gguf:
        return base.source
    cache, gguf = cache_folder() / "base", Path(base.source)
    try:
        return str(peft.transformers_folder(gguf, cache))
    except (ValueError, KeyError, NotImplementedError) as error:
        raise ModelError(
            f"transformers cannot read {gguf.name}: {first_line(error)}",
            "Give the original weights as a transformers folder or hub id instead.",
        ) from error
    except OSError as error:
        if is_disk_error(error):
            raise disk_error(cache, error) from error
        raise


def load_tokenizer(base: Base) -> PreTrainedTokenizerBase:
    """The tokenizer of the base model."""
    return peft.load_tokenizer(transformers_folder(base))


def token_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    """The token ids of `text`: chat markers as control tokens, no BOS added."""
    return tuple(tokenizer.encode(text, add_special_tokens=False))


def load_model(base: Base, config: Config, *, attention: str = "") -> PreTrainedModel:
    """The base model, on the GPU if there is one, with packed attention unless another is named.

    Frozen weights are bfloat16; full fine-tuning keeps float32 and autocasts.
    Raises: ModelError for 4-bit training without a GPU.
    """
    import torch  # takes seconds to import
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    packing.register()
    logging.disable_progress_bar()
    # Warnings of one library about the inside of another, which a person cannot act on.
    getLogger("bitsandbytes").setLevel(ERROR)
    warnings.filterwarnings("ignore", ".*is_gradient_checkpointing.*", FutureWarning)
    options: dict[str, Any] = {
        "attn_implementation": attention or packing.ATTENTION,
        "dtype": torch.bfloat16 if config.bf16 and config.method != "full" else torch.float32,
    }
    if config.method == "qlora":
        options["quantization_config"] = _four_bit()
    if torch.cuda.is_available():
        options["device_map"] = {"": int(os.environ.get("LOCAL_RANK", 0))}
    model = AutoModelForCausalLM.from_pretrained(transformers_folder(base), **options)
    # transformers warns about the base's sampling settings at every greedy answer.
    model.generation_config.update(
        do_sample=False, temperature=None, top_p=None, top_k=None, repetition_penalty=None
    )
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model


def _four_bit() -> Any:
    """QLoRA's settings (Dettmers et al. 2023). Raises: ModelError without a GPU."""
    import torch
    from transformers import BitsAndBytesConfig

    if not torch.cuda.is_available():
        raise ModelError(
            "This recipe trains over 4-bit weights, which needs a CUDA GPU.",
            "There is none here: use --method lora, and a smaller --base.",
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def first_line(error: BaseException) -> str:
    """The first line of the text of `error`, or the name of its class if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
