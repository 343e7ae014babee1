"""The quantisations that a model can be written in."""

from __future__ import annotations

from t2sql_tui.core.errors import ModelError

#: llama.cpp's enum llama_ftype (include/llama.h) by the names that commands take. "q4_mix" is
#: Q4_K_M with one difference: rows that do not fill K-quants' blocks of 256 become Q4_0, not
#: the Q5_0 that llama.cpp falls back to and has no fast kernel for. On the 0.5B (rows of 896)
#: that decodes 1.5 times as fast.
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


def check_quantisation(quantisation: str) -> None:
    """Raises: ModelError when there is no quantisation of that name."""
    if quantisation not in QUANTISATIONS:
        raise ModelError(
            f"No quantisation is called {quantisation!r}",
            f"Choose one of: {', '.join(QUANTISATIONS)}.",
        )
