"""The transformers backend on the tiny random model, against llama.cpp on the same file."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from t2sql_tui.backends import load_backend
from t2sql_tui.backends import peft as peft_backend
from t2sql_tui.backends.decoding import Row
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.catalog import find_model
from t2sql_tui.core.types import GenerationSettings, ModelSpec, Prompt
from tests.trainer.conftest import make_base

SCHEMA = "".join(f"CREATE TABLE t{n} (id INTEGER PRIMARY KEY, name TEXT);\n" for n in range(8))
PROMPT = Prompt("v1", "chatml", f"<|im_start|>user\n{SCHEMA}", "How many?<|im_end|>\n")
AWKWARD = [
    "<|im_start|>system\nYou write SQL.<|im_end|>\n<|im_start|>user\n",
    "SELECT count(*), T1.`name` FROM t AS T1 WHERE x >= 1234.5 AND y != 'New York'",
    'How many   students aged 18 don\'t live in Zürich?\n\ttable: id int pk ["naïve"]\r\n',
    "東京 🚀 d'été \u200b e\u0301 ﷺ \0 ... < |im_end|>",
    "",
    " ",
]


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def backends(request, tmp_path_factory):
    """The llama.cpp and the transformers backend, on one file."""
    from tiny_gguf import write_tiny_gguf

    folder = tmp_path_factory.mktemp("models")
    spec = find_model(write_tiny_gguf(folder / f"tiny-{request.param}.gguf", request.param))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("T2SQL_MODELS", str(folder / "cache"))
        both = (
            load_backend(spec, n_threads=1, cache_folder=None),
            load_backend(spec, backend="peft", device="cpu"),
        )
    yield both
    for backend in both:
        backend.close()


@pytest.fixture
def peft(backends):
    backends[1]._kept.clear()
    return backends[1]


def test_token_ids_are_the_same(backends):
    gguf, peft = backends
    for text in AWKWARD:
        assert list(gguf.tokenize(text)) == peft.tokenize(text), text


@pytest.mark.parametrize("tokens, candidates", [(16, 1), (4, 3)])
def test_answers_are_the_same(backends, tokens, candidates):
    """Half a character at the very end is shown by one and not by the other; and keys and
    values are in half precision in one, so that long samples part in the end."""
    settings = GenerationSettings(tokens, candidates=candidates, seed=5)
    found = [backend.generate(PROMPT, settings).candidates for backend in backends]
    for a, b in zip(*found, strict=True):
        assert a.text.rstrip("�") == b.text.rstrip("�")
        assert a.tokens == b.tokens and b.text
        assert a.logprob == pytest.approx(b.logprob, abs=0.3)


def test_searches_begin_alike(backends):
    settings = GenerationSettings(12, candidates=4, search=True)
    for backend in backends:
        found = backend.generate(PROMPT, settings).candidates
        assert len({c.text for c in found}) == len(found)
        assert [c.logprob for c in found] == sorted((c.logprob for c in found), reverse=True)
        greedy = backend.generate(PROMPT, replace(settings, candidates=1)).candidates[0]
        assert found[0].logprob >= greedy.logprob - 0.05


def check_branches(begin) -> None:
    """Branches share cells: the logits must be those of the text alone. `begin()` evaluates the
    prompt and gives an `Evaluate`."""
    calls = [
        [Row(0, 0, 0, 40)],
        [Row(0, 0, 1, 41), Row(1, 0, 1, 60), Row(2, 0, 0, 70)],
        [Row(2, 0, 1, 71), Row(1, 0, 2, 61)],
        [Row(3, 1, 2, 80), Row(0, 0, 2, 42), Row(1, 0, 3, 62), Row(2, 0, 2, 72)],
    ]
    texts = {0: [40, 41, 42], 1: [40, 60, 61, 62], 2: [70, 71, 72], 3: [40, 60, 80]}
    expected = {}
    for branch, tokens in texts.items():
        evaluate = begin()
        for known, token in enumerate(tokens):
            (logits,) = evaluate([Row(0, 0, known, token)])
            expected[branch, known] = np.array(logits)
    evaluate = begin()
    for rows in calls:
        for row, logits in zip(rows, evaluate(rows), strict=True):
            right = expected[row.branch, row.known]
            np.testing.assert_allclose(logits, right, atol=2e-3 * np.ptp(right))


def test_branches_do_not_see_each_other(backends):
    gguf, peft = backends
    tokens = gguf.tokenize(PROMPT.prefix)

    def begin_gguf():
        gguf._truncate(0)
        gguf._evaluate(tokens, None)
        return gguf._new_evaluate()

    def begin_peft():
        return peft._new_evaluate(peft._prefix_cache(tokens, None)[0])

    check_branches(begin_gguf)
    check_branches(begin_peft)


@pytest.mark.parametrize("kind", ["mistral", "phi3", "gemma3"])
def test_branches_of_a_model_with_a_sliding_window(kind, tmp_path):
    folder = make_base(tmp_path / kind, kind, sliding_window=13)
    backend = load_backend(
        ModelSpec(kind, chat_format="chatml"), backend="peft", base=folder, device="cpu"
    )
    prompt = list(range(30, 90))
    check_branches(lambda: backend._new_evaluate(backend._prefix_cache(prompt, None)[0]))


def test_what_is_not_allowed_is_not_written(backends):
    settings = GenerationSettings(6)
    for backend in backends:
        free = backend.generate(PROMPT, settings).candidates[0]
        letter = free.text[:1]
        tied = backend.generate(
            PROMPT, settings, constraint=lambda text, whole, letter=letter: letter not in text
        ).candidates[0]
        assert tied.text and letter not in tied.text
        assert tied.logprob < 0


def test_pieces_make_up_the_text(peft):
    pieces = []
    answer = peft.generate(PROMPT, GenerationSettings(30), pieces.append)
    assert "".join(pieces) == answer.candidates[0].text and len(pieces) > 5


def test_a_prefix_is_evaluated_once(peft):
    first = peft.generate(PROMPT, GenerationSettings(8))
    again = peft.generate(PROMPT, GenerationSettings(8))
    assert first.cached_tokens == 0
    assert again.cached_tokens == len(peft.tokenize(PROMPT.prefix))
    assert again.candidates[0].text == first.candidates[0].text
    longer = replace(PROMPT, prefix=PROMPT.prefix + "CREATE TABLE new (id);")
    other = peft.generate(longer, GenerationSettings(8))
    assert other.cached_tokens == again.cached_tokens
    peft._kept.clear()
    assert peft.generate(longer, GenerationSettings(8)).candidates[0].text == (
        other.candidates[0].text
    )


def test_a_shared_beginning_is_cut_out_of_a_longer_prefix(peft):
    peft.warm(PROMPT.prefix + "one")
    answer = peft.generate(replace(PROMPT, prefix=PROMPT.prefix + "two"), GenerationSettings(8))
    assert answer.cached_tokens == len(peft.tokenize(PROMPT.prefix))
    peft._kept.clear()
    fresh = peft.generate(replace(PROMPT, prefix=PROMPT.prefix + "two"), GenerationSettings(8))
    assert fresh.candidates[0].text == answer.candidates[0].text


def test_only_a_few_prefixes_are_kept(peft):
    for n in range(peft_backend.KEPT_PREFIXES + 2):
        peft.warm(f"{n} {PROMPT.prefix}")
    assert len(peft._kept) == peft_backend.KEPT_PREFIXES


def test_should_stop_ends_the_prompt_and_the_answer(peft):
    asked = iter([False, False, True])
    answer = peft.generate(PROMPT, should_stop=lambda: next(asked))
    assert (answer.finish, answer.completion_tokens, peft._kept) == ("cancelled", 0, {})
    pieces = []
    answer = peft.generate(PROMPT, GenerationSettings(200), pieces.append, lambda: len(pieces) >= 3)
    assert answer.finish == "cancelled" and 3 <= answer.completion_tokens < 20


def test_limits_are_messages(peft):
    with pytest.raises(ModelError, match="2,048"):
        peft.generate(replace(PROMPT, prefix=SCHEMA * 9))
    with pytest.raises(ModelError, match="2,048"):
        peft.warm(SCHEMA * 9)


def test_an_answer_to_a_prompt_without_a_suffix(backends):
    prompt = replace(PROMPT, suffix="")
    texts = [b.generate(prompt, GenerationSettings(9)).candidates[0].text for b in backends]
    assert texts[0].rstrip("�") == texts[1].rstrip("�")


# --- loading ----------------------------------------------------------------------


@pytest.fixture
def adapted(tiny_gguf, tmp_path, monkeypatch):
    """The tiny model's spec with a random adapter, large enough to change the answer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    monkeypatch.setenv("T2SQL_MODELS", str(tmp_path))
    spec = find_model(tiny_gguf)
    folder = peft_backend.transformers_folder(tiny_gguf, tmp_path)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False),
    )
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.15)
    model.save_pretrained(tmp_path / "adapter")
    return replace(spec, adapter=tmp_path / "adapter", extra={"quantisation": "f16"})


