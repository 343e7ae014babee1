"""Merging, converting and proving: what comes out must answer as what went in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.runner import RunOutcome
from t2sql_tui.backends.merging.adapter import read_adapter
from t2sql_tui.backends.merging.gguf_file import GGUFFile, Tensor, encode, write_gguf
from t2sql_tui.backends.merging.merge import floats, lora_gguf, merge
from t2sql_tui.backends.merging.safetensors import read_safetensors, weights_sha256
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.adapter_info import AdapterInfo, read_adapter_info, write_adapter_info
from t2sql_tui.core.models.catalog import find_model
from trainer import export, parity
from trainer.config import Margins
from trainer.convert import convert

pytest.importorskip("torch")

from tiny_models import (
    KINDS,
    byte_tokenizer,
    gguf_logits,
    logits_of,
    sentencepiece_tokenizer,
    tiny_model,
    with_adapter,
)

IDS = [5, 17, 200, 3, 88, 91, 150, 300, 12, 45, 77, 9, 60, 222]


def error(got: np.ndarray, wanted: np.ndarray) -> float:
    """Root mean square difference of logits, in standard deviations of the logits."""
    return float(np.sqrt(np.mean((got - wanted) ** 2)) / wanted.std())


def saved(model, folder: Path) -> Path:
    model.save_pretrained(folder)
    byte_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """qwen2 with a tied head: (folder, GGUF file); tests load the model afresh."""
    place = tmp_path_factory.mktemp("base")
    folder = saved(tiny_model("qwen2", tied=True), place / "hf")
    return folder, convert(folder, place / "base.gguf")


def adapter_of(model, folder: Path, **options):
    """Saves a random adapter over `model`; returns the logits with it."""
    peft_model = with_adapter(model, **options)
    peft_model.save_pretrained(folder)
    return logits_of(peft_model, IDS)


# --- every architecture, adapter and base -------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_logits_survive_conversion_merge_and_lora_file(kind, tmp_path):
    model = tiny_model(kind)
    folder = saved(model, tmp_path / "hf")
    plain = logits_of(model, IDS)
    base = convert(folder, tmp_path / "base.gguf")
    assert error(gguf_logits(base, IDS), plain) < 0.01

    wanted = adapter_of(model, tmp_path / "adapter")
    assert error(plain, wanted) > 0.5  # the adapter cannot be missed
    merged = merge(base, tmp_path / "adapter", tmp_path / "merged.gguf", "f16")
    assert error(gguf_logits(merged, IDS), wanted) < 0.015
    small = merge(base, tmp_path / "adapter", tmp_path / "small.gguf", "q8_0")
    assert error(gguf_logits(small, IDS), wanted) < 0.2
    lora = lora_gguf(base, tmp_path / "adapter", tmp_path / "lora.gguf")
    assert error(gguf_logits(base, IDS, lora), wanted) < 0.015


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(
            {
                "use_rslora": True,
                "rank_pattern": {"q_proj": 8},
                "alpha_pattern": {"layers.0.mlp.up_proj": 32},
            },
            id="patterns, rsLoRA",
        ),
        pytest.param({"use_dora": True}, id="DoRA"),
        pytest.param({"target_modules": ["q_proj", "lm_head"]}, id="tied head"),
        pytest.param({"target_modules": ["v_proj", "embed_tokens"]}, id="tied embedding"),
    ],
)
def test_merges_what_peft_can_save(options, base, tmp_path):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base[0]).eval()
    plain = logits_of(model, IDS)
    wanted = adapter_of(model, tmp_path / "adapter", **options)
    assert error(plain, wanted) > 0.1
    merged = merge(base[1], tmp_path / "adapter", tmp_path / "merged.gguf", "f16")
    assert error(gguf_logits(merged, IDS), wanted) < 0.015


@pytest.mark.parametrize("kind", ["llama", "gemma3"])
def test_merges_modules_that_were_trained_whole(kind, tmp_path):
    """Among them a norm (Gemma's holds its weight minus 1) and permuted query rows."""
    import torch

    model = tiny_model(kind)
    base = convert(saved(model, tmp_path / "hf"), tmp_path / "base.gguf")
    peft_model = with_adapter(
        model, target_modules=["v_proj"], modules_to_save=["q_proj", "input_layernorm", "lm_head"]
    )
    with torch.no_grad():
        for name, parameter in peft_model.named_parameters():
            if "modules_to_save" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    peft_model.save_pretrained(tmp_path / "adapter")
    wanted = logits_of(peft_model, IDS)
    merged = merge(base, tmp_path / "adapter", tmp_path / "merged.gguf", "f16")
    assert error(gguf_logits(merged, IDS), wanted) < 0.015


@pytest.mark.parametrize("quantisation", ["bf16", "q4_0", "q4_k_m", "q4_mix"])
def test_other_quantisations_load_and_stay_near(quantisation, base, tmp_path):
    from transformers import AutoModelForCausalLM

    wanted = adapter_of(AutoModelForCausalLM.from_pretrained(base[0]).eval(), tmp_path / "a")
    merged = merge(base[1], tmp_path / "a", tmp_path / "merged.gguf", quantisation)
    assert error(gguf_logits(merged, IDS), wanted) < (0.1 if quantisation == "bf16" else 0.9)
    kinds = {name: tensor.type.name for name, tensor in GGUFFile(merged).tensors.items()}
    used = {"bf16": "BF16", "q4_0": "Q4_0", "q4_k_m": "Q5_0", "q4_mix": "Q4_0"}[quantisation]
    assert kinds["blk.0.ffn_up.weight"] == used  # 64 columns: too few for K-quants
    assert quantisation != "q4_mix" or kinds["blk.1.attn_v.weight"] != "Q4_0"


def test_a_full_fine_tune_keeps_all_of_the_base_but_its_weights(base, tmp_path):
    tuned = tiny_model("qwen2", tied=True, initializer_range=0.1)
    tuned.save_pretrained(tmp_path / "hf")  # no tokenizer: it must come from the base
    out = convert(tmp_path / "hf", tmp_path / "out.gguf", base_gguf=base[1])
    assert error(gguf_logits(out, IDS), logits_of(tuned, IDS)) < 0.01
    before, after = GGUFFile(base[1]).values, GGUFFile(out).values
    for key in before.keys() - {"general.quantization_version", "general.file_type"}:
        assert after[key] == before[key], key


def test_rows_that_pad_a_vocabulary_are_dropped(base, tmp_path):
    """Trainers round embeddings up; a GGUF has a row for each of its tokens and no more."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base[0]).eval()
    model.resize_token_embeddings(384)
    model.save_pretrained(tmp_path / "hf")
    full = convert(tmp_path / "hf", tmp_path / "full.gguf", base_gguf=base[1])
    assert error(gguf_logits(full, IDS), logits_of(model, IDS)[:, :320]) < 0.01
    wanted = adapter_of(model, tmp_path / "adapter", target_modules=["q_proj", "lm_head"])
    merged = merge(base[1], tmp_path / "adapter", tmp_path / "merged.gguf", "f16")
    assert error(gguf_logits(merged, IDS), wanted[:, :320]) < 0.015


@pytest.mark.parametrize(
    ("kind", "rope"),
    [
        (
            "llama",
            {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        ),
        (
            "phi3",
            {
                "rope_type": "longrope",
                "original_max_position_embeddings": 8,
                "partial_rotary_factor": 1.0,
                "short_factor": [1.0 + i / 10 for i in range(8)],
                "long_factor": [1.5 + i for i in range(8)],
            },
        ),
        ("llama", {"rope_type": "linear", "factor": 4.0}),
        ("qwen2", {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}),
    ],
    ids=["llama3", "longrope", "linear", "yarn"],
)
def test_scaled_rotary_frequencies(kind, rope, tmp_path):
    options = {"rope_parameters": {"rope_theta": 10000.0} | rope}
    if kind == "phi3":
        options["original_max_position_embeddings"] = 8
    model = tiny_model(kind, **options)
    out = convert(saved(model, tmp_path / "hf"), tmp_path / "out.gguf")
    assert error(gguf_logits(out, IDS), logits_of(model, IDS)) < 0.015


def test_gemma_with_other_windows(tmp_path):
    model = tiny_model(
        "gemma3",
        num_hidden_layers=4,
        rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": 500.0},
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        },
        layer_types=["sliding_attention", "full_attention"] * 2,
    )
    out = convert(saved(model, tmp_path / "hf"), tmp_path / "out.gguf")
    assert error(gguf_logits(out, IDS * 2), logits_of(model, IDS * 2)) < 0.01


# --- tokenizers ---------------------------------------------------------------------


@pytest.mark.parametrize("prefix_space", [True, False])
def test_a_sentencepiece_tokenizer_is_taken_over(prefix_space, tmp_path):
    model = tiny_model("llama", vocabulary=400)
    model.save_pretrained(tmp_path)
    sentencepiece_tokenizer(tmp_path, prefix_space)
    out = convert(tmp_path, tmp_path / "out.gguf")  # compares ids, and raises if they differ
    assert GGUFFile(out).get("tokenizer.ggml.model") == "llama"
    assert GGUFFile(out).get("tokenizer.ggml.add_space_prefix") is prefix_space


def test_a_tokenizer_that_llama_cpp_would_read_otherwise_is_refused(tmp_path):
    saved(tiny_model("qwen2"), tmp_path)
    path = tmp_path / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["normalizer"] = {"type": "Lowercase"}
    path.write_text(json.dumps(tokenizer))
    with pytest.raises(ModelError, match="tokenize differently"):
        convert(tmp_path, tmp_path / "out.gguf")
    assert not list(tmp_path.glob("*.gguf*"))


# --- what a file says, and what it leaves alone -------------------------------------


@pytest.fixture
def adapter(base, tmp_path):
    """An attention-only adapter of `base` that says where it comes from."""
    from transformers import AutoModelForCausalLM

    folder = tmp_path / "adapter"
    adapter_of(
        AutoModelForCausalLM.from_pretrained(base[0]).eval(), folder, target_modules=["q_proj"]
    )
    write_adapter_info(
        folder,
        AdapterInfo(
            base="tiny",
            base_sha256=weights_sha256(base[1]),
            prompt_version="v1",
            chat_format="chatml",
            licence="apache-2.0",
        ),
    )
    return folder


def test_provenance_is_recorded_and_other_weights_keep_their_bytes(base, adapter, tmp_path):
    first = merge(base[1], adapter, tmp_path / "a.gguf", "q8_0", {"general.name": "mine"})
    # Again onto the quantised file: what the adapter leaves alone must not change.
    out = merge(first, adapter, tmp_path / "b.gguf", "q8_0", any_base=True)
    before, after = GGUFFile(first), GGUFFile(out)
    wanted = {
        "general.name": "mine",
        "t2sql.prompt_version": "v1",
        "t2sql.chat_format": "chatml",
        "t2sql.quantisation": "q8_0",
        "general.license": "apache-2.0",
        "t2sql.base": "tiny",
        "t2sql.base_sha256": weights_sha256(base[1]),
        "t2sql.adapter_sha256": weights_sha256(adapter / "adapter_model.safetensors"),
    }
    assert {key: before.get(key) for key in wanted} == wanted
    for key in (key for key in before.values if key.startswith("tokenizer.")):
        assert after.values[key] == before.values[key]
    changed = [
        name
        for name, tensor in before.tensors.items()
        if tensor.load().tobytes() != after.tensors[name].load().tobytes()
    ]
    assert sorted(changed) == ["blk.0.attn_q.weight", "blk.1.attn_q.weight"]


def test_progress_rises_to_the_end(base, adapter, tmp_path):
    seen = []
    merge(
        base[1],
        adapter,
        tmp_path / "a.gguf",
        "q8_0",
        on_progress=lambda done, total: seen.append(done / total),
    )
    assert seen == sorted(seen) and seen[-1] == 1 and len(seen) > 20


# --- what is refused, leaving nothing behind ----------------------------------------


def test_an_adapter_of_another_base_is_refused_by_hash(base, adapter, tmp_path):
    write_adapter_info(adapter, AdapterInfo(base="other-model", base_sha256="0" * 64))
    for attempt in (merge, lora_gguf):
        with pytest.raises(ModelError, match=r"other weights.*other-model"):
            attempt(base[1], adapter, tmp_path / "out.gguf")
    merge(base[1], adapter, tmp_path / "out.gguf", any_base=True)


def test_an_adapter_of_another_shape_is_refused(adapter, tmp_path):
    wide = convert(
        saved(tiny_model("qwen2", hidden_size=128), tmp_path / "hf"), tmp_path / "wide.gguf"
    )
    with pytest.raises(ModelError, match=r"attn_q.*shape \(64, 64\).*\(128, 128\)"):
        merge(wide, adapter, tmp_path / "out.gguf", any_base=True)


def break_config(folder: Path, **changes) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("begun", [True, False, "gaussian", "eva", "orthogonal"])
def test_how_an_adapter_began_matters_only_where_the_base_was_changed(
    begun, base, adapter, tmp_path
):
    break_config(adapter, init_lora_weights=begun, something_of_peft_0_30=None, corda_config={})
    assert merge(base[1], adapter, tmp_path / "out.gguf").is_file()


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda a: (a / "adapter_model.safetensors").unlink(), "safetensors is missing"),
        (lambda a: cut(a / "adapter_model.safetensors"), "not a whole safetensors file"),
        (lambda a: (a / "adapter_config.json").write_text("{"), "cannot be read"),
        (lambda a: break_config(a, peft_type="LOHA"), "uses LOHA"),
        (lambda a: break_config(a, lora_bias=True), "uses lora_bias"),
        (lambda a: break_config(a, init_lora_weights="pissa"), r"init_lora_weights \(pissa\)"),
        (lambda a: break_config(a, init_lora_weights="pissa_niter_16"), "pissa_niter_16"),
        (lambda a: break_config(a, init_lora_weights="olora"), "olora"),
        (lambda a: break_config(a, init_lora_weights="loftq"), "loftq"),
        (lambda a: break_config(a, layer_replication=[[0, 2], [1, 2]]), "uses layer_replication"),
        (lambda a: break_config(a, alora_invocation_tokens=[1]), "uses alora_invocation_tokens"),
        (lambda a: break_config(a, target_parameters=["w"]), "uses target_parameters"),
        (lambda a: break_config(a, bias="all"), r"bias \(all\)"),
        (lambda a: break_config(a, something_of_peft_0_30={"x": 1}), "something_of_peft_0_30"),
        (lambda a: break_config(a, lora_alpha="64x"), "configuration is damaged"),
        (lambda a: break_config(a, alpha_pattern={"(": 1}), "configuration is damaged"),
    ],
)
def test_a_damaged_or_foreign_adapter_is_refused(harm, message, base, adapter, tmp_path):
    harm(adapter)
    with pytest.raises(ModelError, match=message):
        merge(base[1], adapter, tmp_path / "out.gguf")
    assert not list(tmp_path.glob("*out.gguf*"))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path, base: path.write_bytes(b"GGUF" + b"\xff" * 200), "not a whole GGUF"),
        (lambda path, base: path.write_bytes(base.read_bytes()[:-1000]), "cut short"),
        (lambda path, base: path.write_bytes(b""), "not a whole GGUF"),
        (
            lambda path, base: write_gguf(path, {"general.architecture": encode("rwkv")}, []),
            "architecture 'rwkv'",
        ),
    ],
)
def test_a_damaged_or_unknown_base_is_refused(write, message, base, adapter, tmp_path):
    bad = tmp_path / "bad.gguf"
    write(bad, base[1])
    with pytest.raises(ModelError, match=message):
        merge(bad, adapter, tmp_path / "out.gguf", any_base=True)


def test_what_only_a_merge_can_express_is_no_lora_file(base, tmp_path):
    from transformers import AutoModelForCausalLM

    for options in ({"use_dora": True}, {"target_modules": ["lm_head"]}):
        adapter_of(AutoModelForCausalLM.from_pretrained(base[0]), tmp_path / "a", **options)
        with pytest.raises(ModelError, match="needs a merged model"):
            lora_gguf(base[1], tmp_path / "a", tmp_path / "lora.gguf")


@pytest.mark.parametrize("at", [0.1, 0.9])
def test_a_cancelled_merge_leaves_an_older_file_and_nothing_else(at, base, adapter, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "m.gguf").write_text("older")

    def cancel(done: int, total: int) -> None:
        if done / total > at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge(base[1], adapter, folder / "m.gguf", "q8_0", on_progress=cancel)
    assert [path.name for path in folder.iterdir()] == ["m.gguf"]
    assert (folder / "m.gguf").read_text() == "older"


def test_a_full_disk_is_an_error_a_person_understands(base, adapter, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("t2sql_tui.backends.merging.writing.write_gguf", full)
    with pytest.raises(ModelError, match="No space left on device"):
        merge(base[1], adapter, tmp_path / "out.gguf")


# --- small formats ------------------------------------------------------------------


def test_safetensors_of_every_float_type(tmp_path):
    import torch
    from safetensors.torch import save_file

    values = torch.tensor([[1.5, -2.25, 0.0], [3e4, -1e-3, 7.0]])
    types = {"a": torch.float32, "b": torch.float16, "c": torch.bfloat16, "d": torch.float64}
    save_file({name: values.to(kind) for name, kind in types.items()}, tmp_path / "x.safetensors")
    read = read_safetensors(tmp_path / "x.safetensors")
    for name, kind in types.items():
        np.testing.assert_array_equal(read[name], values.to(kind).float().numpy())


def test_gguf_agrees_with_the_gguf_package(tmp_path):
    import gguf

    values = {
        "general.architecture": "qwen2",
        "t.text": "ä\n",
        "t.number": 7,
        "t.float": 0.5,
        "t.yes": True,
        "t.texts": ["a", ""],
        "t.numbers": [1, 2],
        "t.floats": [0.5],
    }
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    tensors = [
        Tensor("x", (3, 4), gguf.GGMLQuantizationType.F32, lambda: array),
        Tensor("y", (3, 4), gguf.GGMLQuantizationType.BF16, lambda: array),
    ]
    write_gguf(tmp_path / "x.gguf", {k: encode(v) for k, v in values.items()}, tensors)
    theirs = gguf.GGUFReader(tmp_path / "x.gguf")
    assert {key: theirs.fields[key].contents() for key in values} == values
    for tensor in theirs.tensors:
        read = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(3, 4)
        np.testing.assert_array_equal(read, array)
    ours = GGUFFile(tmp_path / "x.gguf")
    assert ours.get("t.text") == "ä\n" and ours.get("t.yes") is True
    for tensor in ours.tensors.values():
        np.testing.assert_array_equal(floats(tensor.load(), tensor.type), array)


def test_the_hash_of_a_folder_depends_on_names_and_bytes(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"1")
    one = weights_sha256(tmp_path)
    (tmp_path / "a.safetensors").rename(tmp_path / "b.safetensors")
    other = weights_sha256(tmp_path)
    (tmp_path / "b.safetensors").write_bytes(b"2")
    assert len({one, other, weights_sha256(tmp_path)}) == 3


def test_an_adapter_without_info_has_an_empty_one(base, adapter):
    (adapter / "t2sql.json").unlink()
    assert read_adapter_info(adapter) == AdapterInfo() == read_adapter(adapter).info


# --- the parity gate ----------------------------------------------------------------


def lines(*answers: tuple[str, bool]) -> list[dict]:
    return [
        {
            "id": str(i),
            "sql": sql,
            "logprob": -1.0,
            "completion_tokens": 4,
            "score": {"correct": correct},
        }
        for i, (sql, correct) in enumerate(answers)
    ]


def test_parity_counts_what_is_lost_gained_and_different():
    before = lines(("a", True), ("b", True), ("c", False), ("d", False))
    after = lines(("a ", True), ("x", False), ("y", True), ("z", False))
    after[0]["logprob"] = -1.4
    report = parity.parity(before, after, Margins(drop=0, different=0.75))
    assert report["lost"] == ["1"] and report["gained"] == ["2"]
    assert report["drop"] == 0 and report["different"] == 0.75 and report["passed"]
    assert report["logprob_gap"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("after", "margins", "reason"),
    [
        ([("x", False), ("b", True)], Margins(1, 1), "falls by 50.0 points"),
        ([("x", True), ("b", True)], Margins(1, 0.4), "50 % of the answers"),
    ],
)
def test_parity_refuses_what_exceeds_a_margin(after, margins, reason):
    report = parity.parity(lines(("a", True), ("b", True)), lines(*after), margins)
    assert not report["passed"] and reason in report["reasons"][0]


def test_parity_of_no_question_proves_nothing():
    with pytest.raises(ModelError, match="no question"):
        parity.parity([], [], Margins())


# --- the commands -------------------------------------------------------------------


@pytest.fixture
def run(base, tmp_path):
    """A run's folder as `trainer fit` leaves it, over the tiny base."""
    from transformers import AutoModelForCausalLM

    folder = tmp_path / "mine"
    model = AutoModelForCausalLM.from_pretrained(base[0]).eval()
    adapter_of(model, folder / "adapter", target_modules=["q_proj"])
    (folder / "run.json").write_text("{}")
    write_adapter_info(
        folder / "adapter",
        AdapterInfo(
            str(base[1]),
            weights_sha256(base[1]),
            "v1",
            "chatml",
            "apache-2.0",
        ),
    )
    return folder


@pytest.fixture
def asked(monkeypatch):
    """Stands in for the models: {backend: [(SQL, right)]} to answer with; the specs loaded."""

    class Asked(dict):
        specs: list

    replies, specs = Asked(), []
    replies.specs = specs

    class Loaded:
        def __init__(self, backend):
            self.backend = backend

        def close(self):
            pass

    def load_backend(spec, *, backend, **options):
        specs.append((backend, spec))
        return Loaded(backend)

    def answers(loaded, dataset, on_line):
        found = lines(*replies[loaded.backend])
        for line in found:
            on_line(line)
        return found

    monkeypatch.setattr("t2sql_tui.backends.load_backend", load_backend)
    monkeypatch.setattr(parity, "answers", answers)
    return replies


def command(*arguments):
    from trainer.cli import main

    return CliRunner().invoke(main, [*map(str, arguments)])


def test_export_writes_the_file_that_passed_and_its_report(run, base, asked):
    asked |= {"peft": [("a", True), ("b", False)], "gguf": [("a", True), ("b", False)]}
    result = command("export", run, "-q", "q8_0", "-q", "f16", "--suite", "demo")
    assert result.exit_code == 0, result.output
    backends = [(backend, spec.prompt_version) for backend, spec in asked.specs]
    assert backends == [("peft", "v1"), ("gguf", "v1"), ("gguf", "v1")]  # asked once for both
    for name in ("q8_0", "f16"):
        assert GGUFFile(run / f"mine-{name}.gguf").get("t2sql.quantisation") == name
        report = json.loads((run / f"mine-{name}.parity.json").read_text())
        assert report["passed"] and report["adapter_accuracy"] == 0.5
        assert report["trained"]["base_sha256"] == weights_sha256(base[1])
    assert "execution accuracy 50.0 % (adapter 50.0 %), 100 %" in result.output


def test_export_compares_with_the_answers_of_the_runs_best_measurement(run, asked):
    """The adapter need not be asked again: it was, when it was measured."""
    from benchmarks.suites import load_suite

    gold = sorted(load_suite("demo").examples, key=lambda e: (e.database, e.id))[:3]
    (run / "predictions").mkdir()
    for step, sql in ((5, "SELECT 'worse'"), (9, None)):
        (run / "predictions" / f"step-{step}.jsonl").write_text(
            "".join(
                json.dumps({"id": e.id, "text": sql or e.gold, "sql": sql or e.gold}) + "\n"
                for e in reversed(gold)
            )
        )
    (run / "run.json").write_text(json.dumps({"best": {"step": 9}}))
    (run / "config.json").write_text(json.dumps({"heldout": "demo", "dialect": "sqlite"}))
    asked["gguf"] = [(e.gold, True) for e in gold]
    result = command("export", run)
    assert result.exit_code == 0, result.output
    assert [backend for backend, _ in asked.specs] == ["gguf"]
    report = json.loads((run / "mine-q8_0.parity.json").read_text())
    assert (report["questions"], report["adapter_accuracy"], report["different"]) == (3, 1, 0)
    assert report["suite"] == "demo"

    asked["peft"] = asked["gguf"] = [("a", True)]
    assert command("export", run, "--questions", 1).exit_code == 0  # asked for: asked anew
    assert [backend for backend, _ in asked.specs] == ["gguf", "peft", "gguf"]


def test_a_refused_export_leaves_its_report_alone(run, asked):
    asked |= {"peft": [("a", True)], "gguf": [("x", False)]}
    result = command("export", run, "--suite", "demo")
    assert result.exit_code == 4 and "falls by 100.0 points" in result.output
    assert "--quantisation" in result.output  # what to try next
    assert sorted(p.name for p in run.iterdir()) == ["adapter", "mine-q8_0.parity.json", "run.json"]
    assert not json.loads((run / "mine-q8_0.parity.json").read_text())["passed"]


def test_export_without_gate_and_of_the_adapter_alone(run, base):
    assert command("export", run / "adapter", "--no-gate", "-q", "f16").exit_code == 0
    assert command("export", run, "--adapter-only").exit_code == 0
    merged = gguf_logits(run / "mine-f16.gguf", IDS)
    assert error(gguf_logits(base[1], IDS, run / "mine-lora.gguf"), merged) < 0.015


def test_export_of_a_transformers_base_and_of_a_full_fine_tune(base, run):
    """The adapter's base is a folder: it is converted first, and hashed as a folder."""
    info = read_adapter_info(run / "adapter")
    write_adapter_info(
        run / "adapter",
        AdapterInfo(
            str(base[0]),
            weights_sha256(base[0]),
            info.prompt_version,
            info.chat_format,
        ),
    )
    assert command("export", run, "--no-gate", "-q", "f16").exit_code == 0
    written = GGUFFile(run / "mine-f16.gguf")
    assert written.get("t2sql.base_sha256") == weights_sha256(base[0])
    refused = command("export", run, "--no-gate", "--base", base[1])
    assert refused.exit_code == 4 and "was trained on" in refused.output
    full = command(
        "export", base[0], "--no-gate", "--base", base[1], "-q", "f16", "-o", run / "full.gguf"
    )
    assert full.exit_code == 0, full.output
    assert error(gguf_logits(run / "full.gguf", IDS), gguf_logits(base[1], IDS)) < 0.001


def test_the_gate_between_the_real_backends(base, run, tmp_path, monkeypatch):
    """No stand-ins: PEFT over a transformers base, and llama.cpp on the exported file, write
    the same answers to the same prompts."""
    from benchmarks.datasets import sample
    from benchmarks.suites import load_suite
    from t2sql_tui.core.types import AskOptions, GenerationSettings
    from trainer.outputs import find_trained

    monkeypatch.setattr("t2sql_tui.backends.gguf.usable_cores", lambda: 1)  # threads spin
    short = AskOptions(GenerationSettings(max_tokens=12), repairs=0)
    monkeypatch.setattr(parity, "_ONE_ANSWER", short)
    write_adapter_info(
        run / "adapter",
        AdapterInfo(
            str(base[0]),
            weights_sha256(base[0]),
            "v1",
            "chatml",
        ),
    )
    found = find_trained(run)
    base_found = export.base_of(found)
    dataset = sample(load_suite("demo"), 2, seed=0)
    ignore = lambda line: None  # noqa: E731
    lines_of_adapter = parity.ask_adapter(found, base_found, dataset, ignore)
    file = export.write_file(found, base_found, tmp_path / "m.gguf", "f16")
    reference = parity.Reference("demo", dataset, lines_of_adapter)
    report = parity.compare_file(file, reference, Margins(0, 0), ignore)
    assert report["passed"] and report["questions"] == 2 and report["different"] == 0
    assert all(line["text"] for line in lines_of_adapter)  # they did answer
    assert 0 < report["logprob_gap"] < 0.05


def test_the_app_finds_an_adapter_by_its_folder(run, base):
    """... and the gguf backend merges it at the first use; see backends/gguf.py."""
    for named in (run, run / "adapter"):
        spec = find_model(named)
        assert (spec.name, spec.adapter, spec.path) == ("mine", run / "adapter", base[1])
        assert (spec.prompt_version, spec.chat_format) == ("v1", "chatml")
        assert spec.sha256 == weights_sha256(base[1])
    (run / "adapter" / "t2sql.json").unlink()
    with pytest.raises(ModelError, match="does not say which base"):
        find_model(run)


def test_eval_hands_over_to_benchmarks_run(run, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "benchmarks.runner.run_suite",
        lambda config, note: seen.append(config) or RunOutcome(run, 3, 3, {}),
    )
    monkeypatch.setattr("benchmarks.cli._print_outcome", lambda outcome: None)
    result = command("eval", run, "demo", "--limit", "3")
    assert result.exit_code == 0, result.output
    (config,) = seen
    assert (config.suite, config.backend, config.limit) == ("demo", "peft", 3)
    assert Path(config.model) == run / "adapter"


def test_what_is_no_run_is_refused(tmp_path):
    result = command("export", tmp_path)
    assert result.exit_code == 4 and "neither an adapter nor a model" in result.output


# --- a real model -------------------------------------------------------------------


@pytest.mark.model
def test_a_real_base_takes_an_adapter(tmp_path):
    """The 0.5B, a random adapter of rank 8 on all linear layers: transformers + PEFT and
    llama.cpp must want the same tokens. F16 shows that the merge is right; what the others
    lose is the loss of their bits."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from trainer.base import find_base, load_tokenizer, token_ids, transformers_folder
    from trainer.config import Config

    spec = find_model("qwen2.5-coder-0.5b")
    if spec.path is None:
        pytest.skip("no weights: t2sql-tui models pull qwen2.5-coder-0.5b")
    base = find_base(Config(base=spec.name))
    model = AutoModelForCausalLM.from_pretrained(transformers_folder(base), dtype="float32")
    text = (
        "<|im_start|>system\nYou write SQLite.<|im_end|>\n<|im_start|>user\nCREATE TABLE "
        "singer (id int, name text, age int);\nHow many singers are older than 40?<|im_end|>\n"
        "<|im_start|>assistant\nSELECT count(*) FROM singer"
    )
    ids = list(token_ids(load_tokenizer(base), text))
    plain = logits_of(model.eval(), ids)
    peft_model = with_adapter(model, scale=0.02, r=8, lora_alpha=16)
    peft_model.save_pretrained(tmp_path / "adapter")
    wanted = logits_of(peft_model, ids)
    assert isinstance(peft_model, PeftModel) and error(plain, wanted) > 0.05
    seen, limits = {}, {"f16": 0.01, "q8_0": 0.03, "q4_k_m": 0.12, "q4_mix": 0.2, "q4_0": 0.25}
    for quantisation, allowed in limits.items():
        file = merge(spec.path, tmp_path / "adapter", tmp_path / "m.gguf", quantisation)
        got = gguf_logits(file, ids)
        seen[quantisation] = error(got, wanted), (got.argmax(1) == wanted.argmax(1)).mean()
        assert seen[quantisation][0] < allowed, seen
    print(seen, "adapter moved logits by", error(plain, wanted))
