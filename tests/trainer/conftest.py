"""Tiny random models of every architecture in use, made in the process."""

from __future__ import annotations

import pytest

KINDS = ("qwen2", "llama", "mistral", "phi3", "gemma3")


def tiny_model(kind: str, vocab: int = 199, window: int | None = None):
    """A random model: 2 layers, 4 heads over 2 key heads, width 32. `window` is for those
    with sliding attention."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = dict(
        vocab_size=vocab, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=4096,
        bos_token_id=1, eos_token_id=2, pad_token_id=0, tie_word_embeddings=kind != "mistral",
    )  # fmt: skip
    if kind == "gemma3":
        sizes |= dict(head_dim=8, sliding_window=window or 512,
                      layer_types=["sliding_attention", "full_attention"])  # fmt: skip
    elif kind in ("mistral", "phi3"):
        sizes |= dict(sliding_window=window)
    config = AutoConfig.for_model("gemma3_text" if kind == "gemma3" else kind, **sizes)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param