def test_an_adapter_answers_alike_in_both_backends(adapted, tmp_path):
    settings = GenerationSettings(16)
    texts = {}
    for backend, options in (("gguf", {"n_threads": 1, "cache_folder": None}), ("peft", {})):
        for spec in (adapted, replace(adapted, adapter=None)):
            loaded = load_backend(spec, backend=backend, **options)
            text = loaded.generate(PROMPT, settings).candidates[0].text
            texts[backend, spec.adapter is not None] = text.rstrip("�")
            loaded.close()
    assert texts["gguf", True] == texts["peft", True] != texts["gguf", False]
    assert texts["gguf", False] == texts["peft", False]


def test_merged_weights_are_made_once_and_replaced_with_the_adapter(adapted, tmp_path):
    def load():
        load_backend(adapted, n_threads=1, cache_folder=None).close()
        (merged,) = tmp_path.glob(f"{adapted.name}-*.gguf")
        return merged

    first = load()
    made = first.stat().st_mtime_ns
    assert load() == first and first.stat().st_mtime_ns == made
    (adapted.adapter / "README.md").write_text("another adapter")
    assert load() != first


def test_what_cannot_be_loaded_is_a_message(tiny_gguf, tmp_path, monkeypatch):
    monkeypatch.setenv("T2SQL_MODELS", str(tmp_path))
    spec = find_model(tiny_gguf)
    with pytest.raises(ModelError, match="models pull") as caught:
        load_backend(replace(spec, path=None), backend="peft")
    with pytest.raises(ModelError, match="cannot load"):
        load_backend(spec, backend="peft", base=tmp_path)
    with pytest.raises(ModelError, match="CUDA") as caught:
        load_backend(spec, backend="peft", device="cpu", four_bit=True)
    assert "gguf backend" in caught.value.hint
    with pytest.raises(ModelError, match="does not fit"):
        load_backend(replace(spec, adapter=tmp_path), backend="peft")


