"""A transformers folder becomes one GGUF file, without llama.cpp's conversion script.

Needed for a base model whose weights came from a hub, and after full fine-tuning. The script of
llama.cpp is in no package and needs an older transformers, so the types of model that the recipes
use are converted here. The tokenizer and the hyper-parameters are copied from the base's GGUF file
if there is one, and otherwise written from `config.json` and `tokenizer.json`; then the tokenizer
is tested: llama.cpp must cut some texts into the same ids as `tokenizers` does.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t2sql_tui.backends.merging.gguf_file import Tensor, encode, write_gguf
from t2sql_tui.backends.merging.layout import Layout, open_base
from t2sql_tui.backends.merging.quantisations import check_quantisation
from t2sql_tui.backends.merging.safetensors import map_safetensors, widen
from t2sql_tui.backends.merging.writing import float_type, write_model
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.types import OnProgress

if TYPE_CHECKING:
    import numpy as np

# transformers' model_type -> GGUF's architecture
MODEL_TYPES = {
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "llama": "llama",
    "mistral": "llama",
    "phi3": "phi3",
    "gemma3_text": "gemma3",
}

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6  # llama_token_type

# llama.cpp's name of the splitting before BPE, by a part of the pattern in tokenizer.json
# (llama.cpp, convert_hf_to_gguf_update.py). These differ in how they split digits.
_SPLITS = ((r"\p{N}{1,3}", "llama-bpe"), (r"|\p{N}|", "qwen2"), ('"Digits"', "smollm"))

_SAMPLES = (
    "SELECT count(*), T1.`name` FROM airlines AS T1 WHERE x >= 1234.5 AND y != 'New York'",
    "How many   students aged 18 don't live in Zürich?\n\ttable: id int [\"naïve\", '2019-01']",
    "東京 🚀 d'été  ",
)


def convert(
    folder: Path,
    out: Path,
    quantisation: str = "f16",
    base_gguf: Path | None = None,
    metadata: Mapping[str, str] | None = None,
    on_progress: OnProgress | None = None,
) -> Path:
    """Writes the model in `folder` (config.json, *.safetensors) to `out`, and returns it.

    `base_gguf` is the file that the model was fine-tuned from, if there is one: everything but
    the weights is copied from it.
    Raises: ModelError for an architecture, a rope scaling or a tokenizer that is not supported.
    """
    check_quantisation(quantisation)
    config = _config(folder)
    if base_gguf:
        base = open_base(base_gguf)
        values, extra = dict(base.values), dict(base.tensors)
        layout = Layout.of(base)
    else:
        layout = _layout(config)
        values, extra = _values(folder, config, layout.architecture), _rope_factors(config)
    texts = {**(metadata or {}), "t2sql.quantisation": quantisation}
    values |= {key: encode(text) for key, text in texts.items() if text}
    vocabulary = extra["token_embd.weight"].shape[0] if base_gguf else config.vocab_size
    found = {
        tensor.name: tensor
        for tensor in _tensors(folder, config, layout, vocabulary, float_type(quantisation))
    }
    if base_gguf and (missing := extra.keys() - found.keys() - {"rope_freqs.weight"}):
        raise ModelError(
            f"{folder} has no weights for {sorted(missing)[0]} of {base_gguf.name}",
            "Give the GGUF file that the model was fine-tuned from.",
        )
    write_model(out, values, list((extra | found).values()), quantisation, on_progress)
    return out


def _layout(config: Any) -> Layout:
    heads = config.num_attention_heads
    return Layout(
        MODEL_TYPES[config.model_type],
        config.num_hidden_layers,
        heads,
        config.num_key_value_heads or heads,
    )


def _values(folder: Path, config: Any, architecture: str) -> dict[str, bytes]:
    """Hyper-parameters and tokenizer under GGUF's keys, checked against `tokenizers`."""
    values = _hyper_parameters(config, architecture)
    values |= tokenizer_values(folder, config.vocab_size)
    values["general.name"] = encode(folder.name)
    check_tokenizer(folder, values)
    return values


def _config(folder: Path) -> Any:
    """transformers' text config, which has defaults for what a config.json leaves out."""
    if not (folder / "config.json").exists():
        raise ModelError(
            f"{folder} is not a model: config.json is missing",
            "Give a folder that save_pretrained() wrote.",
        )
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder).get_text_config()
    if config.model_type not in MODEL_TYPES:
        raise ModelError(
            f"Models of the type {config.model_type!r} cannot be exported",
            f"Known are: {', '.join(MODEL_TYPES)}.",
        )
    return config


# --- weights ----------------------------------------------------------------------


def _tensors(
    folder: Path, config: Any, layout: Layout, vocabulary: int, kind: int
) -> Iterator[Tensor]:
    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        raise ModelError(f"{folder} holds no *.safetensors", "Save the model with safetensors.")
    for shard in shards:
        for parameter, stored in map_safetensors(shard).items():
            tied = config.tie_word_embeddings and parameter == "lm_head.weight"
            if not tied and not parameter.endswith("rotary_emb.inv_freq"):
                yield _tensor(layout, parameter, stored, vocabulary, kind)


