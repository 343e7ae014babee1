"""A random model in a GGUF file, small enough to build in every test run (0.2 MB).

The vocabulary is byte-level BPE, as Qwen's: 256 bytes, a few merges and the chat markers.
Any text goes in and out, though what such a model writes is noise. transformers reads the
file too (`from_pretrained(folder, gguf_file=...)`), so both backends can be compared on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np

MARKERS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MERGES = (
    ("S", "E"),
    ("SE", "L"),
    ("SEL", "E"),
    ("SELE", "C"),
    ("SELEC", "T"),
    ("Ġ", "F"),
    ("ĠF", "R"),
    ("ĠFR", "O"),
    ("ĠFRO", "M"),
)
TEMPLATE = """{% for message in messages %}<|im_start|>{{ message['role'] }}
{{ message['content'] }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
WIDTH, FEED_FORWARD, HEADS, KV_HEADS, CONTEXT = 64, 128, 4, 2, 2048


def vocabulary() -> list[str]:
    """Token texts by id: bytes, merges, markers."""
    return [*_byte_alphabet(), *(a + b for a, b in MERGES), *MARKERS]


def write_tiny_gguf(
    path: Path,
    architecture: str = "qwen2",
    layers: int = 2,
    seed: int = 0,
    metadata: Mapping[str, str] | None = None,
    tied: bool = False,
) -> Path:
    """Write the model to `path`, in float32. `architecture` is "qwen2" or "llama".

    `metadata` are further string keys; `tied` leaves out the output head.
    """
    tokens = vocabulary()
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(f"tiny random {architecture}")
    writer.add_context_length(CONTEXT)
    writer.add_block_count(layers)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    control = gguf.TokenType.CONTROL
    writer.add_token_types(
        [gguf.TokenType.NORMAL] * (len(tokens) - len(MARKERS)) + [control] * len(MARKERS)
    )
    writer.add_token_merges([f"{a} {b}" for a, b in MERGES])
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_pad_token_id(tokens.index("<|endoftext|>"))
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    # A BOS that nobody asked for is a classic error; this file asks for one.
    writer.add_add_bos_token(True)
    writer.add_chat_template(TEMPLATE)
    for key, text in (metadata or {}).items():
        writer.add_string(key, text)
    for name, array in _weights(architecture, layers, len(tokens), seed, tied):
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _weights(architecture: str, layers: int, vocab: int, seed: int, tied: bool):
    random = np.random.default_rng(seed)

    def matrix(rows: int, columns: int, scale: float = 1.0) -> np.ndarray:
        return (random.standard_normal((rows, columns)) * scale / columns**0.5).astype("f4")

    ones = np.ones(WIDTH, "f4")
    kv_width = WIDTH // HEADS * KV_HEADS
    yield "token_embd.weight", matrix(vocab, WIDTH, 8.0)
    for n in range(layers):
        yield f"blk.{n}.attn_norm.weight", ones
        for name, rows in (("q", WIDTH), ("k", kv_width), ("v", kv_width)):
            yield f"blk.{n}.attn_{name}.weight", matrix(rows, WIDTH)
            if architecture == "qwen2":
                yield f"blk.{n}.attn_{name}.bias", matrix(1, rows)[0]
        yield f"blk.{n}.attn_output.weight", matrix(WIDTH, WIDTH)
        yield f"blk.{n}.ffn_norm.weight", ones
        yield f"blk.{n}.ffn_gate.weight", matrix(FEED_FORWARD, WIDTH)
        yield f"blk.{n}.ffn_up.weight", matrix(FEED_FORWARD, WIDTH)
        yield f"blk.{n}.ffn_down.weight", matrix(WIDTH, FEED_FORWARD)
    yield "output_norm.weight", ones
    if not tied:
        yield "output.weight", matrix(vocab, WIDTH, 4.0)


def _byte_alphabet() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes (openai/gpt-2, encoder.py)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    stand_in = {b: chr(b) for b in printable} | {b: chr(256 + n) for n, b in enumerate(others)}
    return [stand_in[byte] for byte in range(256)]
