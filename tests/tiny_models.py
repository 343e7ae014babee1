"""Tiny random models of the kinds that the recipes use, with tokenizers, built in a second."""

from __future__ import annotations

from pathlib import Path

TEXTS = [
    "SELECT count(*), T1.name FROM airlines AS T1 WHERE x >= 1234.5 AND y != 'New York'",
    "How many students aged 18 do not live in Zurich? table: id int pk, name text",
]
KINDS = ("qwen2", "qwen3", "llama", "mistral", "phi3", "gemma3")


def byte_tokenizer(folder: Path, vocabulary: int = 320) -> None:
    """BPE over bytes with Qwen's splitting, and the markers of ChatML."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    words = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=vocabulary - 8,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            show_progress=False,
        ),
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    ).save_pretrained(folder)


def tiny_model(kind: str, tied: bool = False, vocabulary: int = 320, **options):
    """A random transformers model: 2 blocks (Gemma: 7, so that one looks at everything)."""
    import torch
    import transformers

    names = {
        "qwen2": "Qwen2",
        "qwen3": "Qwen3",
        "llama": "Llama",
        "mistral": "Mistral",
        "phi3": "Phi3",
        "gemma3": "Gemma3Text",
    }
    shape = {
        "vocab_size": vocabulary,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": tied,
        "initializer_range": 0.2,
        "bos_token_id": None,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    if kind == "gemma3":
        shape |= {
            "num_hidden_layers": 7,
            "head_dim": 16,
            "query_pre_attn_scalar": 16,
            "sliding_window": 8,
        }
    if kind in ("qwen3", "mistral"):
        shape["head_dim"] = 32  # heads * head_dim is not the hidden size
    config = getattr(transformers, names[kind] + "Config")(**shape | options)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    for name, parameter in model.named_parameters():  # so that norms and biases matter
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, 0.0 if "gemma3" in kind else 1.0, 0.1)
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter, 0.0, 0.3)
    return model


def with_adapter(model, scale: float = 0.2, **options):
    """`model` under a random PEFT LoRA; at the default scale of A and B its delta is as large
    as a tiny model's weights, and cannot be missed."""
    import torch
    from peft import LoraConfig, get_peft_model

    options = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"} | options
    peft_model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **options)).eval()
    torch.manual_seed(1)
    for name, parameter in peft_model.named_parameters():
        if "lora_" in name and "magnitude" not in name:
            torch.nn.init.normal_(parameter, 0.0, scale)
    return peft_model


def logits_of(model, ids: list[int]):
    """float32 logits at every position, shape (tokens, vocabulary)."""
    import torch

    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0].float().numpy()


def gguf_logits(path: Path, ids: list[int], lora: Path | None = None):
    from llama_cpp import Llama

    model = Llama(
        str(path),
        n_ctx=128,
        n_batch=128,
        n_threads=1,
        n_threads_batch=1,
        logits_all=True,
        verbose=False,
        lora_path=str(lora) if lora else None,
    )
    try:
        model.eval(ids)
        return model.scores[: len(ids)].copy()
    finally:
        model.close()


def sentencepiece_tokenizer(folder: Path, prefix_space: bool, vocabulary: int = 400) -> None:
    """BPE as transformers makes it of a SentencePiece model (Llama 2, Mistral, Phi-3, Gemma)."""
    from tokenizers import Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    special = ["<unk>", "<s>", "</s>"]
    tokens = special + [f"<0x{byte:02X}>" for byte in range(256)]
    tokens += sorted({letter for text in TEXTS for letter in text.replace(" ", "▁")})
    merges = []
    for word in ("▁S E L E C T", "▁n a m e", "▁t a b l e", "▁s t u d e n t s", "▁1 2", "▁▁ ▁"):
        left, *rest = word.replace("▁", "▁ ", 1).split()
        for right in rest:
            merges.append((left, right))
            left += right
    tokens += dict.fromkeys(left + right for left, right in merges)
    tokens = list(dict.fromkeys(tokens))
    tokenizer = Tokenizer(
        models.BPE(
            {token: i for i, token in enumerate(tokens)},
            merges,
            unk_token="<unk>",
            byte_fallback=True,
            fuse_unk=True,
        )
    )
    steps = [normalizers.Prepend("▁")] if prefix_space else []
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback()])
    tokenizer.add_special_tokens(special)
    assert len(tokens) <= vocabulary
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