def _tensor(
    layout: Layout, parameter: str, stored: np.ndarray, vocabulary: int, kind: int
) -> Tensor:
    import gguf

    name = layout.name(parameter)
    if name in ("token_embd.weight", "output.weight"):
        stored = stored[:vocabulary]  # without the rows that pad it to a round number
    # Norms and biases stay in F32, as llama.cpp wants them.
    wide = stored.ndim == 1
    return Tensor(
        name,
        stored.shape,
        gguf.GGMLQuantizationType.F32 if wide else kind,
        lambda: layout.arranged(parameter, widen(stored)),
    )


def _rope_factors(config: Any) -> dict[str, Tensor]:
    """Factors of the rotary frequencies, which llama.cpp reads as tensors."""
    import gguf
    import numpy as np

    rope = _rope(config)
    half = _head_size(config) // 2
    factors: dict[str, Any] = {}
    if rope["rope_type"] == "llama3":  # transformers, modeling_rope_utils.py
        wavelength = 2 * np.pi * rope["rope_theta"] ** (np.arange(half) / half)
        turns = rope["original_max_position_embeddings"] / wavelength
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        smooth = np.clip((turns - low) / (high - low), 0, 1)
        factors["rope_freqs.weight"] = 1 / ((1 - smooth) / rope["factor"] + smooth)
    elif rope["rope_type"] == "longrope":
        factors["rope_factors_long.weight"] = np.array(rope["long_factor"])
        factors["rope_factors_short.weight"] = np.array(rope["short_factor"])

    def tensor(name: str, array: np.ndarray) -> Tensor:
        return Tensor(name, array.shape, gguf.GGMLQuantizationType.F32, lambda: array)

    return {name: tensor(name, array) for name, array in factors.items()}


# --- hyper-parameters -------------------------------------------------------------


def _rope(config: Any) -> dict[str, Any]:
    rope = config.rope_parameters
    return dict(rope.get("full_attention", rope))


def _head_size(config: Any) -> int:
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def _hyper_parameters(config: Any, architecture: str) -> dict[str, bytes]:
    """`config` under GGUF's keys (gguf.md, "Standardized key-value pairs")."""
    rope, head = _rope(config), _head_size(config)
    window = getattr(config, "sliding_window", None)
    context = config.max_position_embeddings
    if config.model_type == "mistral" and window:
        context = min(context, window)  # llama.cpp attends to everything: equal up to here
    keys: dict[str, Any] = {
        "context_length": context,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads or config.num_attention_heads,
        "attention.key_length": head,
        "attention.value_length": head,
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "rope.dimension_count": int(head * rope.get("partial_rotary_factor", 1.0)),
        "rope.freq_base": float(rope["rope_theta"]),
        "vocab_size": config.vocab_size,
    }
    if architecture in ("gemma3", "phi3") and window:
        keys["attention.sliding_window"] = window
    if architecture == "gemma3":
        keys |= _gemma3(config, head)
    return {
        f"{architecture}.{key}": encode(value)
        for key, value in (keys | _rope_scaling(config, rope)).items()
    } | {
        "general.architecture": encode(architecture),
        "general.type": encode("model"),
    }


def _gemma3(config: Any, head: int) -> dict[str, Any]:
    """Gemma 3's layers: those with a sliding window have their own rotary frequencies, and every
    n-th attends to everything."""
    kinds = config.layer_types
    period = kinds.index("full_attention") + 1 if "full_attention" in kinds else len(kinds) + 1
    as_usual = {  # built into llama.cpp, not read from the file
        "query_pre_attn_scalar": config.query_pre_attn_scalar == head,
        "final_logit_softcapping": not config.final_logit_softcapping,
        "layer_types": all(
            (kind == "full_attention") == (number % period == 0)
            for number, kind in enumerate(kinds, start=1)
        ),
    }
    for name, usual in as_usual.items():
        if not usual:
            raise ModelError(
                f"llama.cpp cannot run this Gemma 3's {name}",
                "Keep the adapter unmerged and run it with transformers.",
            )
    sliding = config.rope_parameters.get("sliding_attention", {}).get("rope_theta", 10000.0)
    return {"rope.freq_base_swa": float(sliding), "attention.sliding_window_pattern": period}


def _rope_scaling(config: Any, rope: Mapping[str, Any]) -> dict[str, Any]:
    kind = rope["rope_type"]
    if kind in ("default", "llama3"):
        return {}
    if kind == "linear":
        return {"rope.scaling.type": "linear", "rope.scaling.factor": float(rope["factor"])}
    if kind == "yarn":
        return {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": float(rope["factor"]),
            "rope.scaling.original_context_length": rope["original_max_position_embeddings"],
        }
    if kind == "longrope":  # Phi-3, modeling_rope_utils.py: _compute_longrope_parameters
        original = config.original_max_position_embeddings
        ratio = config.max_position_embeddings / original
        attention = 1.0 if ratio <= 1 else math.sqrt(1 + math.log(ratio) / math.log(original))
        return {
            "rope.scaling.original_context_length": original,
            "rope.scaling.attn_factor": float(rope.get("attention_factor") or attention),
        }
    raise ModelError(f"The rope scaling {kind!r} cannot be exported", "Train without it.")


