"""llama.cpp: a GGUF file on the CPU, or on whatever llama.cpp was built for.

It uses the low-level functions of the binding, because the high-level class clears every
sequence on each call, keeps no prefix across processes and copies the logits of whole
batches.

How the cells of the KV cache are used: sequence 0 holds the last prompt; what the next
prompt shares with it is not evaluated again. The other branches are sequences 1, 2, ...,
which share the cells of the prompt and of the text that they have in common.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from t2sql_tui.backends.decoding import MAX_BRANCHES, MAX_CANDIDATES, Decoder, Evaluate, Row
from t2sql_tui.backends.kvcache import PrefixCache, overlap
from t2sql_tui.backends.llama import (
    CallbackScope,
    clear_log,
    library,
    log_summary,
    processor_features,
    usable_cores,
)
from t2sql_tui.backends.trial import try_file
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.files import (
    is_whole,
    locked,
    record_digest,
    remove_partials,
    remove_with_digest,
)
from t2sql_tui.core.models.store import is_known_whole, merged_files, merged_path
from t2sql_tui.core.paths import kv_folder
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

#: Tokens evaluated in one call of llama.cpp, and in one matrix product.
BATCH = 512
#: Minimum length of a prefix to keep, in tokens: shorter ones are evaluated faster than stored.
WORTH_KEEPING = 48


class _Aborted(Exception):
    """llama.cpp stopped evaluating because `should_stop` said so."""


class GGUFBackend:
    """A GGUF file loaded in llama.cpp. See `core.types.Backend` for the interface.

    Options: `n_ctx`, the context in tokens (default: the spec's, at most what the model was
    trained for); `n_threads` (default: `usable_cores`); `n_gpu_layers` (default: all, where
    llama.cpp was built for a GPU); `cache_folder` for evaluated prefixes (None: none on disk);
    `on_progress`, called with the parts loaded and the parts in all, and before that with the
    parts merged where the adapter is not merged yet. `tried`: a file that no catalog knows is
    loaded without trying it in a child process first.

    Raises: ModelError when the file is missing, damaged, or not a model that llama.cpp
    knows.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        n_ctx: int | None = None,
        n_threads: int | None = None,
        n_gpu_layers: int = -1,
        cache_folder: Path | str | None = "default",
        on_progress: OnProgress | None = None,
        tried: bool = False,
    ) -> None:
        self.spec = spec
        self._lock = threading.RLock()
        self._model: Any = None
        self._context: Any = None
        self._pieces: dict[int, bytes] = {}
        self._cells: list[int] = []  # tokens whose states sequence 0 is known to hold
        path = _checked_file(spec)
        merged = merged_path(spec) if spec.adapter else None
        if merged is None or not _is_made(merged):
            _check_content(spec, path, n_ctx, n_gpu_layers, tried)
        if spec.adapter:
            path = _merged_file(spec, path, spec.adapter, on_progress)
        self._model = _load_model(path, n_gpu_layers, on_progress)
        llama = library()
        self._vocabulary = llama.llama_model_get_vocab(self._model)
        self._n_vocab = llama.llama_vocab_n_tokens(self._vocabulary)
        trained = llama.llama_model_n_ctx_train(self._model) or spec.context
        self._context = self._new_context(n_ctx or min(spec.context, trained), n_threads)
        self._memory = llama.llama_get_memory(self._context)
        # There is a recurrent state after the last token only: nothing can branch off before.
        self._can_branch = not (
            llama.llama_model_is_recurrent(self._model) or llama.llama_model_is_hybrid(self._model)
        )
        self.n_ctx: int = llama.llama_n_ctx(self._context)
        self._batch = llama.llama_batch_init(BATCH, 0, 1)
        if cache_folder == "default":
            cache_folder = kv_folder()
        folder = Path(cache_folder) if cache_folder else None
        self._cache = PrefixCache(_state_fingerprint(path, self.n_ctx), folder)

    def _new_context(self, n_ctx: int, n_threads: int | None) -> Any:
        llama = library()
        params = llama.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch = params.n_ubatch = min(BATCH, n_ctx)
        params.n_seq_max = MAX_BRANCHES
        # Otherwise room is made for the logits of a whole batch: 311 MB at 152k tokens.
        params.n_outputs_max = MAX_BRANCHES
        # One pool of cells, so that the candidates share those of the prompt.
        params.kv_unified = True
        params.n_threads = params.n_threads_batch = n_threads or usable_cores()
        context = llama.llama_init_from_model(self._model, params)
        if not context:
            self.close()
            raise ModelError(
                f"llama.cpp could not set up a context of {n_ctx:,} tokens: {log_summary()}",
                "Ask for a smaller context, or close other programs.",
            )
        return context

    # --- the interface ------------------------------------------------------------

    def count_tokens(self, text: str) -> int:
        """Number of tokens in a finished string."""
        return len(self.tokenize(text))

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a finished string: chat markers are tokens, and no BOS is added."""
        llama = library()
        data = text.encode("utf-8", "surrogatepass")
        room = len(data) + 8
        ids = (llama.llama_token * room)()
        with self._lock:  # against close() in another thread
            self._check_open()
            count = llama.llama_tokenize(self._vocabulary, data, len(data), ids, room, False, True)
        if count < 0:
            raise ModelError(f"llama.cpp could not tokenize {len(data)} bytes of text.")
        tokens: list[int] = ids[:count]
        return tokens

    def warm(self, prefix: str, should_stop: ShouldStop | None = None) -> None:
        """Evaluates the prefix, unless its state is kept already."""
        with self._lock:
            self._check_open()
            tokens = self.tokenize(prefix)
            if not tokens:
                return
            self._check_room(tokens, 1)
            # Where it is aborted, what was evaluated is kept; the next call goes on from there.
            with suppress(_Aborted):
                self._evaluate_prefix(tokens, should_stop)

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
            vocabulary, is_end = self._vocabulary, library().llama_vocab_is_eog
            decoder = Decoder(
                prompt,
                settings,
                piece=lambda _, token: self._piece(token),
                ends=lambda token: is_end(vocabulary, token),
                on_text=on_text,
                should_stop=should_stop,
                constraint=constraint,
            )
            return self._generate(decoder)

    def close(self) -> None:
        """Frees the memory. Waits for a generation that is under way."""
        with self._lock:
            llama = library()
            if self._context:
                llama.llama_batch_free(self._batch)
                llama.llama_free(self._context)
            if self._model:
                llama.llama_model_free(self._model)
            self._context = self._model = None

    # --- one generation -----------------------------------------------------------

    def _generate(self, decoder: Decoder) -> Generation:
        started = time.perf_counter()
        prompt, should_stop = decoder.prompt, decoder.should_stop
        prefix = self.tokenize(prompt.prefix)
        tokens = prefix + self.tokenize(prompt.suffix)
        limit = MAX_CANDIDATES if self._can_branch else 1
        count = max(1, min(decoder.settings.candidates, limit))
        room = self._check_room(tokens, count)
        cached, first_token = 0, 0.0
        candidates = (Candidate("", logprob=0.0),) * count
        finish: Finish = "cancelled"
        with suppress(_Aborted):
            cached = self._evaluate_prefix(prefix, should_stop, prompt=tokens)
            logits = self._evaluate(tokens, should_stop)
            first_token = time.perf_counter() - started
            candidates, finish = decoder.run(logits, self._new_evaluate(), count, room)
        return Generation(
            prompt,
            candidates,
            self.spec.name,
            prompt_tokens=len(tokens),
            cached_tokens=cached,
            completion_tokens=sum(candidate.tokens for candidate in candidates),
            first_token_seconds=first_token,
            seconds=time.perf_counter() - started,
            finish=finish,
        )

    def _new_evaluate(self) -> Evaluate:
        """A function that evaluates a token of each of several branches in one batch.

        A branch is the sequence of its number; a new one gets a copy of its parent's, which
        shares the cells up to there.
        """
        llama = library()
        start = len(self._cells)
        known = {0}

        def evaluate(rows: Sequence[Row]) -> list[np.ndarray]:
            for row in rows:
                if row.branch not in known:
                    end = start + row.known
                    llama.llama_memory_seq_cp(self._memory, row.parent, row.branch, 0, end)
                    known.add(row.branch)
            self._decode_batch([(row.token, start + row.known, row.branch, True) for row in rows])
            self._cells += [row.token for row in rows if row.branch == 0]
            return [self._logits(index) for index in range(len(rows))]

        return evaluate

    # --- evaluating ---------------------------------------------------------------

    def _evaluate_prefix(
        self,
        prefix: list[int],
        should_stop: ShouldStop | None,
        prompt: list[int] | None = None,
    ) -> int:
        """Makes sequence 0 hold the prefix, from the cache where that saves work.

        `prompt` is the whole prompt, which begins with the prefix; its last token will be
        evaluated in any case, for its logits. Returns the number of tokens of the prompt
        (without one, of the prefix) that needed no evaluation.
        """
        limit = len(prompt) - 1 if prompt else len(prefix)
        prompt = prompt or prefix
        held = overlap(self._cells, prompt)
        if held < len(prefix):
            kept = self._cache.best(prefix, at_least=max(held + 1, WORTH_KEEPING))
            if kept is not None and self._restore(*kept):
                held = overlap(self._cells, prompt)
        held = self._truncate(min(held, limit))
        if len(prefix) - held >= WORTH_KEEPING:
            self._evaluate(prefix, should_stop)
            self._cache.put(prefix, self._state())
        return held

    def _evaluate(self, tokens: list[int], should_stop: ShouldStop | None) -> np.ndarray:
        """Appends to sequence 0 what it lacks of `tokens`. Returns the logits after the last one.

        Raises: _Aborted (sequence 0 then holds a beginning of `tokens`).
        """
        llama = library()
        last = len(tokens) - 1
        with CallbackScope() as scope:
            # Asked between the operations of the graph, some hundred times a batch: cheap
            # for a batch of prompt tokens, too dear for the single tokens of an answer.
            callback = llama.ggml_abort_callback(lambda _: scope.should_end(should_stop))
            llama.llama_set_abort_callback(self._context, callback, None)
            try:
                while (start := len(self._cells)) < len(tokens):
                    part = tokens[start : start + BATCH]
                    self._decode_batch(
                        [
                            (token, position, 0, position == last)
                            for position, token in enumerate(part, start)
                        ]
                    )
                    self._cells += part
            finally:
                llama.llama_set_abort_callback(self._context, llama.ggml_abort_callback(), None)
        return self._logits(len(part) - 1)

    def _decode_batch(self, entries: Sequence[tuple[int, int, int, bool]]) -> None:
        """Evaluates (token, position, sequence, wants logits) entries in one batch."""
        batch = self._batch
        batch.n_tokens = len(entries)
        for row, (token, position, sequence, output) in enumerate(entries):
            batch.token[row] = token
            batch.pos[row] = position
            batch.n_seq_id[row] = 1
            batch.seq_id[row][0] = sequence
            batch.logits[row] = output
        code = library().llama_decode(self._context, batch)
        if code == 2:
            raise _Aborted
        if code != 0:
            raise ModelError(
                f"llama.cpp failed to evaluate {len(entries)} tokens (code {code}): "
                f"{log_summary()}",
                "Run: t2sql-tui doctor",
            )

    def _logits(self, row: int) -> np.ndarray:
        """Logits after the token in `row` of the last batch, shape (vocabulary,).

        A view of llama.cpp's memory, valid until the next batch.
        """
        pointer = library().llama_get_logits_ith(self._context, row)
        return np.ctypeslib.as_array(pointer, shape=(self._n_vocab,))

    def _piece(self, token: int) -> bytes:
        if (known := self._pieces.get(token)) is not None:
            return known
        to_piece = library().llama_token_to_piece
        buffer = ctypes.create_string_buffer(64)
        size = to_piece(self._vocabulary, token, buffer, len(buffer), 0, True)
        if size < 0:  # the number of bytes needed
            buffer = ctypes.create_string_buffer(-size)
            size = to_piece(self._vocabulary, token, buffer, len(buffer), 0, True)
        self._pieces[token] = buffer.raw[:size]
        return self._pieces[token]

    # --- the cells ----------------------------------------------------------------

    def _truncate(self, length: int) -> int:
        """Keeps `length` tokens in sequence 0, and nothing else. Returns how many are kept: a
        recurrent model cannot go back, and keeps none."""
        llama = library()
        for sequence in range(1, MAX_BRANCHES):
            llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        if not llama.llama_memory_seq_rm(self._memory, 0, length, -1):
            llama.llama_memory_clear(self._memory, False)
            length = 0
        del self._cells[length:]
        return length

    def _state(self) -> bytes:
        llama = library()
        size = llama.llama_state_seq_get_size(self._context, 0)
        buffer = (ctypes.c_uint8 * size)()
        written = llama.llama_state_seq_get_data(self._context, buffer, size, 0)
        return bytes(memoryview(buffer)[:written])

    def _restore(self, tokens: Sequence[int], state: bytes) -> bool:
        llama = library()
        self._truncate(0)
        buffer = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        if not llama.llama_state_seq_set_data(self._context, buffer, len(state), 0):
            self._truncate(0)
            return False
        self._cells = list(tokens)
        return True

    def _check_open(self) -> None:
        if not self._context:
            raise ModelError(f'The model "{self.spec.name}" was closed.', "Load it again.")

    def _check_room(self, tokens: list[int], candidates: int) -> int:
        """Number of tokens that fit into the context after the prompt, of all candidates.

        Raises: ModelError when that is less than one a candidate.
        """
        room = self.n_ctx - len(tokens)
        if room < candidates:
            raise ModelError(
                f"The prompt has {len(tokens):,} tokens; the model's context holds "
                f"{self.n_ctx:,}, and the answer needs some of them.",
                "Ask with fewer tables, or a shorter question.",
            )
        return room


# --- loading ----------------------------------------------------------------------


def _checked_file(spec: ModelSpec) -> Path:
    """The weights of `spec`, after the checks that take no time.

    Raises: ModelError.
    """
    pull = f"Run: t2sql-tui models pull {spec.name}"
    if spec.path is None:
        raise ModelError(f'The weights of "{spec.name}" are not on this machine.', pull)
    path = Path(spec.path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}.", pull) from error
    if magic != b"GGUF":
        raise ModelError(f"{path} is not a GGUF file.", "Name a .gguf file, or a known model.")
    if spec.bytes and size != spec.bytes:
        raise ModelError(
            f"{path} has {size:,} bytes, but {spec.name} has {spec.bytes:,}.",
            f"{pull} --force",
        )
    return path


def _check_content(
    spec: ModelSpec, path: Path, n_ctx: int | None, n_gpu_layers: int, tried: bool
) -> None:
    """Raises: ModelError where the weights are not those of the catalog or, of a file that no
    catalog knows, where a child process cannot load it."""
    if spec.bytes and spec.sha256:
        try:
            whole = is_known_whole(spec, path)
        except OSError as error:
            raise ModelError(f"Cannot read {path}: {error.strerror}.", "Check the disk.") from error
        if not whole:
            raise ModelError(
                f"{path} is damaged: its SHA-256 is not that of {spec.name}.",
                f"Run: t2sql-tui models pull {spec.name} --force",
            )
    elif not tried:
        try_file(path, n_ctx, n_gpu_layers)


def _is_made(merged: Path) -> bool:
    """Whether the merged file is there as it was made."""
    try:
        return merged.is_file() and is_whole(merged)
    except OSError:
        return False


def _merged_file(
    spec: ModelSpec, base: Path, adapter: Path, on_progress: OnProgress | None
) -> Path:
    """The weights with the adapter merged in, made at the first use (a minute for 0.5B).

    A merged file that is not the one that was made (cut short, overwritten) is made again. Two
    processes that start at once make it once.
    """
    path = merged_path(spec)
    try:
        if _is_made(path):
            return path
        with locked(path):
            if _is_made(path):  # by another process meanwhile
                return path
            remove_partials(path)
            _merge(spec, base, adapter, path, on_progress)
    except OSError as error:
        raise ModelError(
            f"Cannot write to {path.parent}: {error.strerror or error}.",
            "Make room, or set T2SQL_MODELS to a folder that you can write to.",
        ) from error
    return path


def _merge(
    spec: ModelSpec, base: Path, adapter: Path, path: Path, on_progress: OnProgress | None
) -> None:
    from t2sql_tui.backends.merging.merge import merge  # 0.1 s, at the first use only

    # A record of the file that was there before would not fit the new one; without a record,
    # a file is not taken for whole.
    remove_with_digest(path)
    merge(base, adapter, path, spec.extra.get("quantisation", "q8_0"), on_progress=on_progress)
    record_digest(path)
    for older in merged_files(spec):
        if older != path:
            remove_with_digest(older)


def _load_model(path: Path, n_gpu_layers: int, on_progress: OnProgress | None) -> Any:
    llama = library()
    params = llama.llama_model_default_params()
    params.n_gpu_layers = n_gpu_layers
    params.load_mode = llama.LLAMA_LOAD_MODE_MMAP
    # Builds with AMX crash in its kernels on some machines (ggml_backend_amx_mul_mat);
    # those kernels are reached only through the extra buffer types.
    params.use_extra_bufts = not any("AMX" in name for name in processor_features())
    clear_log()

    def report(fraction: float) -> None:
        if on_progress:
            on_progress(round(100 * fraction), 100)

    with CallbackScope() as scope:
        params.progress_callback = llama.llama_progress_callback(
            lambda fraction, _: not scope.should_end(lambda: report(fraction))
        )
        model = llama.llama_model_load_from_file(os.fsencode(path), params)
    if not model:
        raise ModelError(
            f"llama.cpp cannot load {path}: {log_summary()}",
            "The file may be damaged or of a kind that this llama.cpp does not know. "
            "Check it: t2sql-tui models verify",
        )
    return model


def _state_fingerprint(path: Path, n_ctx: int) -> str:
    """Everything that the state of a prefix depends on besides its tokens."""
    llama = library()
    build = llama.llama_print_system_info()
    return repr((_file_fingerprint(path), n_ctx, "f16", llama.__version__, build))


def _file_fingerprint(path: Path) -> str:
    """A hash of size, time, beginning and end, which tells files apart in no time."""
    stat = path.stat()
    digest = sha256(f"{stat.st_size} {stat.st_mtime_ns}".encode())
    with path.open("rb") as file:
        digest.update(file.read(1 << 20))
        file.seek(max(0, stat.st_size - (1 << 20)))
        digest.update(file.read())
    return digest.hexdigest()