def test_a_missing_library_says_what_to_install(tiny_gguf, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match="not installed") as caught:
        load_backend(find_model(tiny_gguf), backend="peft")
    assert "t2sql-tui[gpu]" in caught.value.hint


def test_a_closed_model_says_so(tiny_gguf, tmp_path, monkeypatch):
    monkeypatch.setenv("T2SQL_MODELS", str(tmp_path))
    backend = load_backend(find_model(tiny_gguf), backend="peft")
    backend.close()
    with pytest.raises(ModelError, match="closed"):
        backend.warm("x")


# --- real models ------------------------------------------------------------------


@pytest.mark.model
@pytest.mark.parametrize("name", ["qwen2.5-coder-0.5b", "smollm2-135m"])
def test_token_ids_of_a_real_tokenizer_are_the_same(name, tmp_path):
    """By way of a folder, as the backend loads it."""
    from transformers import AutoTokenizer

    spec = find_model(name)
    if spec.path is None:
        pytest.skip(f"no weights: t2sql-tui models pull {name}")
    backend = load_backend(spec, n_ctx=256, cache_folder=None)
    plain = AutoTokenizer.from_pretrained(spec.path.parent, gguf_file=spec.path.name)
    plain.save_pretrained(tmp_path)
    tokenizer = peft_backend.load_tokenizer(tmp_path)
    for text in AWKWARD:
        assert list(backend.tokenize(text)) == tokenizer.encode(text, add_special_tokens=False)
    backend.close()


@pytest.mark.gpu
def test_four_bits_on_a_gpu(tiny_gguf, tmp_path, monkeypatch):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    monkeypatch.setenv("T2SQL_MODELS", str(tmp_path))
    backend = load_backend(find_model(tiny_gguf), backend="peft", four_bit=True)
    assert backend.generate(PROMPT, GenerationSettings(8, candidates=2)).completion_tokens > 2
    backend.close()