# --- tokenizer --------------------------------------------------------------------


def tokenizer_values(folder: Path, vocabulary: int) -> dict[str, bytes]:
    """`tokenizer.json` under GGUF's keys, padded to `vocabulary` tokens.

    Covers BPE over bytes (Qwen, Llama 3, SmolLM, GPT-2) and BPE made from SentencePiece
    (Llama 2, Mistral, Phi-3, Gemma). Raises: ModelError for others.
    """
    path = folder / "tokenizer.json"
    if not path.exists():
        raise ModelError(
            f"{folder} has no tokenizer.json",
            "Save the tokenizer beside the model: tokenizer.save_pretrained(...)",
        )
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    model = tokenizer["model"]
    if model["type"] != "BPE":
        raise ModelError(f"A {model['type']} tokenizer cannot be exported", "Only BPE can.")
    tokens, types = _tokens(tokenizer, vocabulary)
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    values: dict[str, Any] = {"tokens": tokens, "token_type": types}
    if model.get("byte_fallback"):
        ranks = {pair.replace(" ", ""): rank for rank, pair in reversed(list(enumerate(merges)))}
        values |= {
            "model": "llama",
            "pre": "default",
            "scores": [-float(ranks.get(token, len(merges))) for token in tokens],
            "add_space_prefix": _adds_space(tokenizer),
        }
    else:
        values |= {"model": "gpt2", "pre": _split(tokenizer), "merges": merges}
    values |= _special_tokens(folder, {token: i for i, token in enumerate(tokens)})
    named = {
        f"tokenizer.ggml.{key}": encode(value)
        for key, value in values.items()
        if value not in ([], None)
    }
    if template := _chat_template(folder):
        named["tokenizer.chat_template"] = encode(template)
    return named


def _tokens(tokenizer: Mapping[str, Any], vocabulary: int) -> tuple[list[str], list[int]]:
    model = tokenizer["model"]
    tokens = [f"[PAD{i}]" for i in range(vocabulary)]
    types = [_UNUSED] * vocabulary
    try:
        for token, i in model["vocab"].items():
            byte = model.get("byte_fallback") and len(token) == 6 and token.startswith("<0x")
            tokens[i], types[i] = token, _BYTE if byte else _NORMAL
        for added in tokenizer.get("added_tokens", ()):
            i = added["id"]
            tokens[i] = added["content"]
            types[i] = _CONTROL if added["special"] else _USER_DEFINED
    except IndexError as error:
        raise ModelError(
            "The tokenizer has more tokens than the model has embeddings",
            "Save the tokenizer that belongs to the model.",
        ) from error
    if (unknown := model.get("unk_token")) in model["vocab"]:
        types[model["vocab"][unknown]] = _UNKNOWN
    return tokens, types


def _adds_space(tokenizer: Mapping[str, Any]) -> bool:
    text = json.dumps([tokenizer.get("normalizer"), tokenizer.get("pre_tokenizer")])
    return (
        '"Prepend"' in text
        or '"prepend_scheme": "first"' in text
        or ('"prepend_scheme": "always"' in text)
    )


def _split(tokenizer: Mapping[str, Any]) -> str:
    text = json.dumps(tokenizer.get("pre_tokenizer")).replace("\\\\", "\\")
    return next((name for piece, name in _SPLITS if piece in text), "gpt-2")


def _special_tokens(folder: Path, ids: Mapping[str, int]) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    values: dict[str, Any] = {"add_bos_token": bool(config.get("add_bos_token", False))}
    names = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
    for short, long in names.items():
        token = config.get(f"{short}_token")
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str) and token in ids:
            values[f"{long}_token_id"] = ids[token]
    return values


def _chat_template(folder: Path) -> str:
    path = folder / "chat_template.jinja"
    if path.exists():
        return path.read_text(encoding="utf-8")
    config = folder / "tokenizer_config.json"
    stored = json.loads(config.read_text(encoding="utf-8")) if config.exists() else {}
    template = stored.get("chat_template")
    return template if isinstance(template, str) else ""


def check_tokenizer(folder: Path, values: Mapping[str, bytes]) -> None:
    """Raises: ModelError if llama.cpp, with these `values`, would cut a text into other ids than
    `tokenizers` does with the folder's tokenizer.json."""
    from llama_cpp import Llama  # takes 0.5 s to import
    from tokenizers import Tokenizer

    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    with tempfile.TemporaryDirectory() as scratch:
        header = Path(scratch) / "vocabulary.gguf"
        write_gguf(header, values, [])
        model = Llama(str(header), vocab_only=True, verbose=False)
        for text in _SAMPLES:
            ids = model.tokenize(text.encode(), add_bos=False, special=False)
            if ids != reference.encode(text, add_special_tokens=False).ids:
                raise ModelError(
                    f"llama.cpp would tokenize differently than {folder.name}'s tokenizer.json",
                    "Give a GGUF file of the base model, to take over its tokenizer.",
                )
        model.close()
