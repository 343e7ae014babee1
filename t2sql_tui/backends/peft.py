"""transformers, with a LoRA adapter where there is one: on a GPU, or slowly on a CPU.

Interface, token ids and choice of tokens are those of the llama.cpp backend. Weights in
4 bits need CUDA and bitsandbytes. torch and transformers are an optional extra and take
seconds to import, so the functions that need them import them.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from t2sql_tui.backends.decoding import Decoder, Evaluate, Row
from t2sql_tui.backends.kvcache import overlap
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.files import (
    is_whole,
    locked,
    record_digest,
    remove_partials,
    whole_folder,
)
from t2sql_tui.core.paths import models_folder
from t2sql_tui.core.types import (
    Candidate,
    Constraint,
    Finish,
    Generation,
    GenerationSettings,
    ModelSpec,
    OnProgress,
    OnText,
    Prompt,
    ShouldStop,
)

if TYPE_CHECKING:
    from transformers import DynamicCache

#: Maximum number of evaluated prefixes to keep; the least recently used is dropped first.
KEPT_PREFIXES = 4
#: Prompt tokens evaluated at once, by device; `should_stop` is asked in between.
BATCH = {"cuda": 1024, "cpu": 32}


class PEFTBackend:
    """A transformers model and its adapter. See `core.types.Backend` for the interface.

    Options: `base`, a folder or hub id of transformers' weights (default: the spec's GGUF
    file, dequantised once into the cache; without one, the hub id that the spec names);
    `four_bit` (CUDA only); `device` ("cuda", "cpu", "mps"; default: the best there is);
    `dtype` (default: bfloat16 on a GPU, float32 on a CPU); `n_ctx`, the context in tokens;
    `offline`: nothing is asked of the hub, and what is not on this machine is missing.

    Raises: ModelError when a library or the weights are missing, or the device cannot do
    what is asked.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        base: str | Path | None = None,
        four_bit: bool = False,
        device: str | None = None,
        dtype: str | None = None,
        n_ctx: int | None = None,
        offline: bool = False,
        on_progress: OnProgress | None = None,
    ) -> None:
        try:
            import torch
            import transformers
        except ImportError as error:
            raise ModelError(
                f"The peft backend needs a library that is not installed: {error.name}.",
                "Run: pip install 't2sql-tui[gpu]'",
            ) from error
        self.spec = spec
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, ...], DynamicCache] = OrderedDict()
        self._device = device or _best_device()
        transformers.utils.logging.disable_progress_bar()  # it would tear the screen
        options: dict[str, Any] = {
            "dtype": getattr(torch, dtype or ("float32" if self._device == "cpu" else "bfloat16")),
            "attn_implementation": "sdpa",
            "device_map": {"": self._device},
        }
        if four_bit:
            options["quantization_config"] = _four_bits(self._device)
        model, self._tokenizer = _load(spec, base, options, offline)
        if spec.adapter:
            model = _with_adapter(model, spec.adapter, merge=not four_bit)
        self._model: Any = model.eval()
        trained = getattr(model.config, "max_position_embeddings", spec.context)
        self.n_ctx = n_ctx or min(spec.context, trained)
        self._ends = _end_tokens(model, self._tokenizer)
        if on_progress:
            on_progress(1, 1)

    # --- the interface ------------------------------------------------------------

    def count_tokens(self, text: str) -> int:
        """Number of tokens in a finished string."""
        return len(self.tokenize(text))

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a finished string: chat markers are tokens, and no BOS is added."""
        text = text.encode("utf-8", "replace").decode()
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return tokens

    def warm(self, prefix: str, should_stop: ShouldStop | None = None) -> None:
        """Evaluates the prefix, unless its state is kept already."""
        with self._lock:
            self._check_open()
            if tokens := self.tokenize(prefix):
                self._check_room(tokens)
                self._prefix_cache(tokens, should_stop)

    def generate(
        self,
        prompt: Prompt,
        settings: GenerationSettings = GenerationSettings(),
        on_text: OnText | None = None,
        should_stop: ShouldStop | None = None,
        constraint: Constraint | None = None,
    ) -> Generation:
        """The candidates for one prompt. Waits while another thread generates."""
        with self._lock:
            self._check_open()
            decoder = Decoder(
                prompt,
                settings,
                piece=self._piece,
                ends=self._ends.__contains__,
                on_text=on_text,
                should_stop=should_stop,
                constraint=constraint,
            )
            return self._generate(decoder)

    def close(self) -> None:
        """Frees the memory. Waits for a generation that is under way."""
        with self._lock:
            self._kept.clear()
            self._model = None

    # --- one generation -----------------------------------------------------------

    def _generate(self, decoder: Decoder) -> Generation:
        started = time.perf_counter()
        prompt, should_stop = decoder.prompt, decoder.should_stop
        prefix, suffix = self.tokenize(prompt.prefix), self.tokenize(prompt.suffix)
        if not suffix:  # the logits after the last token are needed, so one must be left
            prefix, suffix = prefix[:-1], prefix[-1:]
        count = max(1, decoder.settings.candidates)
        room = self._check_room(prefix + suffix)
        cache, cached = self._prefix_cache(prefix, should_stop)
        logits = None if cache is None else self._evaluate(suffix, cache, should_stop)
        first_token = time.perf_counter() - started
        candidates = (Candidate("", logprob=0.0),) * count
        finish: Finish = "cancelled"
        if cache is not None and logits is not None:
            candidates, finish = decoder.run(logits, self._new_evaluate(cache), count, room)
        return Generation(
            prompt,
            candidates,
            self.spec.name,
            prompt_tokens=len(prefix) + len(suffix),
            cached_tokens=cached,
            completion_tokens=sum(candidate.tokens for candidate in candidates),
            first_token_seconds=first_token,
            seconds=time.perf_counter() - started,
            finish=finish,
        )

    def _new_evaluate(self, cache: DynamicCache) -> Evaluate:
        """A function that evaluates a token of each of several branches.

        The tokens of all branches stand in the cache one after the other; a mask keeps each
        branch from seeing those of the others.
        """
        start = end = cache.get_seq_length()
        indices: dict[int, list[int]] = {}  # in the cache, of the tokens of each branch

        def evaluate(rows: Sequence[Row]) -> list[np.ndarray]:
            nonlocal end
            for index, row in enumerate(rows, end):
                before = indices.get(row.branch, indices.get(row.parent, []))
                indices[row.branch] = [*before[: row.known], index]
            end += len(rows)
            inputs = self._branch_inputs(start, end, [indices[row.branch] for row in rows])
            return list(self._forward([row.token for row in rows], cache, len(rows), **inputs))

        return evaluate

    def _branch_inputs(
        self, start: int, end: int, visible: Sequence[Sequence[int]]
    ) -> dict[str, Any]:
        """The position and the attention mask of each of several tokens.

        A token sees the first `start` entries of the cache, which has `end`, and of those after
        them the ones whose indices `visible` lists for it; the last of these is its own.
        """
        import torch

        full = torch.zeros(len(visible), end, dtype=torch.bool)
        full[:, :start] = True
        sliding = full.clone()
        config = self._model.config.get_text_config()
        window = getattr(config, "sliding_window", None) or self.n_ctx
        positions = [start + len(indices) - 1 for indices in visible]
        for row, (position, indices) in enumerate(zip(positions, visible, strict=True)):
            full[row, list(indices)] = True
            sliding[row, : max(0, position - window + 1)] = False
            sliding[row, list(indices)[-window:]] = True
        full = full[None, None].to(self._device)
        sliding = sliding[None, None].to(self._device)
        masks: Any = sliding
        if getattr(config, "layer_types", None):
            masks = {"full_attention": full, "sliding_attention": sliding}
        return {
            "position_ids": torch.tensor([positions], device=self._device),
            "attention_mask": masks,
        }

    def _piece(self, tokens: Sequence[int], token: int) -> bytes:
        """The bytes that `token` adds to the text of `tokens`."""
        before, after = self._text(tokens), self._text([*tokens, token])
        return after[len(before) :].encode()

    def _text(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(
            list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        # Half a character: the other half comes with a later token, or never.
        return text.rstrip("\N{REPLACEMENT CHARACTER}")

    # --- evaluating ---------------------------------------------------------------

    def _prefix_cache(
        self, prefix: list[int], should_stop: ShouldStop | None
    ) -> tuple[DynamicCache | None, int]:
        """A cache that holds the prefix and may be written to, and the number of its tokens
        that needed no evaluation. The cache is None if `should_stop` ended the evaluation."""
        from transformers import DynamicCache

        known = max(self._kept, key=lambda tokens: overlap(tokens, prefix), default=())
        shared = overlap(known, prefix)
        if shared:
            self._kept.move_to_end(known)
            cache = copy.deepcopy(self._kept[known])
            if shared < len(known):
                cache.crop(shared - len(known))  # a negative number is how many to drop
        else:
            cache = DynamicCache()  # without a config, so that sliding layers keep everything
        if shared < len(prefix):
            if self._evaluate(prefix[shared:], cache, should_stop) is None:
                return None, shared
            self._kept[tuple(prefix)] = copy.deepcopy(cache)
            while len(self._kept) > KEPT_PREFIXES:
                self._kept.popitem(last=False)
        return cache, shared

    def _evaluate(
        self, tokens: list[int], cache: DynamicCache, should_stop: ShouldStop | None
    ) -> np.ndarray | None:
        """Appends `tokens` to the cache. Returns the logits after the last one, shape
        (vocabulary,), or None if `should_stop` ended the evaluation."""
        logits: np.ndarray | None = None
        size = BATCH.get(self._device, BATCH["cpu"])
        for start in range(0, len(tokens), size):
            if should_stop and should_stop():
                return None
            logits = self._forward(tokens[start : start + size], cache)[0]
        return logits

    def _forward(
        self, tokens: list[int], cache: DynamicCache, keep: int = 1, **inputs: Any
    ) -> np.ndarray:
        """Appends tokens to the cache. Returns the logits after the last `keep` of them, shape
        (keep, vocabulary), float32."""
        import torch

        with torch.inference_mode():
            ids = torch.tensor([tokens], device=self._device)
            try:
                out = self._model(
                    input_ids=ids,
                    past_key_values=cache,
                    use_cache=True,
                    logits_to_keep=keep,
                    **inputs,
                )
            except torch.OutOfMemoryError as error:
                raise ModelError(
                    "The GPU has not enough memory for this prompt.",
                    "Close what else uses the GPU, ask for fewer candidates, or load the model "
                    "in 4 bits.",
                ) from error
            logits: np.ndarray = out.logits[0].float().cpu().numpy()
            return logits

    def _check_open(self) -> None:
        if self._model is None:
            raise ModelError(f'The model "{self.spec.name}" was closed.', "Load it again.")

    def _check_room(self, tokens: list[int]) -> int:
        """Number of tokens that fit into the context after the prompt.

        Raises: ModelError when there is no room for one.
        """
        room = self.n_ctx - len(tokens)
        if room < 1:
            raise ModelError(
                f"The prompt has {len(tokens):,} tokens; the model's context holds "
                f"{self.n_ctx:,}, and the answer needs some of them.",
                "Ask with fewer tables, or a shorter question.",
            )
        return room


# --- loading ----------------------------------------------------------------------


def _load(
    spec: ModelSpec, base: str | Path | None, options: dict[str, Any], offline: bool
) -> tuple[Any, Any]:
    """The base model and its tokenizer. Raises: ModelError."""
    from transformers import AutoModelForCausalLM

    try:
        source = str(base or _default_base(spec))
        tokenizer = load_tokenizer(source, offline)
        model = AutoModelForCausalLM.from_pretrained(source, local_files_only=offline, **options)
        return model, tokenizer
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"transformers cannot load {base or spec.name}: {_first_line(error)}",
            "Give a folder with config.json and the weights, or a hub id that can be reached.",
        ) from error


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """The tokens that end an answer."""
    ends = model.generation_config.eos_token_id
    return {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])}


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _four_bits(device: str) -> Any:
    """transformers' configuration of weights in 4 bits. Raises: ModelError without CUDA."""
    import torch
    from transformers import BitsAndBytesConfig

    if device != "cuda":
        raise ModelError(
            f"Weights in 4 bits need a CUDA GPU, and this would run on: {device}.",
            "Leave out --four-bit, or use the gguf backend, which runs 4-bit weights on a CPU.",
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def _with_adapter(model: Any, adapter: Path, merge: bool) -> Any:
    try:
        from peft import PeftModel

        adapted = PeftModel.from_pretrained(model, str(adapter))
    except ImportError as error:
        raise ModelError(
            "The adapter needs the library peft, which is not installed.",
            "Run: pip install 't2sql-tui[gpu]'",
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"The adapter in {adapter} does not fit the weights: {_first_line(error)}",
            "It must have been trained on the same base model.",
        ) from error
    # An adapter cannot be merged into 4-bit weights without loss.
    return adapted.merge_and_unload() if merge else adapted


def _default_base(spec: ModelSpec) -> str | Path:
    if spec.path is not None:
        return transformers_folder(spec.path, models_folder())
    if spec.base:
        return spec.base
    raise ModelError(
        f'The weights of "{spec.name}" are not on this machine.',
        f"Run: t2sql-tui models pull {spec.name}",
    )


def transformers_folder(gguf: Path, cache: Path) -> Path:
    """The folder in `cache` with the weights of `gguf` in bfloat16, as transformers loads them.

    Made at the first use, which takes 50 s for 0.5B; its size in bytes is twice the number of
    weights. Raises: OSError, ValueError, as transformers does.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    stat = gguf.stat()
    folder = cache / f"{gguf.stem}-{stat.st_size:x}-{int(stat.st_mtime):x}-bf16"
    if _is_complete(folder):
        return folder
    with locked(folder):
        if _is_complete(folder):  # made by another process meanwhile
            return folder
        remove_partials(folder)
        with whole_folder(folder) as unfinished:
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
            tokenizer.save_pretrained(unfinished)
            model = AutoModelForCausalLM.from_pretrained(
                gguf.parent,
                gguf_file=gguf.name,
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.bfloat16,
            )
            model.save_pretrained(unfinished)
        for weights in folder.glob("*.safetensors"):
            record_digest(weights)
    return folder


def _is_complete(folder: Path) -> bool:
    """Whether the folder has a configuration, and weights that are as they were made."""
    weights = list(folder.glob("*.safetensors"))
    return (folder / "config.json").is_file() and bool(weights) and all(map(is_whole, weights))


def load_tokenizer(source: str | Path, offline: bool = False) -> Any:
    """transformers' tokenizer of a folder or hub id, with the token ids of llama.cpp.

    Qwen's has a normaliser (NFC) that llama.cpp lacks. It is removed: stored values must reach
    the model unchanged, or its SQL would not find them.
    """
    from tokenizers.normalizers import NFC
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=offline)
    if isinstance(tokenizer.backend_tokenizer.normalizer, NFC):
        tokenizer.backend_tokenizer.normalizer = None
    return tokenizer


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
